"""The translation of lines: one output line per input line, in order, for any content.

A line that is too long is translated in parts. The result does not depend on the other lines of a batch.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, islice
from typing import NamedTuple

from nmt.data.vocabulary import EOS, SPECIALS, UNK
from nmt.data.vocabulary.codes import JOINER
from nmt.decoding.beam import search
from nmt.decoding.glossary import find_missing, require_terms
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job, Line, LineReader, Tokenizer, number_lines
from nmt.decoding.model import Floats
from nmt.decoding.options import Request
from nmt.decoding.phrases import encode_constraints, find_unwritable
from nmt.decoding.ranking import select_mbr
from nmt.errors import UsageError

STOPS = (".", "!", "?", "…", ";", ":")
WIDE_STOPS = ("。", "！", "？")  # not followed by a space
SPACE = "▁"  # marks the subwords that begin a word
VERIFICATION_BATCHES = (1, 7, 64)

Alignment = list[tuple[int, int]]  # pairs of source word and target word, from 0


class Candidate(NamedTuple):
    """One translation of a line, or of a part of it."""

    text: str  # without line ends
    score: float
    log_prob: float
    tokens: list[str]  # with eos, if it was generated
    token_log_probs: list[float]


BLANK = Candidate("", 0.0, 0.0, [], [])


class Translation(NamedTuple):
    """The translation of one line."""

    line: Line
    candidates: list[Candidate]  # best first, at least one
    notes: list[str]  # for the user
    source_tokens: list[str]
    alignment: Alignment  # of the best candidate; empty if not requested

    @property
    def number(self) -> int:
        return self.line.number

    @property
    def text(self) -> str:
        return self.candidates[0].text

    @property
    def score(self) -> float:
        return self.candidates[0].score

    def add_note(self, note: str) -> "Translation":
        """Return the translation with another note for the user."""
        return self._replace(notes=[*self.notes, note])


def translate_lines(lines: Iterable[tuple[str, str | None]], job: Job) -> Iterator[Translation]:
    """Yield a translation for each line, in order; a line comes with a note on how it was read, or None."""
    for window in LineReader(number_lines(lines)).windows(max(1, job.read_ahead * job.options.batch)):
        yield from translate_window(window.lines, job)


def translate_window(lines: Sequence[Line], job: Job) -> list[Translation]:
    """Translate these lines together."""
    plans = [_plan_line(line, job) for line in lines]
    numbered = enumerate(request for _, requests in plans for request in requests)
    waiting = [request._replace(number=number) for number, request in numbered]
    waiting.sort(key=lambda request: -len(request.source))  # so that batches stay full
    results = sorted(search(job.model, waiting, job.options))
    hypotheses = (hypotheses for _, hypotheses in results)
    translations = [
        _join_parts(blank, requests, list(islice(hypotheses, len(requests))), job) if requests else blank
        for blank, requests in plans
    ]
    return [
        one._replace(notes=[*one.notes, *find_missing(one.line, one.text, one.notes, job)])
        for one in translations
    ]


def _plan_line(line: Line, job: Job) -> tuple[Translation, list[Request]]:
    """Return a blank translation of a line, and a search request for each part of the line."""
    blank = Translation(line, [BLANK], list(line.notes), [], [])
    if line.error:
        return blank.add_note(line.error), []
    if not line.text.strip():
        return blank, []
    if problem := find_unwritable(line.constraints, job.target):
        return blank._replace(line=line._replace(error=problem)).add_note(problem), []
    if line.constraints.must and (job.options.sample or job.options.groups > 1):
        return blank.add_note("sampling and groups cannot be combined with required phrases: left blank"), []
    ids = job.source.encode(line.text)
    if not ids:
        return blank.add_note("no token of this line is in the source vocabulary: left blank"), []
    tokens = job.source.tokens(ids)
    parts = split_tokens(tokens, job.longest_part)
    if len(parts) > 1:
        excess = f"{len(ids):,} tokens, more than {job.longest_part}"
        blank = blank.add_note(f"{excess}: translated in {len(parts):,} parts")
    requests = _requests(line, [ids[part] for part in parts], job)
    texts = [line.text] if len(parts) == 1 else [job.source.decode(ids[part]) for part in parts]
    constrained = require_terms(line, texts, requests, job)
    return blank._replace(
        source_tokens=tokens, notes=[*blank.notes, *constrained.notes]
    ), constrained.requests


def _requests(line: Line, sources: Sequence[Sequence[int]], job: Job) -> list[Request]:
    """Return a request for each part of a line; prefix and required phrases apply to the first part."""
    seed, encoded = line.constraints.seed, encode_constraints(line.constraints, job.target)
    draws = [line.number, 0] if seed is None else [seed, 1]
    requests = [
        Request(0, source, forbidden=encoded.forbidden, draws=[*draws, part])
        for part, source in enumerate(sources)
    ]
    if encoded.prefix or encoded.required:
        requests[0] = requests[0]._replace(
            **encoded._asdict(),
            continuations=job.target.continuations(),
            openings=frozenset(job.target.openings()),
        )
    return requests


def split_tokens(tokens: list[str], longest: int) -> list[slice]:
    """Return slices of at most `longest` tokens that cover them all, in order.

    Each ends in its second half, in this order of preference: after the last end of a sentence, after the
    last end of a word, or at its full length.
    """
    slices, start = [], 0
    subwords = has_subwords(tokens)
    while len(tokens) - start > longest:
        end = _split_point(tokens, start, start + longest, subwords)
        slices.append(slice(start, end))
        start = end
    return [*slices, slice(start, len(tokens))]


def _split_point(tokens: list[str], start: int, full: int, subwords: bool) -> int:
    word_end = None
    for end in range(full, (start + full) // 2, -1):
        between_words = _begins_word(tokens, end, subwords)
        if tokens[end - 1].endswith(WIDE_STOPS) or (between_words and tokens[end - 1].endswith(STOPS)):
            return end
        if between_words and word_end is None:
            word_end = end
    return word_end or full


def has_subwords(tokens: list[str]) -> bool:
    """Return True if a line was split into subwords (its first token starts with ▁), False for words."""
    return any(token.startswith(SPACE) for token in tokens)


def word_indices(tokens: list[str], subwords: bool) -> list[int]:
    """Return the index of the word to which each token belongs; words are separated by spaces."""
    begins_word = [_begins_word(tokens, index, subwords) for index in range(1, len(tokens))]
    return list(accumulate(begins_word, initial=0))[: len(tokens)]


def _begins_word(tokens: Sequence[str], index: int, subwords: bool) -> bool:
    """Return True if a token that is not the first begins a word, as a subword, a word or a segment."""
    return tokens[index].startswith(SPACE) if subwords else not tokens[index - 1].endswith(JOINER)


def align_words(weights: Floats, source_words: list[int], target_words: list[int]) -> Alignment:
    """Align each target token with its most attended source token, as distinct word pairs; weights [T, S]."""
    attended = weights.argmax(axis=-1).tolist()
    pairs = {(source_words[s], target) for s, target in zip(attended, target_words, strict=True)}
    return sorted(pairs, key=lambda pair: pair[::-1])


def replace_unknown(ids: Sequence[int], copies: Sequence[str], target: Tokenizer, *, subwords: bool) -> str:
    """Return the text of an output with `copies[t]` instead of each unk at position t.

    A copied word is set between spaces, except before a subword that continues it. Adjacent unk of the same
    word give one copy.
    """
    text, start = "", 0
    tokens = target.tokens(ids)
    for index in [index for index, token in enumerate(ids) if token == UNK]:
        repeated = index == start > 0 and copies[index] == copies[index - 1]
        text = _join_texts(text, target.decode(ids[start:index]), _continues(tokens, start, subwords))
        text = text if repeated else _join_texts(text, copies[index], continues=False)
        start = index + 1
    return _join_texts(text, target.decode(ids[start:]), _continues(tokens, start, subwords))


def _continues(tokens: Sequence[str], start: int, subwords: bool) -> bool:
    """Return True if the token at `start` continues a word."""
    return subwords and start < len(tokens) and not _begins_word(tokens, start, subwords)


def _join_texts(first: str, second: str, continues: bool) -> str:
    first, second = first.rstrip(), second.strip()
    return f"{first}{second}" if continues or not first or not second else f"{first} {second}"


def _join_parts(
    blank: Translation, requests: Sequence[Request], results: Sequence[list[Hypothesis]], job: Job
) -> Translation:
    """Join the hypotheses of the parts of a line, rank by rank."""
    subwords = has_subwords(blank.source_tokens)
    source_words = iter(word_indices(blank.source_tokens, subwords))
    words = [list(islice(source_words, len(request.source))) for request in requests]
    parts = [
        [(hypothesis, _candidate(hypothesis, blank.line, part_words, job, subwords)) for hypothesis in ranked]
        for ranked, part_words in zip(results, words, strict=True)
    ]
    if job.utility:
        for part in parts:
            part.insert(0, part.pop(select_mbr([candidate.text for _, candidate in part], job.utility)))
    best = [part[0][0] for part in parts]
    if not all(hypothesis.finished for hypothesis in best):
        length = sum(len(hypothesis.ids) for hypothesis in best)
        blank = blank.add_note(f"the model generated no end of sentence: cut after {length:,} tokens")
    ranks = [[candidate for _, candidate in rank] for rank in zip(*parts, strict=False)]
    candidates = [_join_candidates(rank) for rank in ranks[: job.n_best]]
    alignment = _align_parts(best, words, job, subwords) if job.aligned else []
    return blank._replace(candidates=candidates, alignment=alignment)


def _candidate(hypothesis: Hypothesis, line: Line, words: list[int], job: Job, subwords: bool) -> Candidate:
    if job.copy_unknown and UNK in hypothesis.ids:
        source = job.source.join(job.source.normalise(line.text)).split()
        attended = _attention(hypothesis, words).argmax(axis=-1).tolist()
        copies = [source[words[index]] for index in attended]
        text = replace_unknown(hypothesis.ids, copies, job.target, subwords=subwords)
    else:
        text = job.target.decode(hypothesis.ids)
    return Candidate(
        replace_line_ends(text),
        hypothesis.score,
        hypothesis.log_prob,
        job.target.tokens(hypothesis.ids) + [SPECIALS[EOS]] * hypothesis.finished,
        hypothesis.token_log_probs,
    )


def replace_line_ends(text: str) -> str:
    """Replace every character that some programs treat as a line end by a space."""
    return " ".join(text.splitlines())


def _join_candidates(parts: Sequence[Candidate]) -> Candidate:
    return Candidate(
        " ".join(part.text for part in parts if part.text),
        sum(part.score for part in parts),
        sum(part.log_prob for part in parts),
        [token for part in parts for token in part.tokens],
        [log_prob for part in parts for log_prob in part.token_log_probs],
    )


def _attention(hypothesis: Hypothesis, words: list[int]) -> Floats:
    """Return the attention weights [T, S] without eos on either side."""
    if hypothesis.weights is None:
        raise UsageError("this model has no attention, so it gives no alignments: omit the option")
    return hypothesis.weights[: len(hypothesis.ids), : len(words)]


def _align_parts(
    parts: Sequence[Hypothesis], source_words: Sequence[list[int]], job: Job, subwords: bool
) -> Alignment:
    pairs: Alignment = []
    first = 0  # index of the part's first target word
    for hypothesis, words in zip(parts, source_words, strict=True):
        target_words = word_indices(job.target.tokens(hypothesis.ids), subwords)
        pairs += align_words(_attention(hypothesis, words), words, [first + word for word in target_words])
        first += len(set(target_words))
    return pairs


class InvarianceSample:
    """A uniform sample of the translations of a job (Vitter, 1985, algorithm R)."""

    def __init__(self, size: int) -> None:
        self.translations: list[Translation] = []
        self._size, self._seen, self._random = size, 0, random.Random(1)

    def add(self, translation: Translation) -> None:
        """Add a translation to the sample, or discard it."""
        self._seen += 1
        if len(self.translations) < self._size:
            self.translations.append(translation)
        elif (slot := self._random.randrange(self._seen)) < self._size:
            self.translations[slot] = translation

    def find_differing_lines(self, job: Job, batches: Sequence[int] = VERIFICATION_BATCHES) -> list[int]:
        """Return the numbers of the lines whose results differ with other batch sizes and orders."""
        differing = set()
        for batch in batches:
            order = random.Random(batch).sample(self.translations, len(self.translations))
            other_job = job._replace(options=replace(job.options, batch=batch))
            again = translate_window([translation.line for translation in order], other_job)
            differing |= {one.number for one, other in zip(order, again, strict=True) if one != other}
        return sorted(differing)
