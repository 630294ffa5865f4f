"""The recipes and corpora that are part of this package."""

from pathlib import Path
from typing import Literal

import nmt


def shipped_directory(name: Literal["recipes", "corpora"]) -> Path:
    """Return the directory: inside an installed package, next to the package in a checkout."""
    package = Path(nmt.__file__).parent
    installed = package / "shipped" / name
    return installed if installed.is_dir() else package.parent / name


def read_purpose(path: Path) -> str:
    """Return the comment on the first line of a recipe or study: its purpose; empty without one."""
    with path.open(encoding="utf-8") as lines:
        first = lines.readline()
    return first.lstrip("#").strip() if first.startswith("#") else ""
