"""Checkpoints written beside training: what is to be kept is copied at once, a thread does the rest."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import TracebackType

from torch import Tensor

from nmt.training import checkpoint
from nmt.training.checkpoint import Metadata, Tensors, checkpoint_name


class CheckpointSaver:
    """Writes checkpoints into a folder, one at a time; what fails there is raised by the next call.

    Within the block something may be under way; at its end nothing is.
    """

    def __init__(self, checkpoints: Path, keep: int, sync: Callable[[], None]) -> None:
        """`keep` of the latest are kept. `sync` makes durable what a checkpoint must not know more than."""
        self.checkpoints, self.keep, self.sync = checkpoints, keep, sync
        self.copies: tuple[Tensors, Tensors] = ({}, {})  # kept from save to save: new pages cost time
        self.thread: Thread | None = None
        self.error: Exception | None = None

    def __enter__(self) -> "CheckpointSaver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self.wait()
        elif self.thread is not None:
            self.thread.join()

    def save(
        self,
        update: int,
        model: Tensors,
        trainer: Tensors,
        facts: Metadata,
        *,
        best: int | None,
        spare: int | None,
    ) -> None:
        """Copy the tensors and begin to write; then `last` and `best` point anew and old ones are deleted.

        `best` and `spare` are updates whose checkpoints are not deleted.
        """
        self.wait()
        self.copies = _copied(model, self.copies[0]), _copied(trainer, self.copies[1])
        self.thread = Thread(
            target=self._write, args=(checkpoint_name(update), facts, best, spare), name="saving"
        )
        self.thread.start()

    def wait(self) -> None:
        """Until nothing is under way; raises what failed."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        self.check()

    def check(self) -> None:
        """Raise what has failed so far."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def point_to(self, last: str, best: int | None) -> str | None:
        """Set the links `last` and `best`; gives the name of the best (the last, if the best was lost)."""
        checkpoint.link(self.checkpoints, "last", last)
        if best is None:
            return None
        name = checkpoint_name(best)
        name = name if (self.checkpoints / name).is_dir() else last
        checkpoint.link(self.checkpoints, "best", name)
        return name

    def _write(self, name: str, facts: Metadata, best: int | None, spare: int | None) -> None:
        try:
            self.sync()
            checkpoint.write(self.checkpoints / name, *self.copies, facts)
            spared = [self.point_to(name, best), None if spare is None else checkpoint_name(spare)]
            checkpoint.prune(self.checkpoints, self.keep, *spared)
        except Exception as error:
            self.error = error


def _copied(tensors: Tensors, into: Tensors) -> Tensors:
    """Copies on the CPU, in the memory of `into` where shapes and types are still the same."""
    return {name: _copy(tensor, into.get(name)) for name, tensor in tensors.items()}


def _copy(tensor: Tensor, into: Tensor | None) -> Tensor:
    if into is None or (into.shape, into.dtype) != (tensor.shape, tensor.dtype):
        return tensor.detach().to("cpu", copy=True).contiguous()
    return into.copy_(tensor.detach())
