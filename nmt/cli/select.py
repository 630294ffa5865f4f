"""`nmt select`: choose translations from n-best lists by comparison with references."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import FileOption
from nmt.cli.paths import READ, WRITTEN_FILE
from nmt.cli.progress import LineProgress
from nmt.cli.score import Language
from nmt.data.text import read_lines
from nmt.errors import DataError
from nmt.evaluation.metrics import METRICS, sentence_utility
from nmt.evaluation.tokenizers import choose_tokenizer
from nmt.files import atomic_file


def select(
    lists: Annotated[
        list[Path], typer.Argument(metavar="NBEST...", help="N-best lists of `nmt translate --n-best`."), READ
    ],
    ref: Annotated[Path, FileOption("--ref", "-r", help="Reference translations."), READ],
    output: Annotated[Path, FileOption("--output", "-o", help="The chosen translations."), WRITTEN_FILE],
    metric: Annotated[
        str, typer.Option("--metric", "-m", metavar="NAME", help=f"{', '.join(METRICS)}.")
    ] = "chrf",
    language: Language = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
) -> None:
    """Choose for each line the translation that is most similar to its reference.

    With the n-best lists or samples of a teacher for its training sources, the
    result is the training data of a student (sequence-level knowledge
    distillation with interpolation; Kim and Rush, 2016). Several lists are joined line by line.
    """
    from nmt.evaluation.selection import group_candidates, select_candidates

    refs = list(read_lines(ref))
    if not refs:
        raise DataError(f"{ref} is empty: it needs a reference for each line")
    utility = sentence_utility(metric, choose_tokenizer(language, refs))
    total, progress = 0.0, LineProgress(None if quiet else len(refs), quiet=quiet)
    with atomic_file(output) as side, side.open("w", encoding="utf-8", newline="\n") as file, progress.show():
        groups = [group_candidates(path, len(refs)) for path in lists]
        for text, value in select_candidates(groups, refs, utility):
            file.write(f"{text}\n")
            total += value
            progress.advance()
    if not quiet:
        typer.echo(f"mean sentence {metric} {total / len(refs):.2f} of {len(refs):,} lines", err=True)
