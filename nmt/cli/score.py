"""`nmt score`: score translations with sacreBLEU."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import FileOption, Json
from nmt.cli.paths import READ
from nmt.cli.terminal import UNLIMITED, format_table, to_json
from nmt.data.text import read_lines
from nmt.errors import UsageError
from nmt.evaluation.metrics import METRICS, Score, compare
from nmt.evaluation.metrics import score as evaluate


def score(
    hyp: Annotated[list[Path], typer.Argument(help="Translations, one file for each system."), READ],
    ref: Annotated[list[Path], FileOption("--ref", "-r", help="Reference; repeat for several."), READ],
    metrics: Annotated[
        str, typer.Option("--metrics", "-m", metavar="NAME,...", help=f"{', '.join(METRICS)}.")
    ] = "bleu,chrf,ter",
    baseline: Annotated[Path | None, FileOption(help="Baseline system for significance tests."), READ] = None,
    paired: Annotated[
        str | None,
        typer.Option(
            metavar="bs|ar",
            help="Test: bs (paired bootstrap, the default) or ar (approximate randomization).",
        ),
    ] = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Bootstrap 95% confidence intervals.")
    ] = False,
    lowercase: Annotated[bool, typer.Option("--lowercase", "-l", help="Ignore case.")] = False,
    tokenize: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="BLEU tokenizer: 13a (default), intl, char, zh, ja-mecab, ko-mecab, none ..."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Score translations with sacreBLEU, and print the signature of each score.

    The text must be detokenized, with one line for each line of the references.

    BLEU's default tokenizer, 13a, suits languages with spaces between words. It
    treats a Korean word with its particles as one word: `--tokenize ko-mecab`
    (sacrebleu's extra `ko`) separates them, `char` counts syllables, and chrF
    needs no tokenizer.
    """
    if paired and not baseline:
        raise UsageError("--paired tests the difference to a baseline: add --baseline FILE")
    names = [name.strip() for name in metrics.split(",")]
    refs = [list(read_lines(path)) for path in ref]
    systems = {str(path): list(read_lines(path)) for path in ([baseline] if baseline else []) + hyp}
    if baseline:
        results = compare(systems, refs, names, test=paired or "bs", lowercase=lowercase, tokenize=tokenize)
    else:
        evaluator = partial(evaluate, lowercase=lowercase, tokenize=tokenize, confidence=confidence)
        results = {name: evaluator(lines, refs, names, name=name) for name, lines in systems.items()}
    if json:
        typer.echo(to_json([_fields(*item) for item in results.items()], indent=2))
    else:
        typer.echo(_format_blocks(results))


def _fields(system: str, scores: list[Score]) -> dict[str, object]:
    present = [{name: v for name, v in score._asdict().items() if v is not None} for score in scores]
    return {"system": system, "scores": present}


def _format_blocks(results: dict[str, list[Score]]) -> str:
    """Format a block for each system, then the signatures, which all systems share."""
    blocks = []
    for system, scores in results.items():
        table = format_table(map(_row, scores), align="lrl", widths=(7, 7), indent=2, width=UNLIMITED)
        blocks.append(f"{system}\n{table}\n")
    signatures = [f"{score.name}|{score.signature}" for score in next(iter(results.values()))]
    return "\n".join(blocks + signatures)


def _row(score: Score) -> list[str]:
    notes = []
    if score.interval is not None:
        notes.append(f"  95%: {score.mean:.2f} ± {score.interval:.2f}")
    if score.p_value is not None:
        verdict = "significant" if score.beyond_chance else "not significant"
        notes.append(f"  p = {score.p_value:.4f} ({verdict})")
    return [score.name, f"{score.value:.2f}", " ".join(notes)]
