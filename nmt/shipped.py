"""Where the recipes and corpora that come with the program stand."""

from pathlib import Path
from typing import Literal

import nmt


def folder(name: Literal["recipes", "corpora"]) -> Path:
    """Inside the package once it is installed from a wheel, beside it in a checkout."""
    package = Path(nmt.__file__).parent
    installed = package / "shipped" / name
    return installed if installed.is_dir() else package.parent / name
