"""Known corpora: their cards, and their files on this machine."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nmt.data.download import Warn, download
from nmt.data.tatoeba import PARTS, prepare_archive
from nmt.errors import DataError, UsageError, suggestion
from nmt.files import expand_home, file_sha256, lock_path, shipped_directory
from nmt.user_directories import cache_directory

Progress = Callable[[str, int], None]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CorpusFile(_Record):
    """A file of a corpus."""

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)] | None = None
    lines: Annotated[int, Field(ge=0)] | None = None
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None


class PreparationCard(_Record):
    """The preparation of an archive of Tatoeba's: its text, and the sentences held out for each test set."""

    member: str
    held_out: Annotated[int, Field(ge=1)]


class CorpusCard(_Record):
    """The description of a corpus: content, origin, licence and files."""

    name: str
    languages: Annotated[list[str], Field(min_length=1)]
    description: str
    licence: str
    source: str
    split: str | None = None  # how it was split into parts
    obtain: str | None = None  # how to get files that have no url
    prepare: PreparationCard | None = None  # how the files become sentence pairs; null: they are
    files: Annotated[list[CorpusFile], Field(min_length=1)]


def list_corpus_names() -> list[str]:
    """Return the names of all corpora with a card."""
    return sorted(path.parent.name for path in shipped_directory("corpora").glob("*/card.yaml"))


def read_card(name: str) -> CorpusCard:
    """Read the card of a corpus."""
    names = list_corpus_names()
    if name not in names:
        raise UsageError(f"no corpus '{name}', {suggestion(name, names)}")
    path = shipped_directory("corpora") / name / "card.yaml"
    try:
        card = CorpusCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise DataError(f"{path}: not a valid corpus card: {error}") from error
    if card.name != name:
        raise DataError(f"{path}: the card is of '{card.name}', but its directory is '{name}'")
    return card


def download_root() -> Path:
    """Return the directory of downloaded corpora: $NMT_CORPORA, or `corpora` in the user's cache."""
    directory = os.environ.get("NMT_CORPORA")
    return expand_home(directory) if directory else cache_directory() / "corpora"


def is_built_in(card: CorpusCard) -> bool:
    """Return True if the files of the corpus are part of this package."""
    return find_directory(card) == shipped_directory("corpora") / card.name


def find_directory(card: CorpusCard) -> Path | None:
    """Return the directory with all files of the corpus, or None; `check_files` compares their checksums."""
    directories = (shipped_directory("corpora") / card.name, download_root() / card.name)
    names = [file.name for file in card.files]
    return next((path for path in directories if all((path / name).is_file() for name in names)), None)


def find_prepared_directory(card: CorpusCard) -> Path | None:
    """Return the directory with the parts that `prepare_corpus` writes, or None."""
    directory = download_root() / card.name
    names = [f"{part}.{language}" for part in PARTS for language in card.languages]
    return directory if all((directory / name).is_file() for name in names) else None


def prepare_corpus(card: CorpusCard, source: Path | None, target: Path | None, warn: Warn) -> dict[str, int]:
    """Write the training, validation and test pairs of a corpus; return the number of pairs by part.

    `source` is the directory of its files, `target` that of the parts; None: where `fetch_corpus` puts them.
    """
    if card.prepare is None:
        raise UsageError(f"{card.name} needs no preparation: use data.root=corpus:{card.name}")
    home = download_root() / card.name
    directory, target = source or find_directory(card) or home, target or home
    [file] = card.files
    problems = check_files(card, directory)
    if problems.get(file.name) == "missing":
        raise UsageError(f"{directory / file.name} does not exist: {(card.obtain or card.source).strip()}")
    if problems:
        warn(f"{directory / file.name}: {problems[file.name]}: scores are not comparable with published ones")
    [language] = [language for language in card.languages if language != "en"]
    member, held_out = card.prepare.member, card.prepare.held_out
    return prepare_archive(directory / file.name, member, language, held_out, target)


def corpus_root(name: str) -> Path:
    """Return the directory that `data.root: corpus:NAME` refers to; UsageError if there is none."""
    card = read_card(name)
    directory = find_directory(card) if card.prepare is None else find_prepared_directory(card)
    if directory is not None:
        return directory
    advice = "run: nmt corpus fetch " + name if card.obtain is None else "to get it: " + card.obtain.strip()
    if card.prepare is not None:
        advice = f"run: nmt corpus prepare {name} DIR, where DIR contains {card.files[0].name}; {advice}"
    raise UsageError(
        f"the corpus {name} is not on this machine; {advice}\nor give its directory: data.root=DIR"
    )


def fetch_corpus(
    card: CorpusCard, target: Path, *, progress: Progress = lambda name, held: None, warn: Warn
) -> None:
    """Download the missing files of a corpus to `target`; a file is renamed once its checksum matches.

    `progress` is called with a file's name and its size so far, `warn` with errors that are retried.
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
    with lock_path(target, target):
        for file in card.files:
            assert file.url is not None
            hear, path = partial(progress, file.name), target / file.name
            download(file.url, path, sha256=file.sha256, size=file.bytes, report=hear, warn=warn)


def check_files(card: CorpusCard, directory: Path) -> dict[str, str]:
    """Compare the files of a corpus with its card; return the problems by file name."""
    problems: dict[str, str] = {}
    for file in card.files:
        path = directory / file.name
        if not path.is_file():
            problems[file.name] = "missing"
        elif file.bytes is not None and (size := path.stat().st_size) != file.bytes:
            problems[file.name] = f"{size:,} bytes instead of {file.bytes:,}"
        elif file_sha256(path) != file.sha256:
            problems[file.name] = "checksum mismatch"
    return problems
