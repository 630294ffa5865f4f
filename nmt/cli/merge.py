"""`nmt merge`: merge the outputs of all shards of a translation job."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import FileOption
from nmt.cli.paths import READ, WRITTEN_FILE


def merge(
    outputs: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Outputs of all shards, in any order."), READ
    ],
    output: Annotated[Path, FileOption("--output", "-o", help="The file to write."), WRITTEN_FILE],
) -> None:
    """Merge the outputs of `nmt translate --shard K/N` in the order of the input.

    For example, `nmt translate RUN -i in.de -o out.1.en --shard 1/2`, the same
    for 2/2 on another machine, then `nmt merge out.1.en out.2.en -o out.en`.

    Fails if a shard is missing, given twice, or belongs to a different job.
    """
    from nmt.decoding import shards

    shards.merge_shards(outputs, output)
    typer.echo(f"{output}: {len(outputs)} shards")
