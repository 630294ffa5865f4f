"""Where the recipes and corpora that come with the program stand."""

from pathlib import Path
from typing import Literal

import nmt


def shipped_directory(name: Literal["recipes", "corpora"]) -> Path:
    """Inside the package once it is installed from a wheel, beside it in a checkout."""
    package = Path(nmt.__file__).parent
    installed = package / "shipped" / name
    return installed if installed.is_dir() else package.parent / name


def read_purpose(path: Path) -> str:
    """What a recipe or a study is for: the comment on its first line; empty without one."""
    with path.open(encoding="utf-8") as lines:
        first = lines.readline()
    return first.lstrip("#").strip() if first.startswith("#") else ""
