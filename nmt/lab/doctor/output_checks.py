"""Checks of translations for the common failures of a translator."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from nmt.lab.doctor.finding import Finding, format_percent, level_for_share
from nmt.lab.doctor.survey import excerpt

UNKNOWN = ("⁇", "<unk>")
"""Spellings of an unknown token: by SentencePiece, and by word vocabularies."""
LOOP = re.compile(r"(.{1,40}?)\1{2,}")
"""A string that is repeated three times or more: a subword, a word, or several."""
MIN_LOOP, SEARCHED = 10, 1_000
"""Minimum characters of a loop, and characters of a line in which loops are searched."""
SHORTEST, LONGEST = 0.8, 1.3
"""Limits of the length relative to the references; at the lower one BLEU's brevity penalty is 22%."""
WARNING, ERROR = 0.1, 0.5  # shares of the lines at which a failure becomes a warning, and an error


class ValidationOutput(NamedTuple):
    """A validation pair, its line number and its translation."""

    line: int
    src: str
    ref: str
    hyp: str


class OutputCheck(NamedTuple):
    """A failure that a single output can have."""

    has_failed: Callable[[ValidationOutput], bool]
    what: str  # completes "12% of the translations"
    advice: str


def is_unknown(output: ValidationOutput) -> bool:
    """Return True if at least half of the words are unknown."""
    words = output.hyp.split()
    unknown = sum(any(mark in word for mark in UNKNOWN) for word in words)
    return bool(words) and unknown >= 0.5 * len(words)


def is_repeated(output: ValidationOutput) -> bool:
    """Return True if most of the translation is one repeated string, unlike its source and reference."""
    return _has_loop(output.hyp) and not _has_loop(output.ref) and not _has_loop(output.src)


def _has_loop(text: str) -> bool:
    loop = LOOP.search(text[:SEARCHED])
    return loop is not None and len(loop[0]) >= max(0.5 * len(text[:SEARCHED]), MIN_LOOP)


def is_empty(output: ValidationOutput) -> bool:
    """Return True if the translation is empty and the reference is not."""
    return not output.hyp.strip() and bool(output.ref.strip())


def is_copied(output: ValidationOutput) -> bool:
    """Return True if most words are those of the source but not of the reference."""
    src, ref, hyp = (Counter(text.lower().split()) for text in (output.src, output.ref, output.hyp))
    shared, right = (hyp & src).total(), (hyp & ref).total()
    return hyp.total() > 1 and shared >= 0.8 * hyp.total() and shared > right


CHECKS = (
    OutputCheck(
        is_unknown,
        "are mostly unknown words (<unk>)",
        "the vocabulary does not fit the text: use subwords.kind unigram or bpe, a larger subwords.size, "
        "character_coverage 1.0; nmt doctor RECIPE counts unknown tokens",
    ),
    OutputCheck(
        is_repeated,
        "repeat a word or a few words again and again",
        "if training has just started, continue; otherwise use more pairs or a smaller model, attention "
        "(decoder.attention), and for single lines nmt translate --no-repeat-ngram 3",
    ),
    OutputCheck(
        is_empty,
        "are empty",
        "raise search.length_penalty, or translate with --min-ratio 0.5; check the training data for "
        "blank or truncated target lines (nmt doctor RECIPE)",
    ),
    OutputCheck(
        is_copied,
        "copy the source",
        "pairs with the same text on both sides teach this: count them with nmt doctor RECIPE, remove them "
        "and train again",
    ),
)


def check_outputs(outputs: Sequence[ValidationOutput], *, attends: bool = True) -> list[Finding]:
    """Report every failure of the translations of lines that the model was not trained on."""
    outputs = [output for output in outputs if output.src.strip()]
    if not outputs:
        return []
    findings = [finding for check in CHECKS for finding in _apply_check(outputs, check)]
    return findings or [*_check_same_line(outputs, attends), *_check_lengths(outputs)]


def _apply_check(outputs: Sequence[ValidationOutput], check: OutputCheck) -> Iterator[Finding]:
    failed = [output for output in outputs if check.has_failed(output)]
    share = len(failed) / len(outputs)
    if share >= WARNING:
        first = failed[0]
        texts = {"source": first.src, "reference": first.ref, "translation": first.hyp}
        yield Finding(
            level_for_share(share, WARNING, ERROR),
            f"{format_percent(share)} of the translations {check.what}",
            f"for example line {first.line:,} of the validation pairs",
            "\n".join(f"{name:<12} {excerpt(text)}" for name, text in texts.items()),
            check.advice,
        )


def _check_same_line(outputs: Sequence[ValidationOutput], attends: bool) -> Iterator[Finding]:
    """Find one translation for different sources."""
    line, count = Counter(output.hyp for output in outputs).most_common(1)[0]
    expected = Counter(output.ref for output in outputs).most_common(1)[0][1]
    excess = (count - expected) / len(outputs)
    if excess >= WARNING and len(outputs) > 2:
        yield Finding(
            level_for_share(excess, WARNING, ERROR),
            f"{format_percent(count / len(outputs))} of the translations are the same line: the "
            "decoder ignores the source",
            example=f"translation  {line}",
            advice="if training has just started, continue; otherwise check that source and target lines "
            f"belong together (nmt doctor RECIPE){'' if attends else ', add attention'}, or try another "
            "learning rate",
        )


def _check_lengths(outputs: Sequence[ValidationOutput]) -> Iterator[Finding]:
    """Find translations that are much shorter or longer than the references."""
    expected = sum(len(output.ref) for output in outputs)
    share = sum(len(output.hyp) for output in outputs) / max(expected, 1)
    if not SHORTEST <= share <= LONGEST:
        yield Finding(
            "warning",
            f"the translations have {format_percent(share)} of the length of the references",
            advice="raise search.length_penalty; if that does not help, train longer"
            if share < 1
            else "lower search.length_penalty or search.max_ratio; a model that is hardly trained writes to "
            "the maximum length",
        )
