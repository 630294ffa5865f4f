"""Reads recipes: files, what they extend, and settings from the command line, into one checked recipe.

Files are merged in the order in which they are named, each on top of what it `extends:`, and settings of
the command line come last. Sections are merged setting by setting; every other value, lists too, replaces
the earlier one.

Relative paths (`data.root`, the file of a cell of one's own) start at the recipe file that names them, on
the command line at the current folder, and `~` is the home folder. They become absolute, so a resolved
recipe means the same wherever it is read from.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from nmt.errors import UsageError, suggestion
from nmt.files import shipped_directory
from nmt.recipe import yaml as yaml12
from nmt.recipe.errors import conflict_problems, problems_of
from nmt.recipe.schema import (
    TASKS,
    Recipe,
    SettingsT,
    TranslationRecipe,
    find_conflicts,
    subsections,
    to_plain,
    validate,
)
from nmt.recipe.yaml import COMMAND_LINE, Node, Place, Problem, Source
from nmt.settings import Settings

CELL_FILE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")
OVERRIDE = re.compile(r"\s*[\w-]+(\.[\w-]+)*\s*=")


def read_recipe(names: Sequence[str], overrides: Sequence[str] = ()) -> TranslationRecipe:
    """`read_any` of a translator's recipe; UsageError for another's."""
    recipe = read_any(names, overrides)
    if isinstance(recipe, TranslationRecipe):
        return recipe
    raise UsageError(f"{names[-1]} is the recipe of a {recipe.task}; expected the recipe of a translator")


def read_any(names: Sequence[str], overrides: Sequence[str] = ()) -> Recipe:
    """The recipe made of files (or names of shipped recipes) and `key=value` settings; the later wins.

    Raises UsageError with every mistake found, as `file:line:column: setting: what is wrong`.
    """
    problems: list[Problem] = []
    trees = [load_node(name, Path(), problems) for name in names]
    trees += [setting(text, problems) for text in overrides]
    recipe = checked(trees, problems)
    if recipe is None or problems:
        raise refused(problems, "recipe")
    return recipe


def checked(trees: Sequence[Node | None], problems: list[Problem]) -> Recipe | None:
    """The recipe that trees make, the later over the earlier; None, and problems, if they make none.

    A tree that is None could not be read, which is among the problems already.
    """
    tree = Node({}, Place(Source("recipe", Path())))
    for layer in trees:
        if layer is None or not isinstance(layer.value, dict):
            return None
        tree = _merge(tree, layer, _kind(layer, tree))
    return validated(_kind(tree), _with_absolute_paths(tree, problems), problems)


def validated(kind: type[SettingsT], tree: Node, problems: list[Problem]) -> SettingsT | None:
    """The settings that a tree gives; None, and problems, if it gives none."""
    try:
        settings = validate(kind, tree.plain())
    except ValidationError as error:
        problems += problems_of(error, tree, kind)
        return None
    if conflicts := find_conflicts(settings):
        problems += conflict_problems(conflicts, tree)
        return None
    return settings


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML text that reads back as an equal recipe."""
    return yaml12.write(to_plain(recipe))


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a command line as recipes and `key=value` settings."""
    overrides = [word for word in arguments if OVERRIDE.match(word)]
    return [word for word in arguments if not OVERRIDE.match(word)], overrides


def shipped_names() -> list[str]:
    """Names of the recipes that come with the program."""
    return sorted(path.stem for path in shipped_directory("recipes").glob("*.yaml"))


def shipped_file(name: str) -> Path:
    """The file of a recipe that comes with the program."""
    names = shipped_names()
    if name not in names:
        raise UsageError(
            f"no recipe '{name}', {suggestion(name, names)}\n(the name of a recipe file ends in .yaml)"
        )
    return shipped_directory("recipes") / f"{name}.yaml"


def load_node(name: str, start: Path, problems: list[Problem]) -> Node | None:
    """The tree of a recipe named in the folder `start`; None, and a problem, if it cannot be read."""
    return _load(_find(name, start), None, (), problems)


def _find(name: str, start: Path) -> Path:
    """The file of a recipe: a path ends in .yaml or .yml, anything else is the name of a shipped one."""
    return start / Path(name).expanduser() if name.endswith((".yaml", ".yml")) else shipped_file(name)


def _load(path: Path, named: Place | None, parents: tuple[Path, ...], problems: list[Problem]) -> Node | None:
    """The file's tree on top of what it extends; None, and a problem, if any of it cannot be read."""
    source = Source(str(path), path.parent)
    try:
        tree = yaml12.read(path.read_bytes().decode("utf-8-sig"), source, problems)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(_unreadable(error, source, named))
        return None
    if tree is None:
        return None
    if not isinstance(tree.value, dict):
        problems.append(Problem(tree.place, "", "a recipe is made of settings, `name: value`"))
        return None
    base = tree.value.pop("extends", None)
    return tree if base is None else _extended(tree, base, path, (*parents, path.resolve()), problems)


def _unreadable(error: OSError | UnicodeDecodeError, source: Source, named: Place | None) -> Problem:
    """The problem with a file, said where it is named, if that is in another file."""
    why = (error.strerror or "cannot be read").lower() if isinstance(error, OSError) else "not UTF-8 text"
    return Problem(named, "extends", f"{source.name}: {why}") if named else Problem(Place(source), "", why)


def _extended(
    tree: Node, base: Node, path: Path, parents: tuple[Path, ...], problems: list[Problem]
) -> Node | None:
    try:
        below = _find(base.value, path.parent) if isinstance(base.value, str) else None
    except UsageError as error:
        problems.append(Problem(base.place, "extends", str(error).splitlines()[0]))
        return None
    if below is None:
        what = "expected one recipe: a file next to this one, or a shipped name"
        problems.append(Problem(base.place, "extends", what))
        return None
    if below.resolve() in parents:
        circle = " -> ".join(file.name for file in (*parents, below))
        problems.append(Problem(base.place, "extends", f"goes round in a circle: {circle}"))
        return None
    under = _load(below, base.place, parents, problems)
    return None if under is None else _merge(under, tree, _kind(tree, under))


def setting(text: str, problems: list[Problem]) -> Node | None:
    """A `key=value` of the command line as a tree."""
    place = Place(COMMAND_LINE)
    if not OVERRIDE.match(text):
        problems.append(Problem(place, "", f"'{text}' is not a setting: write key=value, as search.beam=1"))
        return None
    path, value = (part.strip() for part in text.split("=", 1))
    known = len(problems)
    node = yaml12.read(value, place.source, problems, only=place) if value else Node(None, place)
    problems[known:] = [problem._replace(path=path) for problem in problems[known:]]
    if node is None:
        return None
    for key in reversed(path.split(".")):
        node = Node({key: Node(node.value, place, place)}, place)
    return node


def _kind(*trees: Node) -> type[Recipe]:
    """The kind of recipe that the first tree with a `task` names; where none names a known one, the usual."""
    tasks = (node.value for tree in trees if (node := tree.at("task")))
    task = next(tasks, None)
    return TASKS.get(task, TranslationRecipe) if isinstance(task, str) else TranslationRecipe


def _merge(old: Node, new: Node, section: type[Settings]) -> Node:
    """`new` over `old`: sections setting by setting, everything else replaced."""
    merged = dict(old.value)
    for name, node in new.value.items():
        below, inner = merged.get(name), subsections(section).get(name)
        if inner and below and isinstance(below.value, dict) and isinstance(node.value, dict):
            node = _merge(below, node, inner)
        merged[name] = node
    here = new if new.place.line else old  # a file is a better place to look than the command line
    return Node(merged, here.place, here.key)


def _with_absolute_paths(tree: Node, problems: list[Problem]) -> Node:
    """The tree with `data.root`, other runs and the files of user's cells made absolute."""
    root = tree.at("data", "root") or _default_root(tree)
    if root and isinstance(root.value, str) and not root.value.startswith("corpus:"):
        tree = _put(tree, Node(_absolute(root.value, root.place), root.place, root.key), "data", "root")
    for path in (("subwords", "same_as"), ("training", "start_from")):
        run = tree.at(*path)
        if run and isinstance(run.value, str):
            tree = _put(tree, Node(_absolute(run.value, run.place), run.place, run.key), *path)
    for side in ("encoder", "decoder"):
        cell = tree.at(side, "cell")
        if cell:
            tree = _put(tree, _absolute_cell(cell, f"{side}.cell", problems), side, "cell")
    return tree


def _default_root(tree: Node) -> Node | None:
    """Without `data.root`, the folder of the recipe that names the training pairs."""
    train = tree.at("data", "train")
    return Node(".", train.place, train.key) if train else None


def _absolute(path: str, place: Place) -> str:
    return os.path.abspath(place.source.folder / Path(path).expanduser())


def _absolute_cell(cell: Node, path: str, problems: list[Problem]) -> Node:
    if isinstance(cell.value, list):
        return Node([_absolute_cell(item, path, problems) for item in cell.value], cell.place, cell.key)
    match = CELL_FILE.fullmatch(cell.value) if isinstance(cell.value, str) else None
    if match is None:
        return cell
    file = _absolute(match["file"], cell.place)
    if not os.path.isfile(file):
        problems.append(Problem(cell.place, path, f"no such file: {file}"))
    return Node(f"{file}:{match['name']}", cell.place, cell.key)


def _put(tree: Node, leaf: Node, section: str, name: str) -> Node:
    """The tree with one setting of a section replaced."""
    old = tree.value[section]
    new = Node({**old.value, name: leaf}, old.place, old.key)
    return Node({**tree.value, section: new}, tree.place, tree.key)


def refused(problems: list[Problem], what: str) -> UsageError:
    """All the problems as one error, by file, line and column; those of the command line come last."""
    order = sorted(dict.fromkeys(problems), key=lambda problem: problem.place.order())
    count = "1 mistake" if len(order) == 1 else f"{len(order)} mistakes"
    return UsageError("\n".join([f"{count} in the {what}", *map(str, order)]))
