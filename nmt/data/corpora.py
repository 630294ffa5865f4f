"""Corpora known by name: their cards, where they lie on this machine, and whether they are whole."""

import os
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nmt.data.download import Say, download
from nmt.errors import DataError, UsageError
from nmt.files import file_sha256
from nmt.shipped import shipped_directory

Progress = Callable[[str, int], None]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CorpusFile(_Record):
    """A file of a corpus, as it must lie on the disk."""

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)] | None = None
    lines: Annotated[int, Field(ge=0)] | None = None
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None


class CorpusCard(_Record):
    """What a corpus is, where it comes from, what one may do with it, and which files it has."""

    name: str
    languages: Annotated[list[str], Field(min_length=1)]
    description: str
    licence: str
    source: str
    split: str | None = None  # how its parts were told apart
    obtain: str | None = None  # how to come by files that have no url
    files: Annotated[list[CorpusFile], Field(min_length=1)]


def corpus_names() -> list[str]:
    """The corpora there is a card for."""
    return sorted(path.parent.name for path in shipped_directory("corpora").glob("*/card.yaml"))


def read_card(name: str) -> CorpusCard:
    """The card of a corpus, by name."""
    names = corpus_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "there are: " + ", ".join(names)
        raise UsageError(f"no corpus '{name}'; {hint}")
    path = shipped_directory("corpora") / name / "card.yaml"
    try:
        card = CorpusCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise DataError(f"{path}: not a valid corpus card: {error}") from error
    if card.name != name:
        raise DataError(f"{path}: the card is of '{card.name}', but its directory is '{name}'")
    return card


def fetched_root() -> Path:
    """Where fetched corpora lie: $NMT_CORPORA, or ~/.cache/nmt/corpora."""
    return Path(os.environ.get("NMT_CORPORA") or "~/.cache/nmt/corpora").expanduser()


def is_built_in(card: CorpusCard) -> bool:
    """Whether the corpus lies whole beside its card, because it came with the package."""
    return _has_files(shipped_directory("corpora") / card.name, card)


def find_directory(card: CorpusCard) -> Path | None:
    """The folder that holds all files of the corpus (by name; `check_files` compares the sums), or None."""
    usual = (shipped_directory("corpora") / card.name, fetched_root() / card.name)
    return next((place for place in usual if _has_files(place, card)), None)


def _has_files(place: Path, card: CorpusCard) -> bool:
    return all((place / file.name).is_file() for file in card.files)


def corpus_root(name: str) -> Path:
    """The folder that `data.root: corpus:NAME` stands for."""
    card = read_card(name)
    place = find_directory(card)
    if place is not None:
        return place
    way = "run: nmt corpus fetch " + name if card.obtain is None else "to obtain it: " + card.obtain.strip()
    raise UsageError(f"the corpus {name} is not on this machine; {way}\nor give its directory: data.root=DIR")


def fetch_corpus(
    card: CorpusCard, target: Path, *, progress: Progress = lambda name, held: None, say: Say
) -> None:
    """Download what `target` lacks of a corpus; a file appears there when it is whole and its sum is right.

    `progress` hears a file's name and the bytes held of it, `say` what went wrong and is tried again.
    """
    unreachable = [file.name for file in card.files if file.url is None]
    if unreachable:
        raise UsageError(
            f"{card.name} cannot be downloaded: its card has no URL for {', '.join(unreachable)}.\n"
            f"{(card.obtain or card.source).strip()}\nThen: nmt corpus check {card.name} DIR"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{target}: cannot create this directory: {error.strerror}") from error
    for file in card.files:
        assert file.url is not None
        hear = partial(progress, file.name)
        download(file.url, target / file.name, sha256=file.sha256, size=file.bytes, report=hear, say=say)


def check_files(card: CorpusCard, place: Path) -> dict[str, str]:
    """What is wrong with the files of a corpus in a folder: name to fault; empty when it is whole."""
    faults = {file.name: _find_fault(file, place / file.name) for file in card.files}
    return {name: fault for name, fault in faults.items() if fault is not None}


def _find_fault(file: CorpusFile, path: Path) -> str | None:
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return f"{size:,} bytes instead of {file.bytes:,}"
    return None if file_sha256(path) == file.sha256 else "altered (its SHA-256 differs)"
