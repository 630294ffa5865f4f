"""Scores of given translations under a model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from nmt.data.sentences import split_sentences
from nmt.data.vocabulary import EOS, SPECIALS
from nmt.data.vocabulary.capitals import Truecaser, is_upper
from nmt.decoding.beam import search
from nmt.decoding.copying import protect_given_pair
from nmt.decoding.job import Job
from nmt.decoding.options import Request
from nmt.decoding.translation import BLANK, Candidate

WINDOW = 1024  # pairs that are scored together, and then sorted back into input order


def rescore_lines(pairs: Iterable[tuple[str, str]], job: Job) -> Iterator[Candidate]:
    """Yield each translation with its scores, in order; zeros and no tokens for a blank source.

    The scores are those that a search with the job's options would rank the translation by. What is in
    capitals in a source, and its translation, are scored as they are usually written.
    """
    waiting = iter(pairs)
    while window := list(islice(waiting, WINDOW)):
        protected = (truecase_pair(*protect_given_pair(*pair, job), job) for pair in window)
        requests = [
            Request(index, job.source.encode(source), [*job.target.encode(target), EOS])
            for index, (source, target) in enumerate(protected)
        ]
        found = score_outputs([request for request in requests if request.source], job)
        for request, (_, target) in zip(requests, window, strict=True):
            scored = found.get(request.number)
            yield BLANK if scored is None else scored._replace(text=target)


def truecase_pair(source: str, target: str, job: Job) -> tuple[str, str]:
    """Return a pair with what is in capitals as it is usually written, which is how it is translated."""
    reader = Truecaser(job.source, job.languages[0])
    writer = Truecaser(job.target, job.languages[1])
    tag = job.source.tag(source)
    text = source.removeprefix(tag)
    if reader.is_in_capitals(text):
        return tag + reader.truecase(text), writer.truecase(target) if is_upper(target) else target
    usual = _truecase_sentences(text, reader, job.languages[0])
    if usual == text:
        return source, target
    return tag + usual, _truecase_sentences(target, writer, job.languages[1])


def _truecase_sentences(text: str, truecaser: Truecaser, language: str) -> str:
    """Return a text with those of its sentences that are in capitals as they are usually written."""
    pieces, end = list[str](), 0
    for span in split_sentences(text, language):
        sentence = text[slice(*span)]
        usual = truecaser.truecase(sentence) if truecaser.is_in_capitals(sentence) else sentence
        pieces += [text[end : span.start], usual]
        end = span.end
    return "".join([*pieces, text[end:]])


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
