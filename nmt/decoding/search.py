"""Beam search over any model that can take one step; a beam of one is greedy search.

At every position each live hypothesis is continued with every piece, and the `beam` best continuations of
a sentence are kept. Those that end with eos are finished and leave the beam; the others go on. A sentence
leaves as soon as nothing alive could still come among its `n_best`, so stopping early never changes what is
found, and a waiting one takes its place.

A sentence is searched as if it were alone: its numbers are added up hypothesis by hypothesis, in float64,
and of equal continuations that of the higher-ranked hypothesis comes first, then the more probable piece,
then the lower id.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from nmt.decoding.batch import Batch
from nmt.decoding.expansion import Record
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.model import Model
from nmt.decoding.options import Options, Request


def search(
    model: Model, requests: Iterable[Request], options: Options, record: Record | None = None
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """The `n_best` hypotheses of every request, best first, with its number, as they are found.

    Finished hypotheses come before those cut at the longest length, then the higher score, then the one found
    earlier. `pad` and `bos` are never written, nor `unk` where it is ruled out. There are fewer where the
    vocabulary is tiny. Requests are taken when there is room for them, some at a time. `record` is shown what
    is done at every position.
    """
    batch, waiting = Batch(model, options, record), iter(requests)
    while True:
        batch.enter(list(islice(waiting, batch.room())))
        if not batch.sentences:
            return
        for sentence in batch.advance():
            yield sentence.request.number, sentence.hypotheses()
