"""The definition of a pipeline: commands of `nmt` with placeholders, and the values of the placeholders.

Errors name the line of the pipeline file.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nmt.data.corpora import corpus_root
from nmt.data.sources import find_part
from nmt.errors import DataError, UsageError
from nmt.files import expand_home, find_shipped_files, read_purpose
from nmt.lab.pipeline.placeholders import PREDEFINED, Values, expand_name, expand_word
from nmt.recipe.reader import RECIPE, is_project, parse_setting, read_recipe
from nmt.recipe.sections import STRICT
from nmt.recipe.settings_file import build_error, find_settings_file, read_settings
from nmt.recipe.yaml import COMMAND_LINE, FilePosition, Problem, YamlNode
from nmt.settings import Conflict, Settings

STEP_NAME = re.compile(r"\w[\w.+-]{,79}")
CORPUS = "corpus:"
SCALARS = (str, int, float, bool)


@dataclass(frozen=True, kw_only=True)
class PipelineDefinition(Settings):
    """Commands of `nmt`, and the parameters in them."""

    __pydantic_config__ = STRICT

    recipes: dict[str, str | None]
    """Recipes: files next to the pipeline, or names; null: given on the command line. `{train}` and the like
    are the files of the first one."""
    files: dict[str, Any] = field(default_factory=dict)
    """Files, or lists of files, relative to the pipeline file or as `corpus:NAME/FILE`; null: given on the
    command line."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """All other values: a text, a number, or a list; null: given on the command line."""
    steps: dict[str, str]
    """The command of each step, without `nmt`; it ends in `> FILE` to write what it prints to a file."""

    @property
    def names(self) -> list[str]:
        """The names that the command line can set."""
        return [*self.recipes, *self.files, *self.parameters]

    def conflicts(self) -> Iterator[Conflict]:
        if not self.recipes:
            yield "recipes", "add a recipe, `name: recipe`"
        if not self.steps:
            yield "steps", "add a step, `name: command`"
        for section in ("recipes", "files", "parameters"):
            for name, value in getattr(self, section).items():
                if not re.fullmatch(r"[A-Za-z_]\w*", name) or name in PREDEFINED:
                    yield (
                        f"{section}.{name}",
                        f"choose another name, one word, none of {', '.join(PREDEFINED)}",
                    )
                elif self.names.count(name) > 1:
                    yield f"{section}.{name}", "another recipe, file or parameter has this name"
                elif value is not None and not is_value(value):
                    yield f"{section}.{name}", "expected a text, a number, or a list of them"


def is_value(value: Any) -> bool:
    """Return True for a scalar or a list of scalars."""
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, SCALARS) for item in items)


class StepLine(NamedTuple):
    """A step of the file, with all placeholders replaced."""

    name: str
    words: Sequence[str]
    position: FilePosition


class PipelinePlan(NamedTuple):
    """A pipeline with the values of its parameters."""

    title: str
    directory: Path
    values: Values
    overrides: Sequence[str]  # settings for all models
    lines: Sequence[StepLine]


def read_pipeline(name: str, settings: Sequence[str], directory: Path) -> PipelinePlan:
    """Read a pipeline whose files are in `directory`, with `key=value` settings of the command line.

    Settings that are not the pipeline's are for the recipes of all models. Raises UsageError with every
    mistake, as `file:line:column: setting: what is wrong`.
    """
    file = find_settings_file(name, "pipeline", find_shipped_files("pipelines"))
    definition, tree = read_settings(PipelineDefinition, file, "pipeline")
    problems: list[Problem] = []
    given: dict[str, YamlNode] = {}
    overrides = []
    for text in settings:
        key = text.partition("=")[0].strip()
        if key not in definition.names:
            overrides.append(text)
        elif node := parse_setting(text, problems):
            given[key] = node.value[key]
    values = _read_values(definition, tree, given, problems)
    if problems:
        raise build_error(problems, "pipeline")
    values |= _read_recipe_values(values[next(iter(definition.recipes))], overrides, directory)
    values["here"] = os.path.abspath(directory)
    lines = list(_expand_steps(tree, values, problems))
    if problems:
        raise build_error(problems, "pipeline")
    return PipelinePlan(read_purpose(file) or file.stem, directory, values, overrides, lines)


def _read_values(
    definition: PipelineDefinition, tree: YamlNode, given: Mapping[str, YamlNode], problems: list[Problem]
) -> dict[str, Any]:
    """Return the value of each name; a path is absolute."""
    values = {}
    for section in ("recipes", "files", "parameters"):
        for name, default in getattr(definition, section).items():
            node = given.get(name) or tree.find(section, name)
            assert node is not None  # it is in the file
            value = node.plain()
            try:
                values[name] = _check_value(section, value, default, node.position.source.folder)
            except ValueError as error:
                what = f"missing: add {name}=... to the command" if value is None else str(error)
                problems.append(Problem(node.start, name, what))
    return values


def _check_value(section: str, value: Any, default: Any, folder: Path) -> Any:
    """Return a value of the kind of its default, with paths made absolute; ValueError for anything else."""
    if value is None or not is_value(value):
        raise ValueError("expected a text, a number, or a list of them")
    if section == "recipes":
        if not isinstance(value, str):
            raise ValueError("expected a recipe")
        path = Path(os.path.abspath(folder / expand_home(value)))
        if is_project(path):
            return str(path / RECIPE)
        return str(path) if value.endswith((".yaml", ".yml")) else value
    if section == "files":
        return (
            [_find_file(item, folder) for item in value]
            if isinstance(value, list)
            else _find_file(value, folder)
        )
    if default is not None and isinstance(value, list) is not isinstance(default, list):
        raise ValueError(f"expected {'a list, such as [1, 2]' if isinstance(default, list) else 'one value'}")
    numbers = (int, float)
    if isinstance(default, numbers) and not isinstance(value, numbers):
        raise ValueError(f"expected a number (got '{value}')")
    return value


def _find_file(name: Any, folder: Path) -> str:
    if not isinstance(name, str):
        raise ValueError("expected the name of a file")
    if name.startswith(CORPUS):
        corpus, _, file = name.removeprefix(CORPUS).partition("/")
        try:
            path = corpus_root(corpus) / file
        except UsageError as error:
            raise ValueError(str(error)) from None
    else:
        path = Path(os.path.abspath(folder / expand_home(name)))
    if not path.exists():
        raise ValueError(f"no such file: {path}")
    return str(path)


def _read_recipe_values(name: str, overrides: Sequence[str], directory: Path) -> dict[str, Any]:
    """Return languages and files of a recipe; no files for a part that is missing or several corpora."""
    here = COMMAND_LINE._replace(folder=Path(os.path.abspath(directory)))  # where the commands run
    recipe = read_recipe([name], overrides, source=here)
    values: dict[str, Any] = {"src": recipe.data.src, "tgt": recipe.data.tgt}
    for part in ("train", "valid", "test"):
        if part == "train" and recipe.data.corpora:
            continue
        with suppress(DataError, UsageError):  # reported if a step uses it
            values[part] = [os.path.abspath(file) for file in find_part(recipe.data, part).files]
    return values


def _expand_steps(tree: YamlNode, values: Values, problems: list[Problem]) -> Iterator[StepLine]:
    steps = tree.find("steps")
    assert steps is not None  # it was validated
    known = set[str]()
    for written, node in steps.value.items():
        try:
            for name, bound in expand_name(written, values):
                if not STEP_NAME.fullmatch(name):
                    raise ValueError(
                        "a name must have at most 80 letters, digits and . + - _: it is part of file names"
                    )
                if name in known:
                    raise ValueError(f"another step is named '{name}'")
                known.add(name)
                words = [word for text in shlex.split(node.value) for word in expand_word(text, bound)]
                yield StepLine(name, words, node.position)
        except ValueError as error:
            problems.append(Problem(node.start, f"steps.{written}", str(error)))
