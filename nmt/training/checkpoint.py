"""Checkpoints: whole or absent. Tensors in safetensors, the rest in JSON; nothing that runs code."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from nmt.errors import DataError
from nmt.files import atomic_directory, check_sha256, file_sha256, remove

Tensors = dict[str, Tensor]
Metadata = dict[str, Any]  # plain JSON values

MODEL, TRAINER, FACTS = "model.safetensors", "trainer.safetensors", "checkpoint.json"


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    directory: Path
    model: Tensors
    trainer: Tensors
    facts: Metadata


def checkpoint_name(update: int) -> str:
    """The folder of the checkpoint after an update; names sort like updates."""
    return f"u{update:07d}"


def write(directory: Path, model: Tensors, trainer: Tensors, facts: Metadata) -> None:
    """Write a checkpoint atomically; one of that name is replaced."""
    try:
        write_folder(directory, {MODEL: model, TRAINER: trainer}, FACTS, facts)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{directory}: this checkpoint could not be written ({error}); those before it are untouched"
        ) from error


def write_folder(directory: Path, files: Mapping[str, Tensors], name: str, facts: Metadata) -> None:
    """Write a directory of tensor files atomically, with facts and the files' checksums in `name`."""
    with atomic_directory(directory) as side:
        sums = {file: save_tensors(side / file, tensors) for file, tensors in files.items()}
        (side / name).write_bytes(_sealed({"facts": facts, "sha256": sums}))


def read(directory: Path) -> Checkpoint:
    """A checkpoint whose every byte is as it was written; DataError says which file is not, and why."""
    facts, sums = _read_facts(directory / FACTS)
    model = load_tensors(directory / MODEL, sums[MODEL])
    trainer = load_tensors(directory / TRAINER, sums[TRAINER])
    return Checkpoint(directory, model, trainer, facts)


def read_model(directory: Path) -> tuple[Tensors, Metadata]:
    """Only the weights of a checkpoint, and the facts about it."""
    facts, sums = _read_facts(directory / FACTS)
    return load_tensors(directory / MODEL, sums[MODEL]), facts


def list_checkpoints(checkpoints: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first; nothing is said of whether they are whole."""
    return sorted(path for path in checkpoints.glob("u*") if path.is_dir() and path.name[1:].isdigit())


class LatestCheckpoint(NamedTuple):
    """The latest whole checkpoint (None where there is none) and why newer ones were refused."""

    checkpoint: Checkpoint | None
    refused: dict[Path, str]


def find_latest(checkpoints: Path) -> LatestCheckpoint:
    """The latest whole checkpoint. If all are torn, DataError: a run never starts over unasked."""
    refused: dict[Path, str] = {}
    for directory in reversed(list_checkpoints(checkpoints)):
        try:
            return LatestCheckpoint(read(directory), refused)
        except DataError as error:
            refused[directory] = str(error)
    if refused:
        reasons = "\n  ".join(refused.values())
        raise DataError(
            f"{checkpoints}: no whole checkpoint is left; delete the folder to begin anew\n  {reasons}"
        )
    return LatestCheckpoint(None, refused)


def set_aside(directory: Path) -> Path:
    """Rename a refused checkpoint so that no one takes it for one, and it can still be looked at."""
    kept = directory.with_name(f"{directory.name}.refused")
    remove(kept)
    return directory.rename(kept)


def remove_partial_writes(checkpoints: Path) -> None:
    """Remove what interrupted writes left behind."""
    for path in checkpoints.glob(".*"):
        remove(path)


def link(checkpoints: Path, name: str, target: str) -> None:
    """Point the relative link `name` (best, last) at a checkpoint, replacing it in one step."""
    side = checkpoints / f".{name}.link"
    remove(side)
    side.symlink_to(target)
    os.replace(side, checkpoints / name)


def prune(checkpoints: Path, keep: int, *spared: str | None) -> None:
    """Delete all but the latest `keep` (one at least) and those that are spared."""
    for directory in list_checkpoints(checkpoints)[: -max(keep, 1)]:
        if directory.name not in spared:
            remove(directory.rename(directory.with_name(f".{directory.name}.deleted")))


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors to a safetensors file and return its SHA-256."""
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    return file_sha256(path)


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as a message to another process."""
    return save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})


def unpack_tensors(message: bytes) -> Tensors:
    """The tensors of such a message."""
    return load(message)


def load_tensors(path: Path, sha256: str) -> Tensors:
    """Return the tensors of a file whose SHA-256 must be `sha256`; DataError otherwise."""
    check_sha256(path, sha256)
    return load_file(path)


def _sealed(content: Metadata) -> bytes:
    """JSON that carries its own checksum."""
    seal = hashlib.sha256(_canonical(content)).hexdigest()
    return json.dumps({**content, "seal": seal}, indent=1, ensure_ascii=False).encode() + b"\n"


def _canonical(content: Metadata) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _read_facts(path: Path) -> tuple[Metadata, dict[str, str]]:
    try:
        content = json.loads(path.read_bytes())
        seal = content.pop("seal")
        whole = hashlib.sha256(_canonical(content)).hexdigest() == seal
    except OSError as error:
        raise DataError(f"{path}: refused: it cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: refused: it is torn") from error
    if not whole:
        raise DataError(f"{path}: refused: checksum mismatch")
    return content["facts"], content["sha256"]
