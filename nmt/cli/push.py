"""`nmt push`: upload a model to the Hugging Face Hub."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from nmt.cli.options import Model


def push(
    model: Model,
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="The repository on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Create a private repository.")] = False,
    with_code: Annotated[bool, typer.Option("--with-code", help="Upload the files of custom cells.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
) -> None:
    """Upload a model to the Hugging Face Hub.

    MODEL is a run (its best checkpoint), a checkpoint, a model directory or an
    exported model. Everybody reads it as hf:USER/NAME, such as
    `nmt translate hf:USER/NAME`. Log in before with `hf auth login`, or set
    HF_TOKEN. Needs the extra `hub`.
    """
    from nmt.export.upload import prepare_upload
    from nmt.files import HUB_PREFIX
    from nmt.hub import check_repository, upload

    check_repository(name)
    with TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        for file in prepare_upload(model, directory, HUB_PREFIX + name, with_code=with_code):
            typer.echo(f"{file.stat().st_size:>15,}  {file.name}")
        if dry_run:
            return
        url = upload(directory, name, private=private)
    typer.echo(f"{url}\ntranslate with: nmt translate {HUB_PREFIX}{name}")
