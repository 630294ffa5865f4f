"""Several processes of one run, forked from this one, which has torch imported already."""

import multiprocessing
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from nmt.errors import NmtError
from nmt.training.distributed import Processes, join_process_group

LIMIT = 60.0  # seconds after which a process that does not end is given up


class Ended(NamedTuple):
    """How a process ended: what its work gave, or the error that was for people; neither if it was killed."""

    value: Any = None
    error: NmtError | None = None
    exit_code: int | None = None


def in_processes(count: int, work: Callable[[Processes], Any]) -> list[Ended]:
    """`work` done by so many processes at once, in a process group that they find there; by rank."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        context = multiprocessing.get_context("fork")
        pipes = [context.Pipe(duplex=False) for _ in range(count)]
        children = [
            context.Process(target=_member, args=(meeting, rank, count, work, pipe[1]))
            for rank, pipe in enumerate(pipes)
        ]
        for child in children:
            child.start()
        return [_ended(child, *pipe) for child, pipe in zip(children, pipes, strict=True)]


def values(ended: list[Ended]) -> list[Any]:
    """What the work gave in each process, all of which must have done it."""
    for one in ended:
        if one.error is not None:
            raise one.error
        assert one.exit_code == 0
    return [one.value for one in ended]


def _member(meeting: str, rank: int, count: int, work: Callable[[Processes], Any], pipe: Connection) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    try:
        with join_process_group(torch.device("cpu")) as processes:
            pipe.send(Ended(work(processes)))
    except NmtError as error:
        pipe.send(Ended(error=error))
    dist.destroy_process_group()


def _ended(child: multiprocessing.process.BaseProcess, ours: Connection, theirs: Connection) -> Ended:
    theirs.close()
    sent = Ended()
    if ours.poll(LIMIT):
        with suppress(EOFError):
            sent = ours.recv()
    child.join(LIMIT)
    if child.exitcode is None:
        child.kill()
    return sent._replace(exit_code=child.exitcode)
