"""The training batches of a run, as functions of the epoch: what `nmt.training.loop.Epochs` asks for."""

from collections.abc import Iterator

from nmt.data.batches import Batch, Plan, Sampling, batches, count_batches
from nmt.data.store import TokenStore
from nmt.data.streams import Cut, chunks, count_chunks, lines_at


class Pairs:
    """Pairs, or lines of plain text, in an order of each epoch's own."""

    def __init__(self, store: TokenStore, plan: Plan, sampling: Sampling | None = None) -> None:
        self.store, self.plan, self.sampling = store, plan, sampling

    def count(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return count_batches(self.store, self.plan, epoch)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from the one at `start`."""
        return batches(self.store, self.plan, epoch, start, self.sampling)

    def places(self, batch: Batch) -> list[tuple[str, int]]:
        """The corpora and lines that a batch's pairs are from."""
        return self.store.places(batch.pairs.numpy())


class Streams:
    """A text in streams, chunk after chunk, the same in every epoch."""

    def __init__(self, store: TokenStore, cut: Cut) -> None:
        self.store, self.cut = store, cut

    def count(self, epoch: int) -> int:
        """How many chunks the text has."""
        return count_chunks(self.store, self.cut)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The chunks from the one at `start`."""
        return chunks(self.store, self.cut, start)

    def places(self, batch: Batch) -> list[tuple[str, int]]:
        """The lines of the text in which a batch's rows begin."""
        return [("", line) for line in lines_at(self.store, batch.pairs.numpy())]
