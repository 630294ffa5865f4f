"""The files of a job, which have their names when they are whole, and can be gone on with until then.

Until it is whole OUTPUT is OUTPUT.part. Beside it lies OUTPUT.part.json, the job's card: what the job is
(model and options), how many lines are written, a sum over them as they were read, and how many bytes of each
file belong to them. The card takes its new place in one step after the bytes that it counts are on the disk;
so after a kill at any moment what stands beyond the card's bytes is cut off, and the job goes on from there.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nmt.decoding.job import JobProgress
from nmt.errors import DataError
from nmt.files import part_file, replace_file, write_file

Identity = dict[str, Any]  # plain JSON values: what must be the same for a job to be gone on with


class JobCheckpoint(NamedTuple):
    """What is known of a job that is not whole yet."""

    identity: Identity
    done: JobProgress
    sizes: list[int]  # bytes of each file
    whole: bool = False  # nothing is left to do but give the files their names


class OutputStream(NamedTuple):
    """Where one stream of the output goes."""

    stream: BinaryIO
    name: str
    place: Path | None = None  # where it will stand; None for what has no name to be given


def checkpoint_path(path: Path) -> Path:
    """Where the card of the job that writes a file stands."""
    return path.with_name(path.name + ".part.json")


class JobOutput:
    """The open files of a job."""

    def __init__(self, sinks: list[OutputStream], identity: Identity, done: JobProgress) -> None:
        self.sinks, self.identity, self.done = sinks, identity, done

    @property
    def places(self) -> list[Path]:
        """Where the files will stand."""
        return [sink.place for sink in self.sinks if sink.place]

    @property
    def can_be_gone_on_with(self) -> bool:
        """Not if there is a stream among the files."""
        return len(self.places) == len(self.sinks)

    @property
    def empty(self) -> bool:
        """Whether nothing of the job is in its files."""
        return not any(sink.stream.tell() for sink in self.sinks if sink.place)

    def write(self, texts: Sequence[str]) -> None:
        """The lines (or line) of one translation to each stream."""
        for sink, text in zip(self.sinks, texts, strict=True):
            with naming_file(sink.name):
                sink.stream.write(text.encode() + b"\n")
                if sink.place is None:
                    sink.stream.flush()

    def stands(self, done: JobProgress, *, whole: bool = False) -> None:
        """Note that so much is done; from here the job goes on if it is killed."""
        self.done = done
        for sink in self.sinks:
            with naming_file(sink.name):
                sink.stream.flush()
                if sink.place:
                    os.fsync(sink.stream.fileno())
        if self.can_be_gone_on_with:
            card = checkpoint_path(self.places[0])
            with naming_file(card):
                sizes = [sink.stream.tell() for sink in self.sinks]
                content = {"identity": self.identity, "done": done._asdict(), "sizes": sizes, "whole": whole}
                write_file(card, (json.dumps(content, ensure_ascii=False) + "\n").encode())


@contextmanager
def open_output(
    standard: BinaryIO, paths: Sequence[Path | None], identity: Identity, card: JobCheckpoint | None
) -> Iterator[JobOutput]:
    """The files at these places (`standard` for None), gone on with from a card, or begun anew.

    What stands stays if the block raises.
    """
    with ExitStack() as stack:
        kept = card.sizes if card else [0] * len(paths)
        sinks = [
            stack.enter_context(_open(path, size, goes_on=card is not None))
            if path
            else OutputStream(standard, "standard output")
            for path, size in zip(paths, kept, strict=True)
        ]
        output = JobOutput(sinks, identity, card.done if card else JobProgress())
        try:
            output.stands(output.done)
            yield output
            output.stands(output.done, whole=True)
        except BaseException:
            if output.empty:
                _discard(output)
            raise
    finish_files(paths)


def _discard(output: JobOutput) -> None:
    for place in output.places:
        part_file(place).unlink()
        checkpoint_path(place).unlink(missing_ok=True)


@contextmanager
def _open(path: Path, size: int, *, goes_on: bool) -> Iterator[OutputStream]:
    if not _is_file_to_be(path):
        with naming_file(path), path.open("wb") as device:
            yield OutputStream(device, str(path))
        return
    place = path.resolve()
    try:
        if not goes_on:
            checkpoint_path(place).unlink(missing_ok=True)
        stream: BinaryIO = part_file(place).open("r+b" if goes_on else "wb")
    except OSError as error:
        raise DataError(f"cannot write {part_file(place)}: {error.strerror}") from None
    with stream:
        if stream.seek(0, os.SEEK_END) < size:
            raise DataError(f"{part_file(place)} has lost lines since it was written; begin without --resume")
        stream.truncate(size)
        stream.seek(size)
        yield OutputStream(stream, str(part_file(place)), place)


def _is_file_to_be(path: Path) -> bool:
    """Not a device or a pipe, which have nothing to be renamed over."""
    return path.is_file() or not path.exists()


@contextmanager
def naming_file(name: object) -> Iterator[None]:
    """A disk that is full names no file; this says which."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"cannot write {name}: {error.strerror}") from None


def finish_files(paths: Sequence[Path | None]) -> None:
    """Give whole files their names; those that have them already are passed over."""
    places = [path.resolve() for path in paths if path]
    for place in places:
        if part_file(place).exists():
            replace_file(part_file(place), place)
    for place in places:
        checkpoint_path(place).unlink(missing_ok=True)


def read_checkpoint(paths: Sequence[Path | None], identity: Identity) -> JobCheckpoint | None:
    """The card of the job that left OUTPUT.part behind, None where there is none.

    Raises DataError, with what has changed, if it was another job.
    """
    if paths[0] is None or (card := _read(checkpoint_path(paths[0].resolve()))) is None:
        return None
    _refuse_another(card, identity)
    return card


def _read(path: Path) -> JobCheckpoint | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return JobCheckpoint(**{**fields, "done": JobProgress(**fields["done"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} cannot be read ({error}); begin without --resume") from None


def _refuse_another(card: JobCheckpoint, identity: Identity) -> None:
    changed = [
        f"  {name}: {_said(card.identity.get(name))} then, {_said(identity.get(name))} now"
        for name in {**card.identity, **identity}
        if card.identity.get(name) != identity.get(name)
    ]
    if changed:
        listed = "\n".join(changed)
        raise DataError(f"what stands was written by another job, so it is not gone on with:\n{listed}")


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value)
