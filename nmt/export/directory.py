"""The directory of an exported translator: graphs, vocabularies, configuration. Reading it needs no torch."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nmt.arguments import check_whole_number
from nmt.data.protection import build_protection
from nmt.data.protection.spans import KINDS
from nmt.data.trained_lengths import LENGTHS, read_lengths
from nmt.data.vocabulary import load_vocabulary
from nmt.decoding.job import Job
from nmt.decoding.options import Options, SearchSettings
from nmt.errors import UsageError
from nmt.evaluation.tokenizers import TOKENIZERS
from nmt.evaluation.tuning import TUNING, read_tuning
from nmt.export.runtime import OnnxModel
from nmt.files import file_sha256
from nmt.formats import PROSE
from nmt.settings import Count, OneOf
from nmt.untrusted_files import RefusedFile, check_sha256, find_member, read_card, read_json

CONFIG, CHECKSUMS = "config.json", "checksums.json"
PROTECTION = "protection.json"  # kinds of text that is copied
GRAPHS = ("encoder", "step", "best")


@dataclass(frozen=True)
class ExportConfig:
    """The content of `config.json`."""

    format: int
    nmt: str  # the version that wrote it
    languages: tuple[str, str]
    int8: bool
    parameters: int
    pieces: tuple[Count, Count]  # sizes of the vocabularies
    ids: dict[str, int]  # of pad, bos, eos, unk
    vocabularies: tuple[str, str]  # their files
    memory: list[str]  # arrays with an entry for each source position
    state: dict[str, Count]  # the fields of the decoder's state, and their sizes
    search: SearchSettings  # of the recipe
    tokenize: Annotated[str, OneOf(lambda: TOKENIZERS)] = "13a"  # BLEU's tokenizer; absent in version 0.1

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}


def is_exported(path: Path) -> bool:
    """Return True if a path is an exported directory."""
    return os.path.lexists(path / CHECKSUMS) and os.path.lexists(path / CONFIG)


def load_export(path: Path, *, threads: int = 1, int8: bool = False) -> Job:
    """Load the translation job of an exported directory, after checking the checksum of every file.

    Raises DataError if a file has changed, or if the directory has a later format; UsageError for int8 if
    the weights are float32.
    """
    threads = check_whole_number("threads", threads, 1)
    config = read_card(path / CONFIG, ExportConfig)
    if int8 and not config.int8:
        raise UsageError(f"{path} was exported in float32: export the run with --int8 instead")
    checksums = read_json(path / CHECKSUMS, dict[str, str])
    for name in sorted({*checksums} - {PROSE}):
        check_sha256(find_member(path, name, path / CHECKSUMS), checksums[name])
    missing = {CONFIG, *config.vocabularies, *map(name_graph_file, GRAPHS)} - set(checksums)
    if missing:
        raise RefusedFile(path / CHECKSUMS, f"no checksum of {', '.join(sorted(missing))}")
    source, target = (load_vocabulary(path / name) for name in config.vocabularies)
    if (len(source), len(target)) != config.pieces:
        raise RefusedFile(path / CONFIG, f"{config.pieces} tokens do not match the vocabularies")
    graphs = {name: path / name_graph_file(name) for name in GRAPHS}
    model = OnnxModel(graphs, vocabulary_size=config.pieces[1], threads=threads)
    model.check(config.memory, config.state)
    lengths = read_lengths(path) if LENGTHS in checksums else None
    options = Options(**vars(config.search), unk=not target.byte_tokens())
    protection = build_protection(_read_kinds(path, checksums), source, target)
    tuning = read_tuning(path) if TUNING in checksums else None
    job = Job(model, source, target, options, bool(config.memory), bleu_tokenizer=config.tokenize)
    job = job._replace(estimator=tuning.quality if tuning else None)
    return job._replace(languages=config.languages, protection=protection).with_lengths(lengths)


def _read_kinds(path: Path, files: Collection[str]) -> tuple[str, ...]:
    """Return the kinds of text that is copied; none in directories of version 0.1."""
    kinds = read_json(path / PROTECTION, tuple[str, ...]) if PROTECTION in files else ()
    if not {*kinds} <= {*KINDS}:
        raise RefusedFile(path / PROTECTION, f"it names other kinds than {', '.join(KINDS)}")
    return kinds


def fingerprint(path: Path) -> str:
    """Return the fingerprint of an exported translator: the SHA-256 of its list of checksums."""
    return file_sha256(path / CHECKSUMS)


def name_graph_file(name: str) -> str:
    """Return the file name of a graph."""
    return f"{name}.onnx"
