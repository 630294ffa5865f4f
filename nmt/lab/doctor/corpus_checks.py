"""What speaks against learning from a corpus, or against scoring on it; rules over a survey of it."""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nmt.data.pair_rules import mark_repeated
from nmt.data.pairs import read_pairs
from nmt.data.script import LANGUAGES
from nmt.lab.doctor.finding import Finding, counted, graded, joined, percent
from nmt.lab.doctor.survey import NAMED, Survey, excerpt

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

FEW = 50
"""Pairs under which nothing is said of how their lengths are distributed."""
RELATED = 0.4
"""Correlation of the lengths of sides that belong together, at least. Multi30k, a Bible and the phrasebook
have 0.88 to 0.90, and -0.23 to 0.26 with one side shifted by a line."""
BLOCK = 500
"""Pairs of which that is asked together, to find a stretch that is shifted."""
MISPLACED = (
    "one file is probably sorted, shuffled or shifted by a line against the other: compare them, and get "
    "them again from where they came"
)
FAR = 3.0
"""How many times longer or shorter than usual, against the other side, a side must be to be named ..."""
DEVIATIONS = 5.0
"""... if it is so many standard deviations (by quartiles) away, too."""


def faults(survey: Survey, languages: tuple[str, ...]) -> list[Finding]:
    """All that is found in one corpus; `languages` are the codes of its sides."""
    if survey.failure is not None:
        return [Finding("wrong", survey.failure), *_in_lines(survey)]
    if not len(survey):
        return [Finding("wrong", f"there are no {survey.unit}", survey.files())]
    return [*_in_lines(survey), *_scripts(survey, languages), *(f for rule in RULES for f in rule(survey))]


def _in_lines(survey: Survey) -> Iterator[Finding]:
    for (rule, side), seen in survey.lines.items():
        level = graded(seen.count / max(len(survey), 1), 0.001)
        what = f"{counted(seen.count, 'line')} {rule.description}"
        yield Finding(level, what, f"{survey.file(side)}, {seen.where()}", seen.example, rule.advice)


def _blank(survey: Survey) -> Iterator[Finding]:
    seen = survey.pairs.get("blank")
    if seen is not None:
        share = seen.count / len(survey)
        yield Finding(
            graded(share, 0.01, 0.9),
            f"a blank side in {counted(seen.count, 'pair')} ({percent(share)})",
            f"{survey.files()}, {seen.where()}",
            advice="training leaves them out and counts them; if there are many, the files may be shifted: "
            "compare the lines behind the first one",
        )


def _same(survey: Survey) -> Iterator[Finding]:
    seen = survey.pairs.get("identical")
    if seen is not None:
        share = seen.count / len(survey)
        yield Finding(
            graded(share, 0.02, 0.5),
            f"the same text on both sides of {counted(seen.count, 'pair')} ({percent(share)})",
            f"{survey.files()}, {seen.where()}",
            seen.example.partition(" | ")[0],
            "a model that sees many of them learns to copy instead of to translate: remove them, except "
            "names and the like",
        )


def _lengths(survey: Survey) -> Iterator[Finding]:
    """Whether long lines stand beside long lines, and which do not."""
    src, tgt = (np.asarray(side, np.float64) for side in survey.lengths)
    full = np.flatnonzero((src > 0) & (tgt > 0)) if len(src) == len(tgt) else np.empty(0, np.int64)
    if len(full) < FEW:
        return
    ratios = np.log(tgt[full] / src[full])
    together = correlation(np.log(src[full]), np.log(tgt[full]))
    if together < RELATED:
        yield Finding(
            "wrong",
            "the two sides do not seem to belong together: long lines do not stand beside long lines "
            f"(correlation of the lengths {together:.2f}, usual is 0.9)",
            survey.files(),
            "\n".join(excerpt(*pair) for pair in _pairs(survey, full[:: max(1, len(full) // 3)][:3])),
            MISPLACED,
        )
        return
    yield from _shifted(survey, full, src, tgt)
    yield from _outliers(survey, full, ratios)


def _shifted(survey: Survey, full: Int64, src: Float64, tgt: Float64) -> Iterator[Finding]:
    """Whether the sides belong together except in a stretch, as behind a line that one file lacks."""
    blocks = np.split(full, range(BLOCK, len(full), BLOCK))[: len(full) // BLOCK]
    together = [correlation(np.log(src[block]), np.log(tgt[block])) for block in blocks]
    odd = [block for block, value in zip(blocks, together, strict=True) if value < RELATED / 2]
    if odd and np.median(together) > 1.5 * RELATED:
        yield Finding(
            "doubtful",
            f"in {counted(len(odd), 'stretch')} of {BLOCK} pairs long lines do not stand beside long lines, "
            "as they do elsewhere",
            f"{survey.files()}, first: lines {odd[0][0] + 1:,} to {odd[0][-1] + 1:,}",
            "\n".join(excerpt(*pair) for pair in _pairs(survey, odd[0][-3:])),
            MISPLACED,
        )


def _outliers(survey: Survey, full: Int64, ratios: Float64) -> Iterator[Finding]:
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    limit = max(np.log(FAR), DEVIATIONS * (high - low) / 1.349)
    far = full[np.abs(ratios - middle) > limit]
    if len(far):
        share = len(far) / len(survey)
        yield Finding(
            graded(share, 0.01),
            f"one side more than {np.exp(limit):.1f} times longer or shorter than usual beside the other, in "
            f"{counted(len(far), 'pair')} ({percent(share)})",
            f"{survey.files()}, {lines(far + 1)}",
            "\n".join(excerpt(*pair) for pair in _pairs(survey, far[:1])),
            "most of them do not translate each other: look at them; data.max_ratio leaves such pairs out",
        )


def _duplicates(survey: Survey) -> Iterator[Finding]:
    if not survey.corpus.parallel:
        return
    src, tgt = (np.asarray(side, np.int64) for side in survey.hashes)
    again = np.flatnonzero(mark_repeated(src * 31 + tgt))
    share = len(again) / len(survey)
    if share >= 0.001:
        yield Finding(
            graded(share, 0.05, 0.9),
            f"{counted(len(again), 'pair')} ({percent(share)}) that stood there before",
            f"{survey.files()}, {lines(again + 1)}",
            advice="each counts as often as it stands there, and the model learns it by heart; remove the "
            "repetitions unless they are wanted",
        )


def _scripts(survey: Survey, languages: tuple[str, ...]) -> Iterator[Finding]:
    """Whether the sides are written as their languages are, and which lines are not."""
    for side in survey.sides:
        counts = np.bincount(np.asarray(survey.scripts[side], np.int64), minlength=2)
        counts[0] = 0  # lines without letters
        if not counts.any():
            continue
        main, file = int(counts.argmax()), survey.file(side)
        expected = LANGUAGES.get(languages[side].partition("-")[0].partition("_")[0].lower())
        if expected not in (None, survey.names[main]):
            yield Finding(
                "wrong",
                f"'{languages[side]}' is written in {expected} letters, but this side is "
                f"mostly {survey.names[main]}",
                file,
                advice="are the two files, or data.src and data.tgt, exchanged?",
            )
            continue
        others = np.asarray(survey.scripts[side], np.int64)
        odd = np.flatnonzero((others != 0) & (others != main))
        if len(odd):
            yield _other_script(survey, side, odd, survey.names[main])


def _other_script(survey: Survey, side: int, odd: Int64, main: str | None) -> Finding:
    share = len(odd) / len(survey)
    other, count = survey.names[survey.scripts[side][odd[0]]], counted(len(odd), "line")
    return Finding(
        graded(share, 0.01),
        f"{count} ({percent(share)}) mostly not in {main} letters; the first is in {other}",
        f"{survey.file(side)}, {lines(odd + 1)}",
        "\n".join(excerpt(pair[side]) for pair in _pairs(survey, odd[:1])),
        "they are of another language, or were put on the wrong side: look at them, and leave them out",
    )


RULES: tuple[Callable[[Survey], Iterator[Finding]], ...] = (_blank, _same, _lengths, _duplicates)


def overlap(train: Survey, held_out: Survey, part: str) -> Iterator[Finding]:
    """How much of what is scored was learnt: whole pairs, and sources alone."""
    if not len(train) or not len(held_out):
        return
    sides = [side for side in held_out.sides if len(train.hashes[side])]
    known = [
        np.isin(np.asarray(held_out.hashes[side], np.int64), np.asarray(train.hashes[side], np.int64))
        for side in sides
    ]
    blank = np.asarray(held_out.lengths[sides[0]], np.int64) == 0
    met = np.flatnonzero(known[0] & ~blank)
    share = len(met) / len(held_out)
    if not len(met):
        return
    both = int(np.logical_and.reduce(known)[met].sum())
    kind = "source line" if train.corpus.parallel else "line"
    also = f", {both:,} with their target" if train.corpus.parallel else ""
    yield Finding(
        graded(share, 0.02, 0.5),
        f"{counted(len(met), kind)} ({percent(share)}) of data.{part} also in the training data{also}",
        f"{held_out.files()}, {lines(met + 1)}",
        advice="the score will be better than it would be on new text: take them out of the training data",
    )


def correlation(one: Float64, other: Float64) -> float:
    """Pearson's correlation; 1 where one of them is constant, which says nothing."""
    if one.std() == 0 or other.std() == 0:
        return 1.0
    return float(np.corrcoef(one, other)[0, 1])


def lines(numbers: Int64) -> str:
    """`lines 4, 17 and 9 more`."""
    first = [f"{line:,}" for line in numbers[:NAMED]]
    return f"line{'s' * (len(numbers) > 1)} {joined(first, len(numbers) - len(first))}"


def _pairs(survey: Survey, places: Int64) -> Iterator[tuple[str, str]]:
    """Pairs by their places, which ascend, read once more."""
    wanted = set(places.tolist())
    upto = islice(enumerate(read_pairs(survey.corpus)), max(wanted) + 1)
    return (pair for number, pair in upto if number in wanted)
