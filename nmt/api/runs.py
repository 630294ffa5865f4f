"""Training from Python, and access to run directories."""

import json
import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as shorten
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.api.cell_source import name_cell
from nmt.api.language_model import LanguageModel
from nmt.api.loading import check_path
from nmt.api.translator import Translator
from nmt.arguments import check_strings, check_text
from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.recipe import training
from nmt.recipe.reader import read_any_recipe, read_model_recipe
from nmt.recipe.run_directory import choose_run_directory
from nmt.recipe.schema import Recipe
from nmt.recipe.yaml import OVERRIDES
from nmt.training.checkpoint import checkpoint_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTING = re.compile(r"[\w-]+(\.[\w-]+)*")


def load_recipe(
    recipe: str | Path | Sequence[str | Path], overrides: Mapping[str, Any] | None = None
) -> Recipe:
    """Read a recipe: a file (`.yaml`), the name of a shipped recipe, or a list of these, the later wins.

    `overrides` maps settings to values: `{"training.stop_after": "50u", "encoder.layers": 2}`. The value of
    `encoder.cell` and `decoder.cell` may be a subclass of `nmt.Cell`, also one that a notebook defines.
    Raises UsageError with every mistake found.
    """
    settings = format_settings("overrides", overrides)
    return read_any_recipe(_name_recipes(recipe), settings, source=OVERRIDES)


def train(
    recipe: str | Path | Sequence[str | Path] | Recipe,
    *,
    overrides: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    change: Mapping[str, Any] | None = None,
    log_to: str | None = None,
) -> "Run":
    """Train a recipe, or resume its run, as `nmt train` does.

    `recipe` and `overrides` are those of `load_recipe`, or `recipe` is what it returned. `output` is the run
    directory, by default runs/RECIPE. `change` maps settings of a run that is resumed to new values, and
    `log_to` is tensorboard, trackio or wandb. Seeds the random generators of Python, numpy and torch.

    An interrupt (Ctrl-C, a notebook's stop button) saves a checkpoint and raises KeyboardInterrupt; the
    same call resumes the run. Raises UsageError for a wrong recipe or directory, DataError for wrong data.
    """
    if isinstance(recipe, Recipe):
        if overrides or change:
            raise UsageError("a recipe that is loaded has its settings: give overrides to load_recipe")
        names = []
    else:
        names = _name_recipes(recipe)
        settings = format_settings("overrides", overrides) + format_settings("change", change)
        recipe = read_any_recipe(names, settings, source=OVERRIDES)
    directory = choose_run_directory(
        names, None if output is None else check_path("output must be a path", output)
    )
    result = training.train(recipe, directory, log_to=log_to, change=[*(change or {})])
    if result.stop.exit_code:
        signal.raise_signal(signal.Signals(result.stop.exit_code - 128))  # has its usual effect now
    return Run(directory)


class BestCheckpoint(NamedTuple):
    """The checkpoint with the best validation of a run, by its deciding metric."""

    checkpoint: Path
    update: int
    metric: str
    score: float


class Run:
    """A run directory: its recipe, metrics and checkpoints, read when they are asked for.

    Raises UsageError if the directory is not a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_path("a run is the path of its directory", path)
        if not (self.path / "recipe.yaml").is_file():
            raise UsageError(f"{self.path} is not a run: it has no recipe.yaml; nmt.train makes one")

    def __repr__(self) -> str:
        best = self.best
        state = f"best {best.metric} {best.score:.2f} at update {best.update}" if best else "not validated"
        return f"Run({str(self.path)!r}, {state})"

    @property
    def recipe(self) -> Recipe:
        """The recipe with all settings."""
        return read_model_recipe(self.path)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl: updates, validations, gates and what else was logged."""
        from nmt.lab.curves import read_events

        return [dict(event) for event in read_events(self.path)]

    @property
    def validation(self) -> list[dict[str, Any]]:
        """The records of the validations: update, epoch, scores, and whether it was the best so far."""
        return [event for event in self.metrics if event["event"] == "validation"]

    @property
    def best(self) -> BestCheckpoint | None:
        """The best checkpoint and its score; None before the first validation."""
        metric = self.recipe.training.validation.deciding_metric
        found = [event for event in self.validation if event["best"]]
        if not found:
            return None
        update = found[-1]["update"]
        checkpoint = self.path / "checkpoints" / checkpoint_name(update)
        return BestCheckpoint(checkpoint, update, metric, found[-1][metric])

    def plot(self, *metrics: str, against: str = "update") -> "Figure":
        """Draw learning curves as a matplotlib figure, which a notebook shows.

        By default the loss, BLEU and the learning rate, over updates; `against` is update, epoch or seconds.
        Raises MissingPackage without matplotlib, UsageError for a metric that the run has not logged.
        """
        from nmt.lab.curves import read_curves
        from nmt.lab.figure import build_curves

        names, axis = check_strings("metrics", metrics), check_text("against", against)
        return build_curves(read_curves([self.path], names, axis), x=axis)

    def translator(self, *, trust_code: bool = False) -> Translator:
        """Return the translator of the run, as `nmt translate` loads it."""
        return Translator(self.path, trust_code=trust_code)

    def language_model(self, *, trust_code: bool = False) -> LanguageModel:
        """Return the language model of the run, as `nmt sample` loads it."""
        return LanguageModel(self.path, trust_code=trust_code)


def format_settings(name: str, settings: Any) -> list[str]:
    """Return settings as `key=value` texts, as a command line has them; UsageError for other values."""
    if not isinstance(settings, Mapping | None):
        example = "{'training.stop_after': '50u'}"
        raise UsageError(f"{name} must map settings to values, as {example} (got {shorten(settings)})")
    return [_format_setting(name, key, value) for key, value in (settings or {}).items()]


def _format_setting(name: str, key: Any, value: Any) -> str:
    if not isinstance(key, str) or not SETTING.fullmatch(key):
        raise UsageError(f"{name}: {key!r} is not the name of a setting, such as 'training.stop_after'")
    try:
        return f"{key}={json.dumps(value, ensure_ascii=False, default=_to_plain)}"
    except (AttributeError, RecursionError, TypeError, ValueError):
        raise UsageError(
            f"{name}: {key}: expected text, a number, True, False, None, or a list or dict of these "
            f"(got {shorten(value)})"
        ) from None


def _to_plain(value: Any) -> Any:
    """Return a cell class and a path as text, and a number of numpy as one of Python."""
    if isinstance(value, type) and issubclass(value, Cell):
        return name_cell(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value.item()


def _name_recipes(recipe: object) -> list[str]:
    several = [recipe] if isinstance(recipe, str | os.PathLike) else recipe
    if not isinstance(several, Sequence) or not several:
        raise UsageError(f"a recipe is a .yaml file or a shipped name (got {shorten(recipe)})")
    return [str(check_path("a recipe is a .yaml file or a shipped name", one)) for one in several]
