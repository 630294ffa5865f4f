"""The output files of a job: OUTPUT.part until it is complete, with its checkpoint OUTPUT.part.json.

A checkpoint is saved after the bytes that it counts are flushed to disk; resuming truncates the files.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nmt.decoding.job import JobProgress
from nmt.errors import DataError
from nmt.files import is_stream, lock_path, part_file, replace_file, write_file
from nmt.settings import CountOrZero
from nmt.untrusted_files import STATE_BYTES, RefusedFile, read_json

Identity = dict[str, Any]  # plain JSON values, which must be equal for a job to be resumed


class JobCheckpoint(NamedTuple):
    """The content of OUTPUT.part.json."""

    identity: Identity
    done: JobProgress
    sizes: list[CountOrZero]  # bytes of each file
    whole: bool = False  # all lines are written, only renaming remains


class OutputStream(NamedTuple):
    """One stream of the output."""

    stream: BinaryIO
    name: str
    path: Path | None = None  # of the complete file; None for a device or standard output


def checkpoint_path(path: Path) -> Path:
    """Return the path of the checkpoint of the job that writes a file."""
    return path.with_name(f"{path.name}.part.json")


class JobOutput:
    """The open files of a job."""

    def __init__(self, streams: list[OutputStream], identity: Identity, done: JobProgress) -> None:
        self.streams, self.identity, self.done = streams, identity, done

    @property
    def paths(self) -> list[Path]:
        """The paths of the complete files."""
        return [stream.path for stream in self.streams if stream.path]

    @property
    def is_resumable(self) -> bool:
        """True unless one of the outputs is a device or standard output."""
        return len(self.paths) == len(self.streams)

    @property
    def is_empty(self) -> bool:
        """True if nothing has been written to the files."""
        return not any(stream.stream.tell() for stream in self.streams if stream.path)

    def close_files(self) -> None:
        """Close all but devices and standard output; their locks are held."""
        for stream in self.streams:
            if stream.path:
                stream.stream.close()

    def write(self, texts: Sequence[str]) -> None:
        """Write the line (or lines) of one translation to each stream."""
        for output, text in zip(self.streams, texts, strict=True):
            with report_file_errors(output.name):
                output.stream.write(text.encode() + b"\n")
                if output.path is None:
                    output.stream.flush()

    def save(self, done: JobProgress, *, complete: bool = False) -> None:
        """Flush the files and save a checkpoint, from which the job resumes after a kill."""
        self.done = done
        for output in self.streams:
            with report_file_errors(output.name):
                output.stream.flush()
                if output.path:
                    os.fsync(output.stream.fileno())
        if self.is_resumable:
            sizes = [output.stream.tell() for output in self.streams]
            checkpoint = JobCheckpoint(self.identity, done, sizes, complete)
            content = json.dumps({**checkpoint._asdict(), "done": done._asdict()}, ensure_ascii=False) + "\n"
            path = checkpoint_path(self.paths[0])
            with report_file_errors(path):
                write_file(path, content.encode())


@contextmanager
def open_output(
    standard: BinaryIO, paths: Sequence[Path | None], identity: Identity, checkpoint: JobCheckpoint | None
) -> Iterator[JobOutput]:
    """Open the files at these paths (`standard` for None), from a checkpoint or from the start.

    The files are kept if the block raises.
    """
    with ExitStack() as stack:
        sizes = checkpoint.sizes if checkpoint else [0] * len(paths)
        streams = [
            stack.enter_context(_open_file(path, size, resumes=checkpoint is not None))
            if path
            else OutputStream(standard, "standard output")
            for path, size in zip(paths, sizes, strict=True)
        ]
        output = JobOutput(streams, identity, checkpoint.done if checkpoint else JobProgress())
        try:
            output.save(output.done)
            yield output
            output.save(output.done, complete=True)
        except BaseException:
            if output.is_empty:
                output.close_files()
                for path in output.paths:
                    part_file(path).unlink()
                    checkpoint_path(path).unlink(missing_ok=True)
            raise
        output.close_files()  # Windows renames no open file
        rename_parts(paths)  # while they are locked


@contextmanager
def _open_file(path: Path, size: int, *, resumes: bool) -> Iterator[OutputStream]:
    if is_stream(path):  # a rename would replace it
        with report_file_errors(path), path.open("ab") as device:
            yield OutputStream(device, str(path))
        return
    target = path.resolve()
    part = part_file(target)
    with report_file_errors(part), ExitStack() as stack:
        if not resumes:
            part.touch()
        if not stack.enter_context(lock_path(part, path)):
            raise DataError(f"{part} is a link, or has been removed; start again without --resume")
        if not resumes:
            checkpoint_path(target).unlink(missing_ok=True)
        stream: BinaryIO = stack.enter_context(part.open("r+b" if resumes else "wb"))
        files = stack.pop_all()
    with files:
        if stream.seek(0, os.SEEK_END) < size:
            raise DataError(f"{part} is shorter than its checkpoint records; start again without --resume")
        stream.truncate(size)
        stream.seek(size)
        yield OutputStream(stream, str(part), target)


@contextmanager
def report_file_errors(name: object) -> Iterator[None]:
    """Convert an OSError, which names no file if the disk is full, to a DataError that does."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"cannot write {name}: {error.strerror}") from None


def rename_parts(paths: Sequence[Path | None]) -> None:
    """Rename complete .part files; files that have been renamed are skipped."""
    targets = [path.resolve() for path in paths if path]
    for target in targets:
        if part_file(target).exists():
            replace_file(part_file(target), target)
    for target in targets:
        checkpoint_path(target).unlink(missing_ok=True)


def read_checkpoint(paths: Sequence[Path | None], identity: Identity) -> JobCheckpoint | None:
    """Return the checkpoint of the job that left OUTPUT.part behind, None if there is none.

    Raises DataError, with the differences, if it was a different job.
    """
    if paths[0] is None:
        return None
    path = checkpoint_path(paths[0].resolve())
    if not os.path.lexists(path):
        return None
    checkpoint = read_json(path, JobCheckpoint, STATE_BYTES, "start again without --resume")
    if len(checkpoint.sizes) != len(paths):
        raise RefusedFile(path, f"it counts {len(checkpoint.sizes)} files", "start again without --resume")
    changes = [
        f"  {name}: was {_describe(checkpoint.identity.get(name))}, now {_describe(identity.get(name))}"
        for name in {**checkpoint.identity, **identity}
        if checkpoint.identity.get(name) != identity.get(name)
    ]
    if changes:
        raise DataError(
            f"{part_file(paths[0])} belongs to a different job; delete it or choose another --output:\n"
            + "\n".join(changes)
        )
    return checkpoint


def _describe(value: Any) -> str:
    return "not set" if value is None else str(value)
