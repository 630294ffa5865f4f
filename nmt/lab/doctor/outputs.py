"""The classic failures of a translator, as they show in what it writes."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from nmt.lab.doctor.finding import Finding, Level, percent
from nmt.lab.doctor.survey import excerpt

UNKNOWN = ("⁇", "<unk>")
"""How an unknown piece is written: by SentencePiece, and by word vocabularies."""
LOOP = re.compile(r"(.{1,40}?)\1{2,}")
"""A stretch of characters three times or more: a piece, a word, or several."""
SHORTEST, LONGEST = 10, 1_000
"""Characters under which nothing counts as a loop, and in which one is looked for."""
SOME, MANY = 0.1, 0.5
"""Shares of the lines from which a failure is doubtful, and wrong."""


class Output(NamedTuple):
    """A source, its line, its reference, and what the model made of it."""

    line: int
    src: str
    ref: str
    hyp: str


class Failure(NamedTuple):
    """A way in which a single output can fail."""

    is_so: Callable[[Output], bool]
    what: str  # said behind "12% of the translations"
    advice: str


def is_unknown(output: Output) -> bool:
    """Whether half of the words or more are unknown ones."""
    words = output.hyp.split()
    unknown = sum(any(mark in word for mark in UNKNOWN) for word in words)
    return bool(words) and unknown >= 0.5 * len(words)


def is_repeated(output: Output) -> bool:
    """Whether most of it is a stretch again and again, and source and reference are not like that."""
    return _loops(output.hyp) and not _loops(output.ref) and not _loops(output.src)


def _loops(text: str) -> bool:
    found = LOOP.search(text[:LONGEST])
    return found is not None and len(found[0]) >= max(0.5 * len(text[:LONGEST]), SHORTEST)


def is_empty(output: Output) -> bool:
    """Whether nothing was written for something."""
    return not output.hyp.strip() and bool(output.ref.strip())


def is_copied(output: Output) -> bool:
    """Whether most words are those of the source, though the reference has others."""
    src, ref, hyp = (Counter(text.lower().split()) for text in (output.src, output.ref, output.hyp))
    shared, right = (hyp & src).total(), (hyp & ref).total()
    return hyp.total() > 1 and shared >= 0.8 * hyp.total() and shared > right


FAILURES = (
    Failure(
        is_unknown,
        "are mostly unknown words (<unk>)",
        "the vocabulary does not fit the text: subwords.kind unigram or bpe, a larger subwords.size, "
        "character_coverage 1.0; nmt doctor RECIPE counts what is unknown",
    ),
    Failure(
        is_repeated,
        "repeat a word or a few words again and again",
        "if training has just begun, let it go on; otherwise more pairs or a smaller model, an attention "
        "(decoder.attention), and for single lines nmt translate --no-repeat-ngram 3",
    ),
    Failure(
        is_empty,
        "are empty",
        "raise search.length_penalty, or translate with --min-ratio 0.5; if that only hides it: are there "
        "blank or cut target lines in the training data (nmt doctor RECIPE)?",
    ),
    Failure(
        is_copied,
        "copy the source",
        "pairs with the same text on both sides teach that: nmt doctor RECIPE counts them; take them out and "
        "train again",
    ),
)


def failures(outputs: Sequence[Output]) -> list[Finding]:
    """All that is found in translations of lines that the model has not learnt."""
    real = [output for output in outputs if output.src.strip()]
    if not real:
        return []
    found = [finding for failure in FAILURES for finding in _failed(real, failure)]
    return found or [*_same(real), *_lengths(real)]


def _level(share: float) -> Level | None:
    if share < SOME:
        return None
    return "wrong" if share >= MANY else "doubtful"


def _failed(outputs: Sequence[Output], failure: Failure) -> Iterator[Finding]:
    failed = [output for output in outputs if failure.is_so(output)]
    level = _level(len(failed) / len(outputs))
    if level is not None:
        yield Finding(
            level,
            f"{percent(len(failed) / len(outputs))} of the translations {failure.what}",
            f"line {failed[0].line:,} of the validation pairs, for example",
            _shown(failed[0]),
            failure.advice,
        )


def _same(outputs: Sequence[Output]) -> Iterator[Finding]:
    """Whether different sources are translated by one and the same line."""
    written = Counter(output.hyp for output in outputs)
    line, count = written.most_common(1)[0]
    wanted = Counter(output.ref for output in outputs).most_common(1)[0][1]
    level = _level((count - wanted) / len(outputs))
    if level is not None and len(outputs) > 2:
        yield Finding(
            level,
            f"{percent(count / len(outputs))} of the translations are one and the same line: the decoder "
            "pays no attention to the source",
            example=f"translation  {line}",
            advice="if training has just begun, let it go on; otherwise check that source and target lines "
            "belong together (nmt doctor RECIPE), add an attention, or try another learning rate",
        )


def _lengths(outputs: Sequence[Output]) -> Iterator[Finding]:
    """Whether the translations are much shorter or longer than the references."""
    wanted = sum(len(output.ref) for output in outputs)
    share = sum(len(output.hyp) for output in outputs) / max(wanted, 1)
    if share < 0.6 or share > 1.6:
        short = share < 1
        yield Finding(
            "doubtful",
            f"the translations have {percent(share)} of the length of the references",
            advice="raise search.length_penalty; if that does not help, training is not finished"
            if short
            else "lower search.length_penalty or search.max_ratio; a model that has learnt little goes on to "
            "the greatest length",
        )


def _shown(output: Output) -> str:
    texts = {"source": output.src, "reference": output.ref, "translation": output.hyp}
    return "\n".join(f"{name:<12} {excerpt(text)}" for name, text in texts.items())
