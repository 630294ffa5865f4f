"""Settings with extreme numbers and unknown names: what the reader accepts can be built."""

import resource
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from nmt.errors import NmtError, UsageError
from nmt.recipe import reader, training
from nmt.recipe.model_memory import outline_model
from nmt.recipe.schema import TASKS
from nmt.recipe.sections import adapter, find_subsections
from nmt.settings import Settings
from nmt.training.optimisers import build_optimiser

RECIPES = {
    "translation": "data: {src: de, tgt: en, train: train, valid: valid}\n"
    "encoder: {cell: gru, embedding: 8, hidden: 8}\n",
    "language-model": "task: language-model\ndata: {train: train, valid: valid}\n",
}
NUMBERS = ("0", "-1", "1", "1000000000", "1e18", "1e-45", ".nan", ".inf")
NAMES = ("zz", '""', "null", "[]", "{}", '"\\0"', "{zz: 1}")
DURATIONS = ("0u", "0.0001e", "999999999999u", "999999999999e", "1m")
EXAMINED = 70  # settings of each task, chosen at random: all together take too long
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def list_settings(
    section: type[Settings], schema: dict[str, Any], defs: dict[str, Any], path: str = ""
) -> Iterator[str]:
    """Every setting of a section with each value to try, as on the command line."""
    inner = find_subsections(section)
    for name, field in schema["properties"].items():
        where = f"{path}.{name}" if path else name
        if name in inner:
            yield from list_settings(inner[name], defs[inner[name].__name__], defs, where)
        else:
            yield from (f"{where}={value}" for value in dict.fromkeys(list_values(field)))


def list_values(field: Any) -> Iterator[str]:
    """Yield values for a setting, by the description of its type."""
    if isinstance(field, dict):
        if field.get("type") in ("integer", "number"):
            yield from NUMBERS
            yield from (str(field[bound]) for bound in BOUNDS if bound in field)
        elif field.get("type") == "string":
            yield from DURATIONS if "[eu" in field.get("pattern", "") else NAMES
            yield from field.get("enum", ())
        elif field.get("type") == "boolean":
            yield from ("true", "false")
    for inner in field.values() if isinstance(field, dict) else field if isinstance(field, list) else ():
        yield from list_values(inner)


def build(recipe: Any) -> None:
    """Build the parts of a run that depend on settings alone, without memory for weights."""
    training._check_smallest(recipe, torch.device("cpu"))
    sizes = [60] * len(recipe.vocabulary_sides)
    model = outline_model(lambda: training.find_task(recipe).build_model(sizes))
    build_optimiser(model, recipe.training)
    schedule, forcing = training._learning_rate(recipe, 7), training._teacher_forcing(recipe, 7)
    for update in (1, 1000):
        assert 0 <= forcing.ratio(update) <= 1
        assert schedule.rate(update) >= 0


@pytest.mark.parametrize("task", TASKS)
def test_what_the_reader_accepts_can_be_built(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(RECIPES[task], "utf-8")
    schema = adapter(TASKS[task]).json_schema()
    settings = [*list_settings(TASKS[task], schema, schema["$defs"])]
    assert len(settings) > 500
    accepted = 0
    for setting in Random(7).sample(settings, EXAMINED):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        try:
            recipe = reader.read_any_recipe(["recipe.yaml"], [setting])
        except UsageError:
            continue
        accepted += 1
        problem = "GB of memory"
        try:
            build(recipe)
        except NmtError as error:
            problem = str(error)
        assert "GB of memory" in problem, setting
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10, setting
    assert accepted > 10
