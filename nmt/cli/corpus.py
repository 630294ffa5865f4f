"""`nmt corpus`: list, download, prepare and verify known corpora."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from nmt.cli.paths import READ, WRITTEN_DIRECTORY
from nmt.cli.progress import spinner
from nmt.cli.terminal import echo_note, format_table
from nmt.console import open_console
from nmt.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmt.data.corpora import CorpusCard

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, download, prepare and verify known corpora."
)


@app.command("ls")
def list_corpora() -> None:
    """List the corpora, and whether they are on this machine."""
    from nmt.data.corpora import list_corpus_names, read_card

    for card in map(read_card, list_corpus_names()):
        typer.echo(f"{card.name} ({' '.join(card.languages)}): {_describe_status(card)}")
        typer.echo(format_table([[f"{card.description} Licence: {card.licence}."]], indent=4) + "\n")


def _describe_status(card: "CorpusCard") -> str:
    from nmt.data.corpora import find_directory, is_built_in

    if is_built_in(card):
        return "built in"
    if find_directory(card):
        return "downloaded"
    return "not on this machine" if card.obtain is None else "not on this machine, must be obtained by hand"


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A corpus of `nmt corpus ls`.")],
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Target directory; by default NAME in $NMT_CORPORA or the cache, ~/.cache/nmt/corpora.",
        ),
        WRITTEN_DIRECTORY,
    ] = None,
) -> None:
    """Download a corpus and verify it; an interrupted download is resumed.

    The directory of the corpus is printed to stdout, everything else to stderr.
    """
    from nmt.data import corpora

    card = corpora.read_card(name)
    if corpora.is_built_in(card):
        raise UsageError(
            f"{name} is part of this package: use data.root=corpus:{name}, there is nothing to download"
        )
    directory = to or corpora.download_root() / name
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = open_console(sys.stderr, markup=False, highlight=False)
    with Progress(*columns, console=console) as bars:
        rows = {f.name: bars.add_task(f.name, total=f.bytes, start=False, visible=False) for f in card.files}

        def progress(file: str, size: int) -> None:
            bars.start_task(rows[file])
            bars.update(rows[file], completed=size, visible=True)

        warn = partial(console.print, soft_wrap=True)
        corpora.fetch_corpus(card, directory, progress=progress, warn=warn)
    typer.echo(directory)


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A corpus of `nmt corpus ls` that is not split.")],
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where its archive is, if not in $NMT_CORPORA."), READ
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Target directory, by default that of `nmt corpus fetch`."),
        WRITTEN_DIRECTORY,
    ] = None,
) -> None:
    """Split a corpus into training, validation and test pairs.

    The split depends on the English sentences only. The directory is printed to
    stdout; with --to, recipes need data.root=DIR.
    """
    from nmt.data import corpora

    card = corpora.read_card(name)
    with spinner(f"preparing {name}"):
        parts = corpora.prepare_corpus(card, directory, to, echo_note)
    for part, pairs in parts.items():
        typer.echo(f"{part}: {pairs:,} pairs", err=True)
    typer.echo(to or corpora.download_root() / name)


@app.command()
def check(
    corpus: Annotated[str, typer.Argument(help="The name of a corpus, or a directory with its name.")],
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Where it is, if `nmt corpus fetch` did not put it there."),
        READ,
    ] = None,
) -> None:
    """Compare the files of a corpus with their SHA-256 checksums."""
    from nmt.data import corpora

    if directory is None and corpus not in corpora.list_corpus_names() and Path(corpus).is_dir():
        directory = Path(corpus)
        corpus = directory.resolve().name
    card = corpora.read_card(corpus)
    directory = directory or corpora.find_directory(card) or corpora.download_root() / corpus
    faults = corpora.check_files(card, directory)
    for file in card.files:
        typer.echo(f"{file.name}: {faults.get(file.name, 'ok')}")
    if faults:
        raise DataError(
            f"{directory}: {len(faults)} of {len(card.files)} files of {card.name} are missing or wrong"
        )
