"""`nmt inspect sentence`: a translation seen from inside."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.terminal import WIDTH, beside, hanging, nameless, one_line
from nmt.errors import UsageError
from nmt.lab.doctor.finding import format_count

if TYPE_CHECKING:
    from nmt.lab.inspect.beam import BeamBranch
    from nmt.lab.inspect.sentence import OutputToken, SentenceTrace

FORMS = ("html", "svg", "png", "txt", "json")
PICTURES = ("svg", "png")
SPOKEN = ("txt", "json")
"""Forms that go to standard output where no file is named."""
COLUMNS = (16, 7, 22)
"""Of the text's table: the piece, its probability, where the model looked; the rest is for the others."""
NAMES = 36
"""Columns of a recurrence and the name of a gate or a state."""


def sentence(
    model: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run or a model directory.", show_default=False)
    ],
    text: Annotated[str, typer.Argument(metavar="SENTENCE", help="What to translate.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Else sentence.html.", show_default=False),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="|".join(FORMS), help="Else by FILE's ending.", show_default=False),
    ] = None,
) -> None:
    """Translate a sentence and show what the model did: its attention, gates and states, and the beam.

    The page (html) needs nothing but a browser. A picture (svg, png) needs
    matplotlib, which the extra `plot` brings. txt and json go to standard
    output where no file is named; json has every number.
    """
    kind = _form(output, form)
    file = output or (None if kind in SPOKEN else Path(f"sentence.{kind}"))
    if file is not None:
        _check(file, kind)
    from nmt.lab.inspect.inspect_model import inspect_sentence

    found = inspect_sentence(model, _readable(text))
    if file is not None and kind in PICTURES:
        from nmt.lab.inspect.page import draw_sentence

        draw_sentence(file, found, kind)
    else:
        _write(file, _written(found, kind, model.resolve().name))
    if file is not None:
        typer.echo(file)


def _check(file: Path, kind: str) -> None:
    """UsageError before any work begins where the file could not be written after it."""
    if kind in PICTURES:
        from nmt.lab.figure import check_picture

        check_picture(file, kind)
    else:
        from nmt.files import check_writable

        check_writable(file)


def _readable(text: str) -> str:
    """The sentence, in which bytes that are not UTF-8 are replaced with a note, as `nmt translate` does."""
    from nmt.data.text import read_lines_leniently

    [(mended, note)] = read_lines_leniently([text.encode("utf-8", "surrogateescape")], top=False)
    if note:
        typer.echo(f"nmt: the sentence: {note}", err=True)
    return mended


def _form(output: Path | None, form: str | None) -> str:
    if form is None and output is None:
        return FORMS[0]
    kind = form or (output.suffix.removeprefix(".").lower() if output else "")
    if kind not in FORMS:
        asked = f"--format: no '{form}'" if form else f"{output}: its ending does not say what it is to be"
        raise UsageError(f"{asked}; choose one of {', '.join(FORMS)}")
    return kind


def _written(found: "SentenceTrace", kind: str, name: str) -> str:
    if kind == "json":
        from nmt.lab.inspect.sentence import as_json

        return json.dumps(as_json(found), ensure_ascii=False) + "\n"
    if kind == "txt":
        return "\n".join(account(found)) + "\n"
    from nmt.lab.inspect.page import sentence_page

    return sentence_page(found, name)


def _write(file: Path | None, text: str) -> None:
    if file is None:
        typer.echo(text, nl=False)
        return
    from nmt.files import write_file

    write_file(file, text.encode())


def account(found: "SentenceTrace") -> Iterator[str]:
    """The text form, line by line."""
    yield hanging("source       ", found.text)
    yield hanging("translation  ", found.translation)
    yield f"score        {found.score:.3f}, log probability {found.log_prob:.3f}"
    yield ""
    yield _row("written", "p", "looking at", "likeliest in its place")
    yield from (_word(found, place, word) for place, word in enumerate(found.words))
    yield ""
    yield from _ends(found)
    yield ""
    yield f"{'gates and states':<{NAMES}}{'mean':>8}{'least':>8}{'most':>8}{'varies':>8}  most in"
    yield from _values(found)


def _word(found: "SentenceTrace", place: int, word: "OutputToken") -> str:
    looked = ""
    if found.attention is not None:
        weight, at = found.attention[place].max(dim=0)
        looked = f"{found.source[int(at)]} {weight.item():.0%}"
    others = [f"{piece} {math.exp(likely):.0%}" for piece, likely in word.likeliest if piece != word.piece]
    return _row(word.piece, f"{math.exp(word.log_prob):.0%}", looked, "  ".join(others[:3]))


def _row(*cells: str) -> str:
    from rich.cells import set_cell_size

    *fixed, last = cells
    columns = [
        set_cell_size(one_line(cell), width - 1) + " " for cell, width in zip(fixed, COLUMNS, strict=True)
    ]
    return ("".join(columns) + set_cell_size(one_line(last), WIDTH - sum(COLUMNS))).rstrip()


def _ends(found: "SentenceTrace") -> Iterator[str]:
    ends = [branch for branch in found.beam if branch.score is not None]
    if not ends:
        yield f"ends found by the beam: none; the output was cut at {format_count(len(found.words), 'piece')}"
        return
    yield "ends found by the beam (score, log probability)"
    yield from (_end(found, end) for end in sorted(ends, key=lambda end: -(end.score or 0.0)))


def _end(found: "SentenceTrace", end: "BeamBranch") -> str:
    pieces = [found.spelling[branch.piece] for branch in _way(found.beam, end)]
    return hanging(f"{end.score:8.3f}{end.total:9.3f}  {'*' if end.best else ' '} ", " ".join(pieces))


def _way(beam: "Sequence[BeamBranch]", end: "BeamBranch") -> "list[BeamBranch]":
    way = [end]
    while way[-1].parent >= 0:
        way.append(beam[way[-1].parent])
    return way[::-1]


def _values(found: "SentenceTrace") -> Iterator[str]:
    for one in found.recurrences:
        for name, value in one.values.items():
            spread = value.std(dim=0, correction=0)
            most = spread.argsort(descending=True, stable=True)[:2].tolist()
            numbers = (value.mean(), value.min(), value.max(), spread.mean())
            told = "".join(f"{number.item():8.3f}" for number in numbers)
            yield beside(f"{one.path.title:<30} {name}", NAMES, f"{told}  {', '.join(map(str, most))}")
        if one.unnamed:
            yield hanging("  ", f"({one.path.title}: {nameless(one.unnamed)})")
