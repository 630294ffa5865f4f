"""`nmt rescore`: score given translations with a model."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import FileOption, Int8, Json, NumberOption, Threads, TrustCode
from nmt.cli.paths import READ
from nmt.cli.progress import LineProgress
from nmt.cli.terminal import to_json
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.text import count_lines


def rescore(
    model: Annotated[Path, typer.Argument(help="A run, a model directory, an export or hf:USER/NAME."), READ],
    source: Annotated[Path, FileOption("--src", "-i", help="Source sentences."), READ],
    target: Annotated[Path, FileOption("--tgt", "-t", help="Their translations."), READ],
    json: Json = False,
    length_penalty: Annotated[
        float | None,
        NumberOption(min=0.0, help="GNMT's alpha; 0 for the log probability. By default the recipe's."),
    ] = None,
    int8: Int8 = False,
    threads: Threads = 1,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print neither perplexity nor progress.")
    ] = False,
    trust_code: TrustCode = False,
) -> None:
    """Score given translations: one line per pair, and the perplexity on stderr.

    The score is what beam search ranks translations by, with the recipe's length
    penalty. With --json, a line also has the log probability of the translation
    and of each token. Pairs with a blank source have score 0 and are not counted.
    """
    from nmt.cli.translate_job import load_job
    from nmt.decoding.rescore import rescore_lines

    job = load_job(model, threads=threads, int8=int8).job
    if length_penalty is not None:
        job = job._replace(options=replace(job.options, length_penalty=length_penalty))
    total = tokens = 0.0
    progress = LineProgress(None if quiet else count_lines(source), quiet=quiet)
    with progress.show():
        for scored in rescore_lines(read_pairs(Corpus((source, target))), job):
            tokens_scored = list(zip(scored.tokens, scored.token_log_probs, strict=True))
            fields = {"score": scored.score, "log_prob": scored.log_prob, "tokens": tokens_scored}
            typer.echo(to_json(fields) if json else f"{scored.score:.4f}")
            total += scored.log_prob
            tokens += len(scored.tokens)
            progress.advance()
    if tokens and not quiet:
        typer.echo(f"perplexity {math.exp(-total / tokens):.2f} of {tokens:,.0f} tokens", err=True)
