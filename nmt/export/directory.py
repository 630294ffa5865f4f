"""An exported translator on disk: its graphs, its vocabularies, what it is. Reading it needs no torch."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.data.vocabulary import load_vocabulary
from nmt.decoding.job import Job
from nmt.decoding.options import Options
from nmt.errors import DataError, UsageError
from nmt.export.runtime import Runtime
from nmt.files import atomic_directory, check_sha256, file_sha256

FORMAT = 1
CONFIG, SUMS = "config.json", "checksums.json"
GRAPHS = ("encoder", "step", "best")


@dataclass(frozen=True)
class Config:
    """What stands in `config.json`."""

    format: int
    nmt: str  # the version that wrote it
    languages: tuple[str, str]
    int8: bool
    parameters: int
    pieces: tuple[int, int]  # of the vocabularies
    ids: dict[str, int]  # of pad, bos, eos, unk
    vocabularies: tuple[str, str]  # their files
    memory: list[str]  # what is remembered of each position of a source
    state: dict[str, int]  # the parts of the decoder's state, and their sizes
    search: dict[str, float]  # as the recipe says


def is_exported(path: Path) -> bool:
    """Whether a path is a directory of this kind."""
    return (path / SUMS).is_file() and (path / CONFIG).is_file()


def load(path: Path, *, threads: int = 1) -> Job:
    """The translation job of an exported directory, every file of which is as it was written.

    Raises DataError where one is not, or where the directory is of a later format.
    """
    sums = _read_json(path / SUMS)
    for name in sorted(sums):
        check_sha256(path / name, str(sums[name]))
    config = _config(path)
    missing = {CONFIG, *config.vocabularies, *map(graph_file, GRAPHS)} - set(sums)
    if missing:
        raise DataError(f"{path / SUMS}: refused: no checksum of {', '.join(sorted(missing))}")
    source, target = (load_vocabulary(path / name) for name in config.vocabularies)
    graphs = {name: path / graph_file(name) for name in GRAPHS}
    search = Options(**config.search)  # type: ignore[arg-type]
    model = Runtime(graphs, vocabulary_size=config.pieces[1], threads=threads)
    return Job(model, source, target, search, attends=bool(config.memory))


def fingerprint(path: Path) -> str:
    """What an exported translator is known by: the sums of its files."""
    return file_sha256(path / SUMS)


def graph_file(name: str) -> str:
    """The file of a graph."""
    return f"{name}.onnx"


def _config(path: Path) -> Config:
    facts = _read_json(path / CONFIG)
    if facts.get("format") != FORMAT:
        raise DataError(f"{path}: format {facts.get('format')}, but this nmt reads {FORMAT}: export again")
    try:
        return Config(**facts)  # type: ignore[arg-type]
    except TypeError as error:
        raise DataError(f"{path / CONFIG}: refused: {error}") from None


def _read_json(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: refused: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{file}: refused: it is not a JSON object")
    return found


def write(output: Path, config: Config, fill: Callable[[Path], None], finish: Callable[[Path], None]) -> None:
    """Write an exported directory atomically; UsageError if `output` exists.

    `fill` writes graphs and vocabularies; `finish` may then load the directory and add files to it.
    """
    if output.exists():
        raise UsageError(f"{output} already exists; choose another name")
    with atomic_directory(output) as side:
        write_json(side / CONFIG, asdict(config))
        fill(side)
        _write_sums(side)
        finish(side)
        _write_sums(side)


def _write_sums(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS)
    write_json(folder / SUMS, {name: file_sha256(folder / name) for name in names})


def write_json(file: Path, facts: object) -> None:
    """Facts as JSON that people can read."""
    file.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
