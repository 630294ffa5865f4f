"""Refusal of outputs that would overwrite what a command reads, or another of its outputs.

Files are compared by device and inode, so links do not hide that two names are one file. Devices and pipes
are exempt.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nmt.errors import UsageError
from nmt.files import is_stream, part_file, temporary_file
from nmt.operating_system import STANDARD_OUTPUT, stat_file

MODEL_FILES = (
    *("*.yaml", "*.py", "*.spm", "*.vocab", "*.safetensors", "*.onnx", "model.json", "config.json"),
    *("checksums.json", "material.json", "metrics.jsonl", "times.jsonl", "checkpoints/**/*", "data/**/*"),
)
"""Files that verbs read in a run, a checkpoint, a model directory or an exported directory."""

Identity = tuple[int, int] | str  # device and inode; of a file that does not exist yet, its path


def check_output_files(outputs: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Raise UsageError if an output is an input, a file of an input directory, or another output.

    `outputs` has the name of each output for the message. The files that a job keeps next to its output until
    it is complete are written, too.
    """
    written: dict[Identity, tuple[str, Path, Path]] = {}
    for name, output in outputs.items():
        for file in written_files(output):
            identity = _identity(file)
            if identity is None:
                continue
            other, path, _ = written.setdefault(identity, (name, output, file))
            if other != name and not (STANDARD_OUTPUT in (output, path) and is_stream(output)):
                raise UsageError(_describe(name, output, file, f"{other} {path}"))
    if not written:
        return
    for identity, path in (read for given in inputs for read in _files_read(given)):
        if identity in written:
            raise UsageError(_describe(*written[identity], f"the input {path}"))


def check_output_directory(name: str, output: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError if an output directory is, contains or lies in an input (a file, or a model)."""
    for path in (one for given in inputs for one in _with_run(given)):
        real = Path(os.path.realpath(path))
        for directory in written_directories(output):
            if directory == real:
                relation = "is"
            elif directory in real.parents:
                relation = "contains"
            elif real in directory.parents and real.is_dir():
                relation = "lies in"
            else:
                continue
            raise UsageError(f"{name} {output} {relation} the input {path}: choose another directory")


def check_new_directory(output: Path, inputs: Iterable[Path], name: str = "--output") -> None:
    """Raise UsageError if `output` exists, or lies in an input or contains one; `name` is the option's."""
    check_output_directory(name, output, inputs)
    if output.exists():
        raise UsageError(f"{output} already exists; choose another name")


def written_files(output: Path) -> list[Path]:
    """Return an output file and the files that a job writes next to it."""
    if is_stream(output):
        return [output]
    target = Path(os.path.realpath(output))
    states = [target.with_name(target.name + ending) for ending in (".part.json", ".shard.json")]
    return [target, temporary_file(target), part_file(target), *states]


def written_directories(output: Path) -> list[Path]:
    """Return an output directory and the ones that `atomic_directory` replaces next to it."""
    target = Path(os.path.realpath(output))
    return [target, *(target.with_name(f".{target.name}.{end}") for end in ("partial", "replaced"))]


def _describe(name: str, output: Path, file: Path, other: str) -> str:
    same = file == Path(os.path.realpath(output)) or is_stream(output)
    writes = "is the same file as" if same else f"would overwrite {file}, which is"
    return f"{name} {output} {writes} {other}: choose another file"


def _files_read(path: Path) -> Iterator[tuple[Identity, Path]]:
    """Yield the file, or the files of a run or model directory, with their identities."""
    files = (
        (file for folder in _with_run(path) for pattern in MODEL_FILES for file in folder.glob(pattern))
        if path.is_dir()
        else [path]
    )
    for file in files:
        identity = _identity(file)
        if identity is not None:
            yield identity, file


def _with_run(path: Path) -> list[Path]:
    """Return a path, and the run of a checkpoint, whose recipe and vocabularies are read."""
    run = path.resolve().parent.parent
    is_checkpoint = path.is_dir() and not (path / "recipe.yaml").is_file() and (run / "recipe.yaml").is_file()
    return [path, run] if is_checkpoint else [path]


def _identity(path: Path) -> Identity | None:
    """Return what two names of one file have in common; None for a device or a pipe."""
    try:
        found = stat_file(path)
    except OSError:
        return os.path.realpath(path)
    is_kept = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return (found.st_dev, found.st_ino) if is_kept else None
