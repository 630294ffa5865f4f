"""Checkpoints: tensors in safetensors and metadata in JSON, with checksums, written atomically."""

import errno
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from nmt.errors import DataError
from nmt.files import atomic_directory, file_sha256, remove_path
from nmt.formats import FIRST, stamp
from nmt.operating_system import create_link
from nmt.untrusted_files import (
    STATE_BYTES,
    NewerFormat,
    RefusedFile,
    TensorHeader,
    check_sha256,
    compute_seal,
    find_member,
    read_bytes,
    read_card,
    read_tensor_header,
)

Tensors = dict[str, Tensor]
Metadata = dict[str, Any]  # plain JSON values
CheckHeader = Callable[[Path, TensorHeader], None]
"""A function that raises DataError for a file of weights that is not used, before memory is taken for it."""

LINKS = ("best", "last")
NAME_BYTES = 64
MODEL, TRAINER, METADATA = "model.safetensors", "trainer.safetensors", "checkpoint.json"


class Checkpoint(NamedTuple):
    """The contents of a checkpoint."""

    directory: Path
    model: Tensors
    trainer: Tensors
    metadata: Metadata


class LatestCheckpoint(NamedTuple):
    """The latest complete checkpoint (None if there is none) and the reasons to refuse newer ones."""

    checkpoint: Checkpoint | None
    refused: dict[Path, str]


def checkpoint_name(update: int) -> str:
    """Return the directory name of the checkpoint after an update; names sort like updates."""
    return f"u{update:07d}"


def write(directory: Path, model: Tensors, trainer: Tensors, metadata: Metadata) -> None:
    """Write a checkpoint atomically; one of that name is replaced."""
    try:
        write_tensor_files(directory, {MODEL: model, TRAINER: trainer}, METADATA, metadata)
    except (OSError, DataError) as error:
        raise DataError(
            f"{directory}: the checkpoint could not be written ({error}); earlier checkpoints are untouched"
        ) from error


def write_tensor_files(directory: Path, files: Mapping[str, Tensors], name: str, metadata: Metadata) -> None:
    """Write a directory of tensor files atomically, with metadata and the files' checksums in `name`."""
    with atomic_directory(directory) as side:
        checksums = {file: save_tensors(side / file, tensors) for file, tensors in files.items()}
        (side / name).write_bytes(_with_checksum({**stamp(), "facts": metadata, "sha256": checksums}))


@dataclass(frozen=True)
class CheckpointCard:
    """The content of `checkpoint.json`, without its seal."""

    facts: Metadata
    sha256: dict[str, str]  # of the files next to it
    format: int = FIRST
    nmt: str | None = None  # the version that wrote it


def read(directory: Path) -> Checkpoint:
    """Read a checkpoint; DataError names the file whose checksum differs."""
    card = read_checkpoint_card(directory, MODEL, TRAINER)
    model = load_tensors(directory / MODEL, card.sha256[MODEL])
    trainer = load_tensors(directory / TRAINER, card.sha256[TRAINER])
    return Checkpoint(directory, model, trainer, card.facts)


def read_model(directory: Path) -> tuple[Tensors, Metadata]:
    """Read only the weights and the metadata of a checkpoint."""
    card = read_checkpoint_card(directory, MODEL)
    return load_tensors(directory / MODEL, card.sha256[MODEL]), card.facts


def find_weights(directory: Path) -> Path:
    """Return the file of a checkpoint's weights; DataError if a checksum differs."""
    card = read_checkpoint_card(directory, MODEL)
    check_sha256(directory / MODEL, card.sha256[MODEL])
    return directory / MODEL


def read_checkpoint_card(directory: Path, *files: str) -> CheckpointCard:
    """Read `checkpoint.json`; DataError if it is damaged, or has no checksum of one of the files."""
    path = directory / METADATA
    card = read_card(path, CheckpointCard, STATE_BYTES, is_sealed=True)
    if missing := [file for file in files if file not in card.sha256]:
        raise RefusedFile(path, f"no checksum of {missing[0]}")
    return card


def list_checkpoints(checkpoints: Path) -> list[Path]:
    """List the checkpoints in a directory, oldest first, without checking them."""
    return sorted(path for path in checkpoints.glob("u*") if path.is_dir() and path.name[1:].isdigit())


def find_latest(checkpoints: Path) -> LatestCheckpoint:
    """Find the latest complete checkpoint; DataError if all are damaged, rather than restart silently."""
    refused: dict[Path, str] = {}
    for directory in reversed(list_checkpoints(checkpoints)):
        try:
            return LatestCheckpoint(read(directory), refused)
        except NewerFormat:  # not damaged: it must not be set aside
            raise
        except DataError as error:
            refused[directory] = str(error)
    if refused:
        reasons = "\n  ".join(refused.values())
        raise DataError(
            f"{checkpoints}: no complete checkpoint is left; delete the directory to start over\n  {reasons}"
        )
    return LatestCheckpoint(None, refused)


def rename_damaged(directory: Path) -> Path:
    """Rename a damaged checkpoint, so that it is not listed but can still be examined."""
    refused = directory.with_name(f"{directory.name}.refused")
    remove_path(refused)
    return directory.rename(refused)


def remove_partial_writes(checkpoints: Path) -> None:
    """Remove the remains of interrupted writes."""
    for path in checkpoints.glob(".*"):
        remove_path(path)


def link(checkpoints: Path, name: str, target: str) -> None:
    """Point the relative link `name` (best, last) at a checkpoint atomically."""
    side = checkpoints / f".{name}.link"
    remove_path(side)
    create_link(side, target)
    os.replace(side, checkpoints / name)


def follow_link(path: Path) -> Path:
    """Return the checkpoint that a file names which is there in place of a link; any other path as it is."""
    if path.name not in LINKS or not path.is_file():
        return path
    name = read_bytes(path, NAME_BYTES).decode(errors="replace").strip()
    return find_member(path.parent, name, path)


def prune(checkpoints: Path, keep: int, *protected: str | None) -> None:
    """Delete all checkpoints but the latest `keep` (at least one) and the protected ones."""
    for directory in list_checkpoints(checkpoints)[: -max(keep, 1)]:
        if directory.name not in protected:
            remove_path(directory.rename(directory.with_name(f".{directory.name}.deleted")))


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors to a safetensors file and return its SHA-256."""
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error
    return file_sha256(path)


def load_tensors(path: Path, sha256: str) -> Tensors:
    """Return the tensors of a file whose SHA-256 must be `sha256`; DataError otherwise."""
    check_sha256(path, sha256)
    return read_tensors(path)


def read_tensors(path: Path, check: CheckHeader | None = None) -> Tensors:
    """Return the tensors of a file, after `check` of its header."""
    header = read_tensor_header(path)
    if check is not None:
        check(path, header)
    try:
        if str(path).isprintable():
            return load_file(path)
        return load(path.read_bytes())  # safetensors accepts no name that is not UTF-8
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise RefusedFile(path, f"cannot be read ({error})") from None


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Serialize tensors to send them to another process."""
    return save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})


def unpack_tensors(message: bytes) -> Tensors:
    """Return the tensors that `pack_tensors` serialized."""
    return load(message)


def _with_checksum(content: Metadata) -> bytes:
    """Serialize to JSON that contains its own checksum."""
    return (
        json.dumps({**content, "seal": compute_seal(content)}, indent=1, ensure_ascii=False).encode() + b"\n"
    )


class CheckpointSaver:
    """Writer of checkpoints to a directory in a background thread, one at a time.

    `save` copies the tensors first, so training continues immediately. An error in the thread is raised by
    the next call. Exiting the context waits for the thread.
    """

    def __init__(self, checkpoints: Path, keep: int, sync: Callable[[], None]) -> None:
        """Take a function `sync` that flushes the logs to disk: a checkpoint must not be newer."""
        self.checkpoints, self.keep, self.sync = checkpoints, keep, sync
        self.thread: Thread | None = None
        self.error: Exception | None = None

    def __enter__(self) -> "CheckpointSaver":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.wait()
        elif self.thread is not None:
            self.thread.join()

    def save(
        self,
        update: int,
        model: Tensors,
        trainer: Tensors,
        metadata: Metadata,
        *,
        best: int | None,
        good: int | None,
    ) -> None:
        """Copy the tensors and start writing; then update the links and delete old checkpoints.

        The checkpoints of the updates `best` and `good` (to which a roll-back would return) are not deleted.
        """
        self.wait()
        copies = _copy_tensors(model), _copy_tensors(trainer)
        arguments = checkpoint_name(update), copies, metadata, best, good
        self.thread = Thread(target=self._write, args=arguments, name="saving")
        self.thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written, and raise its error."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        self.check()

    def check(self) -> None:
        """Raise the error of a write that failed."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def set_links(self, last: str, best: int | None) -> str | None:
        """Set the links `last` and `best`; return the target of `best` (the last if the best is lost)."""
        link(self.checkpoints, "last", last)
        if best is None:
            return None
        name = checkpoint_name(best)
        name = name if (self.checkpoints / name).is_dir() else last
        link(self.checkpoints, "best", name)
        return name

    def _write(
        self,
        name: str,
        copies: tuple[Tensors, Tensors],
        metadata: Metadata,
        best: int | None,
        good: int | None,
    ) -> None:
        try:
            self.sync()
            write(self.checkpoints / name, *copies, metadata)
            protected = [self.set_links(name, best), None if good is None else checkpoint_name(good)]
            prune(self.checkpoints, self.keep, *protected)
        except Exception as error:
            self.error = error


def _copy_tensors(tensors: Tensors) -> Tensors:
    """Copy tensors to the CPU."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
