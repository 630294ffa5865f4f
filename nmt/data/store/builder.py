"""The construction of a token store: one process reads the corpora, several encode them shard by shard."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from nmt.data.formats import Row
from nmt.data.pair_rules import FilterReport, LengthFilter, LineFilter, join_reports
from nmt.data.pairs import Corpus, read_rows
from nmt.data.protection import Protection
from nmt.data.store import (
    CHECKSUMS,
    FORMAT,
    MANIFEST,
    ShardEntry,
    TokenStore,
    read_manifest,
    rebuild_advice,
    store_fingerprint,
    write_manifest,
)
from nmt.data.store.arrays import ArrayFile, TemporaryColumns
from nmt.data.store.encoder import CHUNK, RowEncoder, encode_rows
from nmt.data.vocabulary import Vocabulary
from nmt.errors import DataError
from nmt.files import cached_sha256, file_sha256
from nmt.operating_system import count_cores
from nmt.untrusted_files import parse_json
from nmt.workers import Work, Workers

SHARD_PAIRS = 1 << 17  # pairs per file: an interrupted build resumes after the last complete file


def prepare_store(
    path: Path,
    *corpora: Corpus,
    src: Vocabulary | None = None,
    tgt: Vocabulary,
    keep: LengthFilter | LineFilter | None,
    with_text: bool = False,
    with_ends: bool = False,
    protection: Protection | None = None,
    workers: int | None = 1,
    shard_pairs: int = SHARD_PAIRS,
    chunk: int = CHUNK,
) -> TokenStore:
    """Open the store of some corpora in the directory `path`; build it if there is none with the same inputs.

    Plain text has no `src`. Without a filter every pair is kept, also blank ones. `with_text` stores the text
    for subword sampling, `with_ends` eos after every row, which makes the rows a stream. The result does not
    depend on the number of `workers` (None: one per core). An interrupted build is resumed. Raises DataError
    if the files do not match or no pair is left.
    """
    vocabularies = {name: side for name, side in {"src": src, "tgt": tgt}.items() if side is not None}
    encoder = RowEncoder(vocabularies, keep, with_text, with_ends, chunk, protection)
    build = _StoreBuild(path, corpora, encoder, shard_pairs)
    made_from = build.inputs()
    stored = None
    with suppress(DataError):  # no complete store
        stored = read_manifest(path)[0]
    if stored != made_from:
        _build(build, made_from, workers or count_cores())
    return TokenStore(path)


class _StoreBuild(NamedTuple):
    """Everything that determines the content of a store, and its directory."""

    path: Path
    corpora: tuple[Corpus, ...]
    encoder: RowEncoder
    shard_pairs: int

    def inputs(self) -> dict[str, Any]:
        """Return the inputs as plain JSON values, files and vocabularies as their checksums."""
        cache = self.path.parent / CHECKSUMS
        return {
            "format": FORMAT,
            "corpora": [
                {
                    "name": corpus.name,
                    "files": cached_sha256(corpus.all_files, cache),
                    "languages": list(corpus.languages),
                    "tag": corpus.tag,
                    "columns": corpus.columns,
                    **({} if corpus.first is None else {"first": corpus.first}),
                }
                for corpus in self.corpora
            ],
            "vocabularies": {name: side.fingerprint() for name, side in self.encoder.vocabularies.items()},
            "filter": self.encoder.keep and self.encoder.keep.limits(),
            **({"protection": asdict(protection)} if (protection := self.encoder.protection) else {}),
            "text": self.encoder.with_text,
            "ends": self.encoder.with_ends,
            "shard": self.shard_pairs,
        }


class _ShardTask(NamedTuple):
    """A shard to encode: its file, its corpus, the number of lines before it, and its text."""

    file: Path
    corpus: Corpus
    lines_before: int
    rows: list[Row]


def _build(build: _StoreBuild, made_from: Mapping[str, Any], workers: int) -> None:
    """Encode every shard that does not exist yet, and write the manifest."""
    path, mark = build.path, store_fingerprint(made_from)
    path.mkdir(parents=True, exist_ok=True)
    (path / MANIFEST).unlink(missing_ok=True)
    for incomplete in path.glob("*.part"):
        incomplete.unlink()
    files: dict[Path, str] = {}
    begin = partial(_start_worker, build.encoder, mark)
    for _ in _run_tasks(begin, _list_tasks(build, mark, files), workers):
        pass
    shards = [_shard_entry(file, corpus) for file, corpus in files.items()]
    for corpus in build.corpora:
        report = join_reports(shard.report for shard in shards if shard.corpus == corpus.name)
        if report.kept == 0:
            raise DataError(f"no {report.unit[:-1]} is left of {corpus}: {report}")
    for other in {*path.glob("*.safetensors")} - files.keys():
        other.unlink()
    write_manifest(path, made_from, shards)


def _list_tasks(build: _StoreBuild, mark: str, files: dict[Path, str]) -> Iterator[_ShardTask]:
    """Yield the shards to encode; the corpus of every shard, also of existing ones, is added to `files`."""
    for corpus in build.corpora:
        rows, before = read_rows(corpus), 0
        while (text := list(islice(rows, build.shard_pairs))) or before == 0:
            file = build.path / f"{len(files):05}.safetensors"
            files[file] = corpus.name
            if not _is_complete(file, mark):
                yield _ShardTask(file, corpus, before, text)
            before += max(len(text), 1)


def _is_complete(file: Path, mark: str) -> bool:
    """Return True if a shard exists and is undamaged."""
    with suppress(DataError):
        shard = ArrayFile(file, "")
        if shard.metadata.get("made_from") == mark:
            shard.check()
            return True
    return False


def _run_tasks(
    begin: Callable[[], Work[_ShardTask, None]], tasks: Iterator[_ShardTask], workers: int
) -> Iterator[object]:
    """Run the tasks, in this process if there is only one."""
    first = list(islice(tasks, 2))
    if len(first) < 2 or workers == 1:
        yield from map(begin(), chain(first, tasks))
        return
    with Workers(begin, workers, ahead=1) as processes:
        yield from processes.map(chain(first, tasks))


def _start_worker(encoder: RowEncoder, mark: str) -> Work[_ShardTask, None]:
    return partial(_make_shard, encoder, mark)


def _make_shard(encoder: RowEncoder, mark: str, task: _ShardTask) -> None:
    """Encode a shard chunk by chunk into temporary columns, and write them to its file."""
    with TemporaryColumns(task.file.parent) as scratch:
        report = encode_rows(encoder, task.corpus, task.rows, task.lines_before, scratch)
        scratch.save(task.file, {"made_from": mark, "report": json.dumps(asdict(report))})


def _shard_entry(file: Path, corpus: str) -> ShardEntry:
    metadata, advice = ArrayFile(file, rebuild_advice(file.parent)).metadata, rebuild_advice(file.parent)
    report = parse_json(metadata.get("report", "").encode(), FilterReport, file, advice)
    return ShardEntry(file.name, corpus, report.kept, report, file_sha256(file))
