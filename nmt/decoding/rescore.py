"""Outputs that are given: what a model thinks of them."""

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


class TokenPair(NamedTuple):
    """A sentence and its translation, in pieces (no bos, no eos)."""

    number: int  # what its answer is known by
    source: Sequence[int]
    target: Sequence[int]


def score_pairs(
    model: Model, pairs: Iterable[TokenPair], options: Options
) -> Iterator[tuple[int, Hypothesis]]:
    """Each pair's target as the model's hypothesis, with its number, as they are found.

    It has the log probability of each piece and of eos, their sum, the score that a search with these options
    would rank it by, and with `options.attention` what each piece looked at.
    """
    alone = replace(options, beam=1, n_best=1, groups=1, sample=False)
    requests = (Request(pair.number, pair.source, [*pair.target, EOS]) for pair in pairs)
    for number, [hypothesis] in search(model, requests, alone):
        yield number, hypothesis


TOGETHER = 1024  # pairs that are scored before their scores are put in order again


class RescoredLine(NamedTuple):
    """What a model thinks of one translation."""

    score: float  # what a search would rank it by
    log_prob: float
    pieces: list[str]  # with the end
    token_log_probs: list[float]  # of each of the pieces


NOTHING = RescoredLine(0.0, 0.0, [], [])


def rescore_lines(pairs: Iterable[tuple[str, str]], job: Job) -> Iterator[RescoredLine]:
    """Each translation's scores, in order; `NOTHING` where the source is blank."""
    waiting = iter(pairs)
    while window := list(islice(waiting, TOGETHER)):
        encoded = [
            TokenPair(place, job.source.encode(source), job.target.encode(target))
            for place, (source, target) in enumerate(window)
        ]
        found = dict(score_pairs(job.model, (pair for pair in encoded if pair.source), job.options))
        for pair in encoded:
            if pair.number not in found:
                yield NOTHING
                continue
            hypothesis = found[pair.number]
            pieces = [*job.target.pieces(pair.target), SPECIALS[EOS]]
            yield RescoredLine(hypothesis.score, hypothesis.log_prob, pieces, hypothesis.token_log_probs)
