"""What each process of a run has to itself, gathered for the checkpoint and dealt out again."""

from collections.abc import Iterator

import torch
from torch import Tensor

from nmt.training.checkpoint import Tensors, packed, unpacked
from nmt.training.processes import Processes

GENERATOR, CARRIED = "generator/", "carried/"


def gathered(processes: Processes, mine: Tensors) -> Tensors:
    """The generators' states of every process, and the carried state with the rows of all.

    Those of process r > 0 are called `process/r/generator/…`; rows stand as in a batch of the whole run.
    """
    if processes.count == 1:
        return mine
    everyones = [unpacked(content) for content in processes.gather(packed(mine))]
    tensors = {
        (name if rank == 0 else f"process/{rank}/{name}"): tensor
        for rank, theirs in enumerate(everyones)
        for name, tensor in theirs.items()
        if name.startswith(GENERATOR)
    }
    for name in everyones[0]:
        if name.startswith(CARRIED):
            tensors[name] = _interleaved([theirs[name] for theirs in everyones if name in theirs])
    return tensors


def dealt(processes: Processes, tensors: Tensors) -> Tensors:
    """What is this process's of what `gathered` gave, under the names that it had.

    A process that the checkpoint does not know of finds no generators; rows are dealt to any number.
    """
    mine = f"process/{processes.rank}/" if processes.rank else ""
    own = {name.removeprefix(mine): t for name, t in tensors.items() if name.startswith(mine + GENERATOR)}
    rows = slice(processes.rank, None, processes.count)
    return own | {name: t[rows] for name, t in tensors.items() if name.startswith(CARRIED) and len(t[rows])}


def changed_count(before: int, now: int) -> Iterator[str]:
    """What it means that a run goes on with another number of processes."""
    if before != now:
        yield (
            f"so far this run had {before} process{'es' * (before > 1)}, now it has {now}: batches stay the "
            "same, but dropout and other draws are others, so it ends near where it would have, not there"
        )


def _interleaved(parts: list[Tensor]) -> Tensor:
    """Row i of the whole is row i // n of part i % n."""
    whole = torch.cat(parts)
    for rank, part in enumerate(parts):
        whole[rank :: len(parts)] = part
    return whole
