"""`nmt inspect sentence`: show the attention, gates, states and beam of one translation."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len

from nmt.cli.options import FileOption, Model, TrustCode
from nmt.cli.paths import WRITTEN_FILE
from nmt.cli.terminal import WIDTH, describe_unnamed_gates, echo_note, format_table, to_json
from nmt.data.text import read_lines_leniently
from nmt.errors import UsageError
from nmt.files import check_writable, write_file
from nmt.lab.doctor.finding import format_count
from nmt.lab.figure import check_picture

if TYPE_CHECKING:
    from nmt.lab.inspect.beam import BeamBranch
    from nmt.lab.inspect.sentence import SentenceTrace

FORMATS = ("html", "svg", "png", "txt", "json")
PICTURES = ("svg", "png")
PRINTED = ("txt", "json")
"""Formats that are printed if no file is given."""
TOKEN_WIDTHS = (15, 6, 21)
"""Column widths of the token, its probability and its attention; the alternatives get the rest."""


def sentence(
    model: Model,
    text: Annotated[str, typer.Argument(metavar="SENTENCE", help="The sentence to translate.")],
    output: Annotated[
        Path | None, FileOption("--output", "-o", help="By default sentence.html."), WRITTEN_FILE
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="|".join(FORMATS), help="By default the ending of FILE.")
    ] = None,
    trust_code: TrustCode = False,
) -> None:
    """Translate a sentence and show its attention, gates, states and beam.

    The page (html) opens in any browser, without a network. Pictures (svg, png)
    need matplotlib, which the extra `plot` installs. txt and json are printed if
    no file is given; json has every number.
    """
    kind = _choose_format(output, form)
    file = output or (None if kind in PRINTED else Path(f"sentence.{kind}"))
    if file is not None and kind in PICTURES:
        check_picture(file, kind)
    elif file is not None:
        check_writable(file)
    [(decoded, note)] = read_lines_leniently([text.encode("utf-8", "surrogateescape")], top=False)
    if note:
        echo_note(f"the sentence: {note}")
    from nmt.lab.inspect.inspect_model import inspect_sentence
    from nmt.lab.inspect.page import draw_sentence

    trace = inspect_sentence(model, decoded)
    if file is None:
        typer.echo(_format_text(trace, kind, model.resolve().name), nl=False)
        return
    if kind in PICTURES:
        draw_sentence(file, trace, kind)
    else:
        write_file(file, _format_text(trace, kind, model.resolve().name).encode())
    typer.echo(file)


def _choose_format(output: Path | None, form: str | None) -> str:
    if form is None and output is None:
        return FORMATS[0]
    kind = form or (output.suffix.removeprefix(".").lower() if output else "")
    if kind not in FORMATS:
        wrong = f"--format: unknown format '{form}'" if form else f"{output}: unknown ending"
        raise UsageError(f"{wrong}; choose one of {', '.join(FORMATS)}")
    return kind


def _format_text(trace: "SentenceTrace", kind: str, name: str) -> str:
    from nmt.lab.inspect.page import format_sentence_page
    from nmt.lab.inspect.sentence import trace_to_dict

    if kind == "json":
        return to_json(trace_to_dict(trace)) + "\n"
    return "\n".join(describe_sentence(trace)) + "\n" if kind == "txt" else format_sentence_page(trace, name)


def describe_sentence(trace: "SentenceTrace") -> Iterator[str]:
    """Yield the parts of the text format."""
    score = f"{trace.score:.3f}, log probability {trace.log_prob:.3f}"
    texts = [["source", trace.text], ["translation", trace.translation], ["score", score]]
    yield format_table(texts, align="ll", widths=(12,)) + "\n"
    columns = ("token", "p", "attention", "alternatives")
    rows = [_format_token(trace, index) for index in range(len(trace.words))]
    yield format_table(rows, columns, align="llll", widths=TOKEN_WIDTHS) + "\n"
    yield _format_hypotheses(trace) + "\n"
    header = ("gates and states", "mean", "least", "most", "varies", " most in")
    yield format_table(_format_values(trace), header, align="lrrrrl", widths=(35, 8, 7, 7, 7))
    for one in trace.recurrences:
        if one.unnamed:
            yield format_table([[f"({one.path.title}: {describe_unnamed_gates(one.unnamed)})"]], indent=2)


def _format_token(trace: "SentenceTrace", index: int) -> list[str]:
    word, attended = trace.words[index], ""
    if trace.attention is not None:
        weight, position = trace.attention[index].max(dim=0)
        attended = f"{trace.source[int(position)]} {weight.item():.0%}"
    others = [
        f"{token} {math.exp(log_prob):.0%}" for token, log_prob in word.likeliest if token != word.piece
    ]
    others = others[:3]
    while len(others) > 1 and cell_len("  ".join(others)) > WIDTH - sum(TOKEN_WIDTHS) - 3:
        others.pop()
    return [word.piece, f"{math.exp(word.log_prob):.0%}", attended, "  ".join(others)]


def _format_hypotheses(trace: "SentenceTrace") -> str:
    """Format the finished hypotheses of the beam, the best first."""
    ends = [branch for branch in trace.beam if branch.score is not None]
    if not ends:
        return f"finished hypotheses: none; the output was cut at {format_count(len(trace.words), 'token')}"
    rows = [
        [f"{end.score:.3f}", f"{end.total:.3f}", "*" if end.best else "", " ".join(_list_tokens(trace, end))]
        for end in sorted(ends, key=lambda end: -(end.score or 0.0))
    ]
    title = "finished hypotheses (score, log probability)\n"
    return title + format_table(rows, align="rrrl", widths=(8, 8, 2))


def _list_tokens(trace: "SentenceTrace", end: "BeamBranch") -> list[str]:
    path = [end]
    while path[-1].parent >= 0:
        path.append(trace.beam[path[-1].parent])
    return [trace.spelling[branch.piece] for branch in reversed(path)]


def _format_values(trace: "SentenceTrace") -> Iterator[list[str]]:
    for one in trace.recurrences:
        for name, value in one.values.items():
            spread = value.std(dim=0, correction=0)
            units = spread.argsort(descending=True, stable=True)[:2].tolist()
            numbers = (value.mean(), value.min(), value.max(), spread.mean())
            row = [f"{number.item():.3f}" for number in numbers]
            yield [f"{one.path.title:<30} {name}", *row, f" {', '.join(map(str, units))}"]
