"""Batches that are too large for the memory: to know it when it runs out, and to learn from them in parts."""

from collections.abc import Iterator, Sequence

import torch

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderState
from nmt.recurrence.state import map_tensors

MESSAGES = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says where it has no class of error: the machine's memory, a library on the device."""


def ran_out(error: BaseException) -> bool:
    """Whether memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(message in str(error) for message in MESSAGES)


def let_go() -> None:
    """Give back what the allocator keeps for tensors to come."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_parts(
    batch: Batch, carried: DecoderState | None, count: int
) -> Iterator[tuple[Batch, DecoderState | None]]:
    """A batch in so many parts (at most one for a row), each with its rows of the state carried on."""
    if count == 1:
        yield batch, carried
        return
    for rows in torch.arange(len(batch.src)).tensor_split(min(count, len(batch.src))):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        yield batch.part(part), map_tensors(lambda tensor, part=part: tensor[part], carried)


def joined(states: Sequence[DecoderState | None]) -> DecoderState | None:
    """The states after the parts of a batch as those after the whole."""
    if len(states) == 1:
        return states[0]
    return map_tensors(lambda *parts: torch.cat(parts), *states)


def too_large(group: Sequence[Batch]) -> str:
    """What is to be said when not even one pair at a time can be learnt from."""
    batch = max((batch for batch in group), key=lambda batch: batch.src.shape[1] + batch.tgt.shape[1])
    return (
        f"memory runs out even with one pair at a time: the longest have {batch.src.shape[1]} and "
        f"{batch.tgt.shape[1] - 1} pieces. A smaller data.max_length or model is needed, or a larger machine"
    )
