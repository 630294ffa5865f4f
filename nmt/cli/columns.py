"""Text in the columns of a terminal, of which a Korean letter takes two."""

import unicodedata
from collections.abc import Sequence

WIDTH = 80
SPLITTING = ("Cc", "Zl", "Zp")
"""Categories of the letters that move on to another line, or do worse to a terminal."""


def one_line(text: str) -> str:
    """A text without line breaks and other control characters: they are written as in Python, \\n say."""
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in SPLITTING else letter
        for letter in text
    )


def hanging(name: str, text: str) -> str:
    """A text behind its name, as many lines as it takes, each beginning where the first does."""
    from rich.cells import cell_len

    margin = cell_len(name)
    return name + f"\n{'':{margin}}".join(wrapped(one_line(text), WIDTH - margin))


def wrapped(text: str, width: int) -> list[str]:
    """Lines no wider than `width`; a word that is wider than that is cut."""
    from rich.cells import cell_len, chop_cells

    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if cell_len(longer) <= width:
            lines[-1:] = [longer]
        else:
            lines += chop_cells(word, width) or [""]
    return lines


def beside(name: str, column: int, rest: str) -> str:
    """What stands behind a name from a column on; under the name where that is too long."""
    from rich.cells import cell_len

    if cell_len(name) > column:
        return f"{name}\n{'':{column}}{rest}"
    return f"{name}{'':{column - cell_len(name)}}{rest}"


def nameless(gates: Sequence[str]) -> str:
    """What there is to say of a cell's gates of which nothing can be shown."""
    return f"its step gives no name to the value of {', '.join(gates)}"
