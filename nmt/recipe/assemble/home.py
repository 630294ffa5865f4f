"""Where the recipe and the vocabularies of a model lie."""

from pathlib import Path

from nmt.errors import UsageError


def home(path: Path) -> Path:
    """The folder that holds the recipe and the vocabularies of a model."""
    for folder in (path, path.resolve().parent.parent):
        if (folder / "recipe.yaml").is_file():
            return folder
    if not path.exists():
        raise UsageError(f"there is no {path}; give a run, a checkpoint or a model directory")
    raise UsageError(f"{path} is neither a run, a checkpoint nor a model directory: it holds no recipe.yaml")
