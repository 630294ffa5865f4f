"""Outputs that are given: what a model thinks of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from nmt.data.subwords import EOS
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.model import Model
from nmt.decoding.options import Options, Request
from nmt.decoding.search import search


class Pair(NamedTuple):
    """A sentence and its translation, in pieces (no bos, no eos)."""

    number: int  # what its answer is known by
    source: Sequence[int]
    target: Sequence[int]


def score(model: Model, pairs: Iterable[Pair], options: Options) -> Iterator[tuple[int, Hypothesis]]:
    """Each pair's target as the model's hypothesis, with its number, as they are found.

    It has the log probability of each piece and of eos, their sum, the score that a search with these options
    would rank it by, and with `options.attention` what each piece looked at.
    """
    alone = replace(options, beam=1, n_best=1, groups=1, sample=False)
    requests = (Request(pair.number, pair.source, [*pair.target, EOS]) for pair in pairs)
    for number, [hypothesis] in search(model, requests, alone):
        yield number, hypothesis
