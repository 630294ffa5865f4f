"""`nmt rescore`: what a model thinks of translations that are given."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nmt.decoding.rescore import RescoredLine


def rescore(
    model: Annotated[
        Path, typer.Argument(help="A run, a model directory or an exported one.", show_default=False)
    ],
    source: Annotated[Path, typer.Option("--src", "-i", help="Source lines.", show_default=False)],
    target: Annotated[
        Path, typer.Option("--tgt", "-t", help="Their translations, line by line.", show_default=False)
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Score, log probability, and that of each piece.")
    ] = False,
    length_penalty: Annotated[
        float | None, typer.Option(min=0.0, metavar="X", help="GNMT's alpha; 0: the log probability.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="CPU threads.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No perplexity at the end.")] = False,
) -> None:
    """Score given translations: a line for each pair, the perplexity of all of them on standard error.

    The score is what a search would rank the translation by, with the
    recipe's length penalty. A blank source has no translations to compare:
    its score is 0, and it does not count.
    """
    from nmt.cli.job import load
    from nmt.data.pairs import Corpus, read_pairs
    from nmt.decoding.rescore import rescore_lines

    job, _ = load(model, threads)
    if length_penalty is not None:
        job = job._replace(options=replace(job.options, length_penalty=length_penalty))
    total = pieces = 0.0
    for scored in rescore_lines(read_pairs(Corpus((source, target))), job):
        typer.echo(_json(scored) if as_json else f"{scored.score:.4f}")
        total += scored.log_prob
        pieces += len(scored.pieces)
    if pieces and not quiet:
        typer.echo(f"perplexity {math.exp(-total / pieces):.2f} of {pieces:,.0f} pieces", err=True)


def _json(scored: "RescoredLine") -> str:
    tokens = list(zip(scored.pieces, scored.token_log_probs, strict=True))
    fields = {"score": scored.score, "log_prob": scored.log_prob, "tokens": tokens}
    return json.dumps(fields, ensure_ascii=False)
