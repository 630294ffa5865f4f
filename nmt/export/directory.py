"""The directory of an exported translator: graphs, vocabularies, configuration. Reading it needs no torch."""

import json
from dataclasses import dataclass
from pathlib import Path

from nmt.data.vocabulary import load_vocabulary
from nmt.decoding.job import Job
from nmt.decoding.options import Options
from nmt.errors import DataError
from nmt.export.runtime import OnnxModel
from nmt.files import check_sha256, file_sha256

FORMAT = 1
CONFIG, CHECKSUMS = "config.json", "checksums.json"
GRAPHS = ("encoder", "step", "best")


@dataclass(frozen=True)
class ExportConfig:
    """The content of `config.json`."""

    format: int
    nmt: str  # the version that wrote it
    languages: tuple[str, str]
    int8: bool
    parameters: int
    pieces: tuple[int, int]  # sizes of the vocabularies
    ids: dict[str, int]  # of pad, bos, eos, unk
    vocabularies: tuple[str, str]  # their files
    memory: list[str]  # arrays with an entry for each source position
    state: dict[str, int]  # the fields of the decoder's state, and their sizes
    search: dict[str, float]  # of the recipe


def is_exported(path: Path) -> bool:
    """Return True if a path is an exported directory."""
    return (path / CHECKSUMS).is_file() and (path / CONFIG).is_file()


def load_export(path: Path, *, threads: int = 1) -> Job:
    """Load the translation job of an exported directory, after checking the checksum of every file.

    Raises DataError if a file has changed, or if the directory has a later format.
    """
    checksums = _read_json(path / CHECKSUMS)
    for name in sorted(checksums):
        check_sha256(path / name, str(checksums[name]))
    facts = _read_json(path / CONFIG)
    if facts.get("format") != FORMAT:
        raise DataError(f"{path}: format {facts.get('format')}, but this nmt reads {FORMAT}: export again")
    try:
        config = ExportConfig(**facts)  # type: ignore[arg-type]
    except TypeError as error:
        raise DataError(f"{path / CONFIG}: refused: {error}") from None
    missing = {CONFIG, *config.vocabularies, *map(graph_file, GRAPHS)} - set(checksums)
    if missing:
        raise DataError(f"{path / CHECKSUMS}: refused: no checksum of {', '.join(sorted(missing))}")
    source, target = (load_vocabulary(path / name) for name in config.vocabularies)
    graphs = {name: path / graph_file(name) for name in GRAPHS}
    search = Options(**config.search)  # type: ignore[arg-type]
    model = OnnxModel(graphs, vocabulary_size=config.pieces[1], threads=threads)
    return Job(model, source, target, search, attends=bool(config.memory))


def fingerprint(path: Path) -> str:
    """Return the fingerprint of an exported translator: the SHA-256 of its list of checksums."""
    return file_sha256(path / CHECKSUMS)


def graph_file(name: str) -> str:
    """Return the file name of a graph."""
    return f"{name}.onnx"


def _read_json(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: refused: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{file}: refused: it is not a JSON object")
    return content
