"""Given translations of given lines, as a model scores them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from nmt.data.subwords import EOS, SPECIALS
from nmt.decoding.forced import Pair, score
from nmt.decoding.job import Job

TOGETHER = 1024  # pairs that are scored before their scores are put in order again


class Scored(NamedTuple):
    """What a model thinks of one translation."""

    score: float  # what a search would rank it by
    log_prob: float
    pieces: list[str]  # with the end
    token_log_probs: list[float]  # of each of the pieces


NOTHING = Scored(0.0, 0.0, [], [])


def rescored(pairs: Iterable[tuple[str, str]], job: Job) -> Iterator[Scored]:
    """Each translation's scores, in order; `NOTHING` where the source is blank."""
    waiting = iter(pairs)
    while window := list(islice(waiting, TOGETHER)):
        encoded = [
            Pair(place, job.source.encode(source), job.target.encode(target))
            for place, (source, target) in enumerate(window)
        ]
        found = dict(score(job.model, (pair for pair in encoded if pair.source), job.options))
        for pair in encoded:
            if pair.number not in found:
                yield NOTHING
                continue
            hypothesis = found[pair.number]
            pieces = [*job.target.pieces(pair.target), SPECIALS[EOS]]
            yield Scored(hypothesis.score, hypothesis.log_prob, pieces, hypothesis.token_log_probs)
