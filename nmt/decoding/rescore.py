"""Scores of given translations under a model."""

from collections.abc import Iterable, Iterator
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
    waiting, options = iter(pairs), replace(job.options, beam=1, n_best=1, groups=1, sample=False)
    while window := list(islice(waiting, WINDOW)):
        protected = (protect_given_pair(source, target, job) for source, target in window)
        requests = [
            Request(index, job.source.encode(source), [*job.target.encode(target), EOS])
            for index, (source, target) in enumerate(protected)
        ]
        results = dict(search(job.model, (request for request in requests if request.source), options))
        for request, (_, target) in zip(requests, window, strict=True):
            if request.number not in results:
                yield BLANK
                continue
            [result] = results[request.number]
            tokens = [*job.target.tokens(result.ids), SPECIALS[EOS]]
            yield Candidate(target, result.score, result.log_prob, tokens, result.token_log_probs)
