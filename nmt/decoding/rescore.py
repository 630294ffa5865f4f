"""Scores of given translations under a model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from nmt.data.vocabulary import EOS, SPECIALS
from nmt.decoding.beam import search
from nmt.decoding.copying import protect_given_pair
from nmt.decoding.job import Job
from nmt.decoding.options import Request
from nmt.decoding.translation import BLANK, Candidate

WINDOW = 1024  # pairs that are scored together, and then sorted back into input order


def rescore_lines(pairs: Iterable[tuple[str, str]], job: Job) -> Iterator[Candidate]:
    """Yield each translation with its scores, in order; zeros and no tokens for a blank source.

    The scores are those that a search with the job's options would rank the translation by.
    """
    waiting = iter(pairs)
    while window := list(islice(waiting, WINDOW)):
        protected = (protect_given_pair(source, target, job) for source, target in window)
        requests = [
            Request(index, job.source.encode(source), [*job.target.encode(target), EOS])
            for index, (source, target) in enumerate(protected)
        ]
        found = score_outputs([request for request in requests if request.source], job)
        for request, (_, target) in zip(requests, window, strict=True):
            scored = found.get(request.number)
            yield BLANK if scored is None else scored._replace(text=target)


def score_outputs(requests: Sequence[Request], job: Job) -> dict[int, Candidate]:
    """Score outputs that are given as complete prefixes; return them by the numbers of their requests."""
    options = replace(job.options, beam=1, n_best=1, groups=1, sample=False)
    return {
        number: Candidate(
            job.target.decode(result.ids),
            result.score,
            result.log_prob,
            [*job.target.tokens(result.ids), SPECIALS[EOS]],
            result.token_log_probs,
        )
        for number, [result] in search(job.model, iter(requests), options)
    }
