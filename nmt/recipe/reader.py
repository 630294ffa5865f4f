"""The reader of recipes: files, the recipes that they extend, and command-line settings, merged and checked.

Files are merged in the order in which they are named, each on top of what it `extends:`, and settings of
the command line come last. Sections are merged setting by setting; every other value, lists too, replaces
the earlier one.

Relative paths (`data.root`, the file of a user-defined cell) start at the recipe file that names them, on
the command line at the current folder, and `~` is the home folder. They become absolute, so a resolved
recipe means the same wherever it is read from.

A recipe may name any file of a user-defined cell, and that file is then trusted (`nmt.trust`). The recipe in
a run or model directory extends nothing and names cell files of that directory only; they need consent.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path

from nmt.errors import DataError, UsageError, suggestion
from nmt.files import expand_home, find_shipped_files, shipped_directory
from nmt.recipe import yaml as yaml12
from nmt.recipe.automatic import complete_tree
from nmt.recipe.file_settings import remove_paths, resolve_files
from nmt.recipe.schema import TASKS, Recipe, TranslationRecipe, select_task
from nmt.recipe.sections import find_subsections, to_plain
from nmt.recipe.settings_file import build_error, validate_node
from nmt.recipe.yaml import COMMAND_LINE, FilePosition, Problem, YamlNode, YamlSource
from nmt.settings import Settings
from nmt.untrusted_files import RefusedFile, read_recipe_text

RECIPE = "recipe.yaml"
"""The recipe of a run or model directory."""
SPLIT = "split.json"
"""The description of the split in a directory of `nmt new`."""
CARD = "model.json"
"""The list of checksums of a model directory."""
LOADED = (CARD, "checkpoints")
"""Names that a model or run directory has besides its recipe."""
OVERRIDE = re.compile(r"\s*[\w-]+(\.[\w-]+)*\s*=")


def read_recipe(
    names: Sequence[str], overrides: Sequence[str] = (), *, source: YamlSource = COMMAND_LINE
) -> TranslationRecipe:
    """Read a translator's recipe, as `read_any_recipe` does; UsageError for another task."""
    recipe = read_any_recipe(names, overrides, source=source)
    if translation := select_task(recipe, TranslationRecipe):
        return translation
    raise UsageError(f"{names[-1]} is the recipe of a {recipe.task}; expected the recipe of a translator")


def read_any_recipe(
    names: Sequence[str], overrides: Sequence[str] = (), *, source: YamlSource = COMMAND_LINE
) -> Recipe:
    """Read a recipe from files (or names of shipped recipes) and `key=value` settings; the later wins.

    `source` is where the settings come from, for messages and relative paths. Raises UsageError with every
    mistake found, as `file:line:column: setting: what is wrong`.
    """
    problems: list[Problem] = []
    files = [load_node(name, Path(), problems) for name in names]
    settings = [parse_setting(text, problems, source) for text in overrides]
    recipe = build_recipe([*files, *settings], problems)
    if recipe is None or problems:
        by_text = dict(zip(overrides, settings, strict=True))
        raise build_error(_name_causes(problems, files, by_text), "recipe")
    return recipe


def _name_causes(
    problems: list[Problem], files: list[YamlNode | None], settings: dict[str, YamlNode | None]
) -> list[Problem]:
    """Add to problems with other settings the one that caused them, and what to type instead."""
    if None in files or None in settings.values() or not files:
        return problems
    remaining = {
        text: {problem.path for problem in _find_problems(files, settings, without=text)} for text in settings
    }
    described = []
    for problem in problems:
        causes = (text for text, paths in remaining.items() if problem.path not in paths)
        cause = next(causes, None)
        if cause is not None and cause.partition("=")[0].strip() != problem.path:
            remedy = _find_remedy(problem.path, files, settings)
            advice = f"omit {cause}" + (f", or add {remedy}" if remedy else "")
            problem = problem._replace(what=f"{problem.what}; {advice}")
        described.append(problem)
    return described


def _find_problems(
    files: list[YamlNode | None], settings: dict[str, YamlNode | None], without: str = ""
) -> list[Problem]:
    problems: list[Problem] = []
    build_recipe([*files, *(node for text, node in settings.items() if text != without)], problems)
    return problems


def _find_remedy(path: str, files: list[YamlNode | None], settings: dict[str, YamlNode | None]) -> str | None:
    """Return `path=default` if the recipe is valid with it."""
    section: type[Settings] = _kind(*filter(None, reversed([*files, *settings.values()])))
    *parents, name = path.split(".")
    for parent in parents:
        if (inner := find_subsections(section).get(parent)) is None:
            return None
        section = inner
    default = next((field.default for field in fields(section) if field.name == name), MISSING)
    if not isinstance(default, (str, int, float, type(None))):
        return None
    remedy = f"{path}={default if isinstance(default, str) else json.dumps(default)}"
    valid = not _find_problems(files, settings | {remedy: parse_setting(remedy, [])})
    return remedy if valid else None


def read_model_recipe(folder: Path) -> Recipe:
    """Read the recipe of a run or model directory; DataError with every mistake found.

    That of a model directory finds data in this directory only.
    """
    problems: list[Problem] = []
    recipe = build_recipe([_load(folder / RECIPE, None, (), problems, is_loaded=True)], problems)
    if recipe is None and not _is_utf8(os.path.abspath(folder)):
        raise DataError(f"{folder}: its path is not UTF-8, and paths of its recipe are inside: rename it")
    if recipe is None or problems:
        raise DataError(str(build_error(problems, "recipe")))
    return remove_paths(recipe, os.path.abspath(folder)) if os.path.lexists(folder / CARD) else recipe


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def build_recipe(trees: Sequence[YamlNode | None], problems: list[Problem]) -> Recipe | None:
    """Merge trees, the later over the earlier, into a recipe; None, and problems, if it is not valid.

    A tree that is None could not be read; that is among the problems already.
    """
    tree = YamlNode({}, FilePosition(YamlSource("recipe", Path())))
    for layer in trees:
        if layer is None or not isinstance(layer.value, dict):
            return None
        tree = _merge(tree, layer, _kind(layer, tree))
    return validate_node(_kind(tree), resolve_files(tree, problems), problems)


def dump(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML text that reads back as an equal recipe."""
    return yaml12.write(to_plain(recipe))


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the words of a command line into recipes and `key=value` settings."""
    overrides = [word for word in arguments if OVERRIDE.match(word)]
    return [word for word in arguments if not OVERRIDE.match(word)], overrides


def list_shipped_names() -> list[str]:
    """Return the names of the shipped recipes."""
    return [path.stem for path in find_shipped_files()]


def shipped_file(name: str) -> Path:
    """Return the file of a shipped recipe; UsageError if there is none of this name."""
    names = list_shipped_names()
    if (Path(name) / "recipe.yaml").is_file():
        file = Path(name) / "recipe.yaml"
        raise UsageError(f"{name} is a run; its recipe is {file} (to resume it: nmt train {file} -o {name})")
    if name not in names:
        raise UsageError(
            f"no recipe '{name}', {suggestion(name, names)}\n(the name of a recipe file ends in .yaml)"
        )
    return shipped_directory("recipes") / f"{name}.yaml"


def is_project(path: Path) -> bool:
    """Return True for a directory that `nmt new` made: it has a recipe and its data, and is no run."""
    return (path / SPLIT).is_file() and (path / RECIPE).is_file()


def load_node(name: str, start: Path, problems: list[Problem]) -> YamlNode | None:
    """Read the tree of a recipe named in the folder `start`; None, and a problem, if it cannot be read."""
    return _load(_find_file(name, start), None, (), problems)


def _find_file(name: str, start: Path) -> Path:
    """Return the file of a recipe: a path ends in .yaml or .yml, all else names a shipped recipe.

    A directory of `nmt new` is the recipe in it.
    """
    if is_project(start / expand_home(name)):
        return start / expand_home(name) / RECIPE
    return start / expand_home(name) if name.endswith((".yaml", ".yml")) else shipped_file(name)


def _load(
    path: Path,
    named: FilePosition | None,
    parents: tuple[Path, ...],
    problems: list[Problem],
    *,
    is_loaded: bool = False,
) -> YamlNode | None:
    """Read a file's tree on top of what it extends; None, and a problem, if any of it cannot be read."""
    is_loaded = is_loaded or (
        path.name == RECIPE and any(os.path.lexists(path.parent / name) for name in LOADED)
    )
    source = YamlSource(str(path), path.parent, is_loaded)
    try:
        tree = yaml12.read(read_recipe_text(path, inside=is_loaded), source, problems)
    except RefusedFile as error:
        where = (named, "extends", f"{source.name}: ") if named else (FilePosition(source), "", "")
        problems.append(Problem(where[0], where[1], where[2] + error.reason))
        return None
    if tree is None:
        return None
    if not isinstance(tree.value, dict):
        problems.append(Problem(tree.position, "", "a recipe is made of settings, `name: value`"))
        return None
    base = tree.value.pop("extends", None)
    if source.is_loaded and base is not None:
        problems.append(Problem(base.position, "extends", "not used in a run or model directory"))
        return None
    if source.is_loaded:
        return complete_tree(tree)
    return tree if base is None else _merge_base(tree, base, path, (*parents, path.resolve()), problems)


def _merge_base(
    tree: YamlNode, base: YamlNode, path: Path, parents: tuple[Path, ...], problems: list[Problem]
) -> YamlNode | None:
    try:
        below = _find_file(base.value, path.parent) if isinstance(base.value, str) else None
    except UsageError as error:
        problems.append(Problem(base.position, "extends", str(error).splitlines()[0]))
        return None
    if below is None:
        what = "expected one recipe: a file next to this one, or a shipped name"
        problems.append(Problem(base.position, "extends", what))
        return None
    if below.resolve() in parents:
        circle = " -> ".join(file.name for file in (*parents, below))
        problems.append(Problem(base.position, "extends", f"recipes extend each other in a circle: {circle}"))
        return None
    under = _load(below, base.position, parents, problems)
    return None if under is None else _merge(under, tree, _kind(tree, under))


def parse_setting(text: str, problems: list[Problem], source: YamlSource = COMMAND_LINE) -> YamlNode | None:
    """Parse a `key=value` of the command line as a tree."""
    position = FilePosition(source)
    if not OVERRIDE.match(text):
        problems.append(
            Problem(position, "", f"'{text}' is not a setting: write key=value, as search.beam=1")
        )
        return None
    path, value = (part.strip() for part in text.split("=", 1))
    if path.count(".") > yaml12.DEEPEST:
        problems.append(Problem(position, "", "a setting is nested too deep"))
        return None
    known = len(problems)
    node = yaml12.read(value, position.source, problems, only=position) if value else YamlNode(None, position)
    problems[known:] = [problem._replace(path=path) for problem in problems[known:]]
    if node is None:
        return None
    for key in reversed(path.split(".")):
        node = YamlNode({key: YamlNode(node.value, position, position)}, position)
    return node


def _kind(*trees: YamlNode) -> type[Recipe]:
    """Return the recipe class of the first `task` in the trees; by default that of translation."""
    tasks = (node.value for tree in trees if (node := tree.find("task")))
    task = next(tasks, None)
    return TASKS.get(task, TranslationRecipe) if isinstance(task, str) else TranslationRecipe


def _merge(old: YamlNode, new: YamlNode, section: type[Settings]) -> YamlNode:
    """Merge `new` over `old`: sections setting by setting, everything else replaced."""
    merged = dict(old.value)
    for name, node in new.value.items():
        below, inner = merged.get(name), find_subsections(section).get(name)
        if inner and below and isinstance(below.value, dict) and isinstance(node.value, dict):
            node = _merge(below, node, inner)
        merged[name] = node
    here = new if new.position.line else old  # a file is more useful in a message than the command line
    return YamlNode(merged, here.position, here.key)
