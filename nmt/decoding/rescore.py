"""Scores of given translations under a model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from nmt.data.vocabulary import EOS, SPECIALS
from nmt.decoding.beam import search
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job
from nmt.decoding.model import Model
from nmt.decoding.options import Options, Request

WINDOW = 1024  # pairs that are scored before their scores are put in order again


class TokenPair(NamedTuple):
    """A sentence and its translation as token ids (without bos and eos)."""

    number: int  # identifies the result
    source: Sequence[int]
    target: Sequence[int]


class RescoredLine(NamedTuple):
    """The scores of one given translation."""

    score: float  # by which a search would rank it
    log_prob: float
    tokens: list[str]  # with eos
    token_log_probs: list[float]


def score_pairs(
    model: Model, pairs: Iterable[TokenPair], options: Options
) -> Iterator[tuple[int, Hypothesis]]:
    """Yield the number of each pair and its target as a hypothesis, in the order in which they are done.

    The hypothesis has the log probability of each token and of eos, their sum, the score by which a search
    with these options would rank it, and with `options.attention` its attention weights.
    """
    forced = replace(options, beam=1, n_best=1, groups=1, sample=False)
    requests = (Request(pair.number, pair.source, [*pair.target, EOS]) for pair in pairs)
    for number, [hypothesis] in search(model, requests, forced):
        yield number, hypothesis


def rescore_lines(pairs: Iterable[tuple[str, str]], job: Job) -> Iterator[RescoredLine]:
    """Yield each translation's scores, in order; zeros and no tokens for a blank source."""
    waiting = iter(pairs)
    while window := list(islice(waiting, WINDOW)):
        encoded = [
            TokenPair(index, job.source.encode(source), job.target.encode(target))
            for index, (source, target) in enumerate(window)
        ]
        results = dict(score_pairs(job.model, (pair for pair in encoded if pair.source), job.options))
        for pair in encoded:
            if (result := results.get(pair.number)) is None:
                yield RescoredLine(0.0, 0.0, [], [])
                continue
            tokens = [*job.target.tokens(pair.target), SPECIALS[EOS]]
            yield RescoredLine(result.score, result.log_prob, tokens, result.token_log_probs)
