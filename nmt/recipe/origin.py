"""The files of a run and the settings that the weights of a checkpoint belong to."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt.data.trained_lengths import LENGTHS
from nmt.errors import DataError
from nmt.files import file_sha256
from nmt.recipe.cell_files import find_cell_files, relocate_cells
from nmt.recipe.prepare_data import vocabulary_file
from nmt.recipe.reader import RECIPE
from nmt.recipe.schema import Recipe
from nmt.recipe.setting_changes import find_changes, flatten_recipe, is_inside, select_fixed
from nmt.training import checkpoint
from nmt.training.checkpoint import METADATA, Metadata
from nmt.untrusted_files import RefusedFile, check_sha256, check_values, find_member

OF_MODEL = ("task", "subwords", "encoder", "decoder", "data.protect")
"""The settings on which a trained model depends: its modules, its tokens, and what it copies."""


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
