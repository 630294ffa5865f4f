"""Settings of a recipe that name files: absolute paths, what is read from the files at once, and cell files,
of which a run keeps a copy; recipes without the paths of this machine."""

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from nmt.cells import CELL_FILE
from nmt.data.pairs import COLUMN
from nmt.data.sources import CorpusSettings
from nmt.data.vectors import read_dimension
from nmt.errors import DataError, UsageError
from nmt.files import expand_home, is_hub_name, write_file
from nmt.hub import find_model
from nmt.recipe.schema import FILE_SETTINGS, Recipe, find_stack_settings
from nmt.recipe.yaml import FilePosition, Problem, YamlNode
from nmt.trust import CODE_BYTES, trust_file
from nmt.untrusted_files import RefusedFile, check_inside, read_bytes


def resolve_files(tree: YamlNode, problems: list[Problem]) -> YamlNode:
    """Return the tree with absolute paths, and with the sizes of embeddings that are read from files."""
    tree = _make_paths_absolute(_expand_embeddings(tree), problems)
    return _read_embedding_sizes(tree, problems)


def _make_paths_absolute(tree: YamlNode, problems: list[Problem]) -> YamlNode:
    """Return the tree with `data.root`, other runs and the files of user-defined cells made absolute."""
    root = tree.find("data", "root") or _default_root(tree)
    if root and isinstance(root.value, str) and not root.value.startswith("corpus:"):
        tree = _replace_setting(
            tree, YamlNode(_absolute(root.value, root.position), root.position, root.key), "data", "root"
        )
    for path in FILE_SETTINGS:
        node = tree.find(*path)
        if node:
            tree = _replace_setting(tree, _absolute_files(node), *path)
    for side in ("encoder", "decoder"):
        cell = tree.find(side, "cell")
        if cell:
            tree = _replace_setting(tree, _absolute_cell(cell, f"{side}.cell", problems), side, "cell")
    return tree


def _expand_embeddings(tree: YamlNode) -> YamlNode:
    """Return the tree with `embedding: {file: F, size: N}` as two settings, `embedding_file` first."""
    for side in ("encoder", "decoder"):
        node = tree.find(side, "embedding")
        if node is None or not isinstance(node.value, dict) or not node.value.keys() <= {"file", "size"}:
            continue
        if "file" in node.value:
            tree = _replace_setting(tree, node.value["file"], side, "embedding_file")
            tree = _replace_setting(tree, node.value.get("size", node), side, "embedding")
    return tree


def _read_embedding_sizes(tree: YamlNode, problems: list[Problem]) -> YamlNode:
    """Return the tree with the size of a file's vectors where no size of the embedding is given with it."""
    for side in ("encoder", "decoder"):
        node, file = tree.find(side, "embedding"), tree.find(side, "embedding_file")
        if (
            node is None
            or file is None
            or not isinstance(node.value, dict)
            or not isinstance(file.value, str)
        ):
            continue
        try:
            size = read_dimension(Path(file.value))
        except DataError as error:
            problems.append(Problem(file.position, f"{side}.embedding", str(error)))
            size = 1
        tree = _replace_setting(tree, YamlNode(size, node.position, node.key), side, "embedding")
    return tree


def _default_root(tree: YamlNode) -> YamlNode | None:
    """Return the folder of the recipe that names the training pairs, for a recipe without `data.root`."""
    train = tree.find("data", "train")
    return YamlNode(".", train.position, train.key) if train else None


def _absolute_files(node: YamlNode) -> YamlNode:
    """Return a path, or a list of paths, made absolute; other values as they are."""
    value = node.value
    if isinstance(value, list):
        value = [_absolute_files(entry) for entry in value]
    elif is_hub_name(value) and not node.position.source.is_loaded:
        value = str(find_model(Path(value)))
    elif isinstance(value, str):
        value = _absolute(value, node.position)
    return YamlNode(value, node.position, node.key)


def _absolute(path: str, position: FilePosition) -> str:
    try:
        return os.path.abspath(position.source.folder / expand_home(path))
    except UsageError as error:
        raise UsageError(f"{position}: {error}") from None


def _absolute_cell(cell: YamlNode, path: str, problems: list[Problem]) -> YamlNode:
    if isinstance(cell.value, list):
        return YamlNode(
            [_absolute_cell(item, path, problems) for item in cell.value], cell.position, cell.key
        )
    match = CELL_FILE.fullmatch(cell.value) if isinstance(cell.value, str) else None
    if match is None:
        return cell
    file = _absolute(match["file"], cell.position)
    if cell.position.source.is_loaded and not _is_member(Path(file), match["file"]):
        what = f"{match['file']} is not a file of this directory: copy it there, and name it without a folder"
        problems.append(Problem(cell.position, path, what))
    elif not os.path.isfile(file):
        problems.append(Problem(cell.position, path, f"no such file: {file}"))
    elif not cell.position.source.is_loaded:
        trust_file(Path(file))
    return YamlNode(f"{file}:{match['name']}", cell.position, cell.key)


def _is_member(file: Path, name: str) -> bool:
    """Return True for a file that is named without a folder, and that no link leads out of its directory."""
    try:
        check_inside(file, file.parent)
    except RefusedFile:
        return False
    return file.name == name


def _replace_setting(tree: YamlNode, leaf: YamlNode, section: str, name: str) -> YamlNode:
    """Return the tree with one setting of a section replaced."""
    old = tree.value[section]
    new = YamlNode({**old.value, name: leaf}, old.position, old.key)
    return YamlNode({**tree.value, section: new}, tree.position, tree.key)


def remove_paths(recipe: Recipe, root: str = ".") -> Recipe:
    """Return the recipe with `root` as the directory of its data, unless that is a corpus known by name.

    Of files outside of the data's directory, and of models that it was trained from, the names are kept.
    """
    data: Any = recipe.data
    parts = {name: _last_part(getattr(data, name)) for name in ("train", "valid", "test")}
    is_named = data.root.startswith("corpus:")
    sections: dict[str, Any] = {"data": replace(data, root=data.root if is_named else root, **parts)}
    for section, name in FILE_SETTINGS:
        settings: Any = sections.get(section, getattr(recipe, section, None))
        if hasattr(settings, name):
            sections[section] = replace(settings, **{name: _last_part(getattr(settings, name))})
    return replace(recipe, **sections)


def _last_part(value: Any) -> Any:
    """Return the name of a path that leads out of the directory, and other values as they are."""
    if isinstance(value, list):
        return [_last_part(one) for one in value]
    if isinstance(value, CorpusSettings):
        names = ("pairs", "sentence_weights", "alignments")
        return replace(value, **{name: _last_part(getattr(value, name)) for name in names})
    if not isinstance(value, str) or value.startswith(COLUMN):
        return value
    for path in (PurePosixPath(value), PureWindowsPath(value)):  # the run may be from another system
        if path.anchor or ".." in path.parts:
            return path.name or "."
    return value


def find_cell_files(recipe: Recipe) -> list[Path]:
    """Return the files of a recipe's user-defined cells, each once; UsageError if two have the same name."""
    found: dict[str, Path] = {}
    for cell in _cells(recipe):
        file, colon, _ = cell.rpartition(":")
        if colon and found.setdefault(Path(file).name, Path(file)) != Path(file):
            raise UsageError(
                f"{file} and {found[Path(file).name]} have the same name, and a run keeps both: rename one"
            )
    return list(found.values())


def relocate_cells(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with its cell files in `folder`; with `Path()`, next to the recipe."""

    def move(cell: str) -> str:
        file, colon, name = cell.rpartition(":")
        return f"{folder / Path(file).name}:{name}" if colon else cell

    sides: dict[str, Any] = {}
    for name, side in find_stack_settings(recipe).items():
        cell = move(side.cell) if isinstance(side.cell, str) else [move(one) for one in side.cell]
        sides[name] = replace(side, cell=cell)
    return replace(recipe, **sides)


def copy_cell_files(recipe: Recipe, run: Path, *, resumes: bool) -> None:
    """Copy the files into a run; UsageError if one differs from the file that the run started with."""
    for file in find_cell_files(recipe):
        kept, content = run / file.name, read_bytes(file, CODE_BYTES, inside=False)
        if resumes and os.path.lexists(kept) and read_bytes(kept, CODE_BYTES) != content:
            raise UsageError(
                f"{file} differs from the file that {run} started with ({kept}): a new cell needs a new run; "
                "choose another directory with --output"
            )
        if os.path.abspath(file) != os.path.abspath(kept):
            write_file(kept, content)


def _cells(recipe: Recipe) -> list[str]:
    return [cell for side in find_stack_settings(recipe).values() for cell in side.cells]
