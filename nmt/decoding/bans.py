"""Pieces that may not come next: no end too early, no n-gram twice, nothing that was ruled out."""

from collections.abc import Iterator, Sequence

from nmt.data.subwords import EOS
from nmt.decoding.hypothesis import Node
from nmt.decoding.sentence import Sentence


def bans(sentence: Sentence, node: Node) -> Iterator[int]:
    """The pieces that may not follow this hypothesis; some may come twice."""
    if sentence.length < sentence.minimum or sentence.missing(node):
        yield EOS
    order, sequences = sentence.options.no_repeat_ngram, sentence.request.must_not
    if order or sequences:
        ids = [step.piece for step in node.path()]
        if order:
            yield from repeats(ids, order)
        for sequence in sequences:
            if sequence and _ends_with(ids, sequence[:-1]):
                yield sequence[-1]


def repeats(ids: list[int], order: int) -> Iterator[int]:
    """What would make an n-gram of this order come twice (Paulus et al., 2018)."""
    if len(ids) < order:
        return
    last = ids[len(ids) - order + 1 :]
    for start in range(len(ids) - order + 1):
        if ids[start : start + order - 1] == last:
            yield ids[start + order - 1]


def _ends_with(ids: list[int], sequence: Sequence[int]) -> bool:
    return not sequence or ids[-len(sequence) :] == list(sequence)
