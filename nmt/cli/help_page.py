"""The help of a verb: plain text for 80 columns, with its options by subject."""

import re
from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand

COLUMN = 28
"""Maximum width of the first column; the explanation of a longer name begins on the next line."""
METAVARS = {"int": "N", "int range": "N", "float": "X", "float range": "X", "path": "FILE", "str": "TEXT"}
LOWER_BOUND = re.compile(r"x>=?[\d.]+")


class VerbCommand(TyperCommand):
    """A verb whose help names the value of an option once, and none for a flag."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        return ["[OPTIONS]", *(_format_argument(param) for param in arguments)]

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence, however long, for the list of verbs."""
        return super().get_short_help_str(max(limit, 1000))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for the arguments, and one for each group of options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            is_argument = param.param_type_name == "argument"
            title = "Arguments" if is_argument else getattr(param, "rich_help_panel", None) or "Options"
            name = _find_metavar(param) if is_argument else " ".join(_list_option_parts(param, ctx))
            sections.setdefault(title, []).append((name, _shorten_explanation(record[1])))
        sections["Options"] = sections.pop("Options")  # after the groups of a long help
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=COLUMN)


def _find_metavar(param: Any) -> str:
    if param.metavar:
        return str(param.metavar)
    return str(param.name).upper()


def _format_argument(param: Any) -> str:
    name = _find_metavar(param)
    name += "..." if param.nargs == -1 and "..." not in name else ""
    return name if param.required else f"[{name}]"


def _list_option_parts(param: Any, ctx: Any) -> Iterator[str]:
    """Yield the names of an option, the shortest first, and its value."""
    names = ", ".join(sorted(param.opts, key=len))
    yield names if names[1] != "-" else f"    {names}"
    if param.secondary_opts:
        yield "/ " + ", ".join(param.secondary_opts)
    if param.metavar:
        yield str(param.metavar)
    elif not (param.is_flag or param.count):
        kind = param.display_type_rich(ctx=ctx).strip("<>")
        yield METAVARS.get(kind, kind)


def _shorten_explanation(text: str) -> str:
    """Remove the lower bounds that Typer appends to an explanation, such as `x>=1`."""
    words, bracket, notes = text.rpartition("  [")
    if not bracket:
        return text
    kept = [note for note in notes.removesuffix("]").split("; ") if not LOWER_BOUND.fullmatch(note)]
    return f"{words} [{'; '.join(kept)}]" if kept else words
