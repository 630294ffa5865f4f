"""The files and settings that the weights of a run belong to, and the settings that may change in it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nmt.data.trained_lengths import LENGTHS
from nmt.errors import DataError, UsageError
from nmt.files import file_sha256
from nmt.recipe.file_settings import find_cell_files, relocate_cells
from nmt.recipe.prepare_data import vocabulary_file
from nmt.recipe.reader import RECIPE
from nmt.recipe.schema import FILE_SETTINGS, Recipe
from nmt.recipe.sections import to_plain
from nmt.training import checkpoint
from nmt.training.checkpoint import METADATA, Metadata
from nmt.untrusted_files import RefusedFile, check_sha256, check_values, find_member

OF_MODEL = ("task", "subwords", "encoder", "decoder", "data.protect")
"""The settings on which a trained model depends: its modules, its tokens, and what it copies."""


CHANGEABLE = (
    "data.root",
    "data.train",
    "data.train.*.pairs",
    "data.train.*.sentence_weights",
    "data.train.*.alignments",
    "data.workers",
    "data.valid",
    "data.test",
    "training.stop_after",
    "training.checkpoint_every",
    "training.keep",
    "training.average",
    "training.guards.*",
    "training.threads",
    "training.device",
    "training.validation.patience",
    "training.validation.stop_on",
    "training.validation.stop_on.*",
    "training.validation.stop_when",
    "training.validation.samples",
    "training.validation.gates",
    "search.beam",
    "search.length_penalty",
    "search.batch",
    "evaluation.metrics",
)
"""Settings that may change when a run resumes (`*` is any name): its length, the location of its data (whose
checksums are compared), what is kept, shown and reported, when it is aborted. All others affect the weights
or the scores of validations."""

END = "training.stop_after"
CHANGEABLE_BY_NAME = (
    "training.learning_rate.*",
    END,
    "training.clip_norm",
    "training.weight_decay",
    "training.label_smoothing",
    "*.dropout.*",
)
"""Settings that affect the weights but may change when a run resumes, if the user asks for it by name."""


@dataclass(frozen=True)
class Origin:
    """What the weights of a checkpoint belong to."""

    sha256: dict[str, str] = field(default_factory=dict)  # of vocabularies, lengths and cell files
    settings: dict[str, Any] = field(default_factory=dict)  # by path, those that never change in a run


def describe_origin(recipe: Recipe, run: Path) -> Metadata:
    """Return the origin of a run's weights, to be recorded in its checkpoints."""
    vocabularies = (vocabulary_file(run, side) for side in recipe.vocabulary_sides)
    lengths = run / LENGTHS
    files = [*filter(None, vocabularies), *([lengths] if lengths.is_file() else [])]
    return {
        "sha256": {file.name: file_sha256(file) for file in (*files, *find_cell_files(recipe))},
        "settings": _fixed_settings(recipe),
    }


def check_origin(directory: Path, run: Path, recipe: Recipe) -> None:
    """Raise DataError if the run of a checkpoint has other files or settings of the model than its weights.

    Settings that only training uses are not compared.
    """
    origin = _read_origin(directory)
    _check_files(origin, directory, run)
    for name, change in _find_differences(origin, recipe).items():
        if any(is_inside(name, section) for section in OF_MODEL):
            reason = f"{change}, but the weights in {directory} belong to the former"
            raise RefusedFile(run / RECIPE, reason, "restore the former value")


def find_changes_since_checkpoint(run: Path, recipe: Recipe) -> dict[str, str]:
    """Return the fixed settings that differ from those of a run's last checkpoint, each with both values.

    Raises DataError if a file of the run is not the one that the checkpoint belongs to.
    """
    for directory in reversed(checkpoint.list_checkpoints(run / "checkpoints")):
        with suppress(DataError):  # a damaged checkpoint is set aside later
            origin = _read_origin(directory)
            break
    else:
        return {}
    _check_files(origin, directory, run)
    return _find_differences(origin, recipe)


def _fixed_settings(recipe: Recipe) -> dict[str, Any]:
    return select_fixed(flatten_recipe(relocate_cells(recipe, Path())))


def _read_origin(directory: Path) -> Origin:
    """Return the origin that a checkpoint records, empty if an earlier version wrote it."""
    facts = checkpoint.read_checkpoint_card(directory).facts
    return check_values(facts.get("origin", {}), Origin, directory / METADATA)


def _check_files(origin: Origin, directory: Path, run: Path) -> None:
    """Raise DataError if a file of the run is not the one that a checkpoint belongs to."""
    for name, expected in origin.sha256.items():
        check_sha256(find_member(run, name, directory / METADATA), expected)


def _find_differences(origin: Origin, recipe: Recipe) -> dict[str, str]:
    """Return the settings of an origin that a recipe has with another value; other versions may lack some."""
    now = _fixed_settings(recipe)
    common = origin.settings.keys() & now.keys()
    old, new = ({name: one[name] for name in now if name in common} for one in (origin.settings, now))
    return find_changes(old, new)


def flatten_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe by their paths (`encoder.hidden`)."""
    return dict(_flatten(to_plain(recipe), ()))


def find_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that differ, by path, each with both values in words."""
    names = [*old, *(name for name in new if name not in old)]
    return {
        name: f"{name} was {_format_setting(old, name)}, is {_format_setting(new, name)}"
        for name in names
        if old.get(name) != new.get(name)
    }


def select_fixed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that never change in a run, without the paths of files that its start has read."""
    others = (*CHANGEABLE, *CHANGEABLE_BY_NAME, *map(".".join, FILE_SETTINGS))
    return {name: value for name, value in settings.items() if not _matches(name, others)}


def _flatten(value: Any, path: Sequence[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        value = {entry["name"]: entry for entry in value}
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flatten(inner, (*path, name))
    else:
        yield ".".join(path), value


def _format_setting(leaves: Mapping[str, Any], name: str) -> str:
    return json.dumps(leaves[name], ensure_ascii=False).strip('"') if name in leaves else "not given"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_named(change: Sequence[str], recipe: Recipe) -> None:
    """Raise UsageError for names of settings that cannot change, not even by name."""
    names = [*flatten_recipe(recipe)]
    for asked in change:
        inside = [name for name in names if is_inside(name, asked)]
        if not inside or not all(_matches(name, (*CHANGEABLE, *CHANGEABLE_BY_NAME)) for name in inside):
            raise UsageError(
                f"--change: {asked} cannot change in a run that resumes, only "
                f"{', '.join(CHANGEABLE_BY_NAME)}; for other settings start a run with training.start_from"
            )


def is_inside(name: str, section: str) -> bool:
    """Return whether the path of a setting is that of a section, or leads into it."""
    return f"{name}.".startswith(f"{section}.")


def check_changes(run: Path, changes: Mapping[str, str], recipe: Recipe, change: Sequence[str]) -> None:
    """Raise UsageError if a setting has changed that affects the weights and that `change` does not name."""
    named = {name for name in changes for asked in change if is_inside(name, asked)}
    fixed = {name: text for name, text in changes.items() if name not in named}
    wrong = {name: text for name, text in fixed.items() if not _matches(name, CHANGEABLE)}
    rate, end = recipe.training.learning_rate, fixed.get(END)
    if end and rate.has_end and rate.span is None:
        wrong[END] = f"{end} (the {rate.schedule} ends there too, so all rates would change)"
    if wrong:
        by_name = [f"--change {name}=VALUE" for name in wrong if _matches(name, CHANGEABLE_BY_NAME)]
        ways = ["choose another directory with --output", "delete this one to start again"]
        ways += [f"ask for it with {' '.join(by_name)}"] if by_name else []
        raise UsageError(
            "\n  ".join([f"{run} is a run of a different recipe:", *wrong.values()])
            + f"\n{', '.join(ways[:-1])}, or {ways[-1]}"
        )
