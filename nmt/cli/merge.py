"""`nmt merge`: the outputs of all shards of a job, as one file."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    shards: Annotated[
        list[Path], typer.Argument(help="The outputs of all shards, in any order.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to make of them.", show_default=False)
    ],
) -> None:
    """Put the outputs of `nmt translate --shard k/n` together, in order.

    A missing or foreign one is refused, and one that is there twice.
    """
    from nmt.decoding import shards as of_a_job

    of_a_job.merge_shards(shards, output)
    typer.echo(f"{output}: {len(shards)} shards")
