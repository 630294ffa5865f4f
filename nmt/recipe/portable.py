"""Recipes that are passed on: without the paths of the machine on which a model was trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.data.pairs import COLUMN
from nmt.data.sources import CorpusSettings
from nmt.recipe.schema import FILE_SETTINGS, Recipe


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
    path = Path(value)
    return (path.name or ".") if path.is_absolute() or ".." in path.parts else value
