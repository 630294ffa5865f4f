"""The option that draws what a verb prints: `--plot FILE`."""

from pathlib import Path
from typing import Annotated

import typer


def _checked(file: Path | None) -> Path | None:
    """UsageError before any work begins where the picture could not be drawn after it."""
    if file is not None:
        from nmt.insight.figure import drawable

        drawable(file)
    return file


Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Draw it too: .svg, .png or .pdf.", show_default=False, callback=_checked
    ),
]
