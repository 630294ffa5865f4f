"""`nmt corpus`: which corpora there are, fetching one, and checking that one is whole."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from nmt.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmt.data.corpora import Card

app = typer.Typer(no_args_is_help=True, help="Corpora known by name: list, fetch, check.")


@app.command("ls")
def list_corpora() -> None:
    """List the corpora, and whether they are on this machine."""
    from nmt.data.corpora import card_names, read_card

    console = Console(markup=False, highlight=False)
    for card in map(read_card, card_names()):
        console.print(f"{card.name} ({' '.join(card.languages)}): {_whereabouts(card)}")
        console.print(Padding(f"{card.description} Licence: {card.licence}.", (0, 0, 1, 4)))


def _whereabouts(card: "Card") -> str:
    from nmt.data.corpora import built_in, whole_place

    if built_in(card):
        return "built in"
    if whole_place(card):
        return "fetched"
    return "not on this machine" if card.obtain is None else "not on this machine, to be obtained by hand"


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A corpus of `nmt corpus ls`.")],
    to: Annotated[
        Path | None,
        typer.Option(help="Folder for the files; without it, NAME in $NMT_CORPORA or ~/.cache/nmt/corpora."),
    ] = None,
) -> None:
    """Download a corpus, going on where an earlier download stopped, and verify it.

    Its folder is written to standard output; what happens on the way, to standard error.
    """
    from nmt.data import corpora

    card = corpora.read_card(name)
    if corpora.built_in(card):
        raise UsageError(f"{name} came with this package: nothing to fetch, use data.root=corpus:{name}")
    place = to or corpora.fetched_root() / name
    with _bars() as bars:
        rows = {f.name: bars.add_task(f.name, total=f.bytes, start=False, visible=False) for f in card.files}

        def progress(file: str, held: int) -> None:
            bars.start_task(rows[file])
            bars.update(rows[file], completed=held, visible=True)

        corpora.fetch(card, place, progress=progress, say=partial(bars.console.print, soft_wrap=True))
    typer.echo(place)


def _bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=Console(stderr=True, markup=False, highlight=False))


@app.command()
def check(
    corpus: Annotated[str, typer.Argument(help="A corpus by name, or a folder that is called like one.")],
    folder: Annotated[Path | None, typer.Argument(help="Where it lies, if not in its usual place.")] = None,
) -> None:
    """Compare the files of a corpus with the SHA-256 sums on its card."""
    from nmt.data import corpora

    if folder is None and corpus not in corpora.card_names() and Path(corpus).is_dir():
        folder = Path(corpus)
        corpus = folder.resolve().name
    card = corpora.read_card(corpus)
    place = folder or corpora.whole_place(card) or corpora.fetched_root() / corpus
    faults = corpora.check(card, place)
    for file in card.files:
        typer.echo(f"{file.name}: {faults.get(file.name, 'as on the card')}")
    if faults:
        raise DataError(
            f"{place}: {len(faults)} of {len(card.files)} files of {card.name} are missing or wrong"
        )
