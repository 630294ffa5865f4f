"""Checks of a corpus for problems in training or evaluation: rules over a survey of it."""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nmt.data.pair_rules import mark_repeated
from nmt.data.pairs import read_pairs
from nmt.data.script import LANGUAGES
from nmt.lab.doctor.finding import Finding, format_count, format_lines, format_percent, level_for_share
from nmt.lab.doctor.survey import LISTED, Survey, excerpt

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

MIN_PAIRS = 50
"""Pairs below which the distribution of lengths is not checked."""
ALIGNED = 0.4
"""Minimum correlation of the lengths of aligned sides. Multi30k, a Bible and the phrasebook have 0.88 to
0.90, and -0.23 to 0.26 with one side shifted by a line."""
BLOCK = 500
"""Pairs whose lengths are correlated together, to find a block that is shifted."""
MISPLACED = (
    "one file is probably sorted, shuffled or shifted by a line against the other: compare the files, and "
    "get them again from their source"
)
MAX_RATIO = 3.0
"""Length ratio, relative to the median one, above which a pair is reported ..."""
DEVIATIONS = 5.0
"""... if it is also this many standard deviations (by quartiles) from the median."""


def check_corpus(survey: Survey, languages: tuple[str, ...]) -> list[Finding]:
    """Report every problem of one corpus; `languages` are the codes of its sides."""
    if survey.failure is not None:
        return [Finding("error", survey.failure), *_check_lines(survey)]
    if not len(survey):
        return [Finding("error", f"there are no {survey.unit}", survey.files())]
    return [
        *_check_lines(survey),
        *_check_scripts(survey, languages),
        *(f for rule in RULES for f in rule(survey)),
    ]


def _check_lines(survey: Survey) -> Iterator[Finding]:
    for (rule, side), hits in survey.lines.items():
        level = level_for_share(hits.count / max(len(survey), 1), 0.001)
        what = f"{format_count(hits.count, 'line')} {rule.description}"
        yield Finding(level, what, f"{survey.file(side)}, {hits.where()}", hits.example, rule.advice)


def _check_blank(survey: Survey) -> Iterator[Finding]:
    hits = survey.pairs.get("blank")
    if hits is not None:
        share = hits.count / len(survey)
        yield Finding(
            level_for_share(share, 0.01, 0.9),
            f"{format_count(hits.count, 'pair')} ({format_percent(share)}) with a blank side",
            f"{survey.files()}, {hits.where()}",
            advice="training drops and counts them; if there are many, the files may be shifted: compare the "
            "lines after the first one",
        )


def _check_same(survey: Survey) -> Iterator[Finding]:
    hits = survey.pairs.get("identical")
    if hits is not None:
        share = hits.count / len(survey)
        yield Finding(
            level_for_share(share, 0.02, 0.5),
            f"{format_count(hits.count, 'pair')} ({format_percent(share)}) with the same text on both sides",
            f"{survey.files()}, {hits.where()}",
            hits.example.partition(" | ")[0],
            "many of them teach a model to copy instead of to translate: remove them, except names and the "
            "like",
        )


def _check_lengths(survey: Survey) -> Iterator[Finding]:
    """Find sides whose lengths do not correlate, as a whole or in blocks, and pairs of unusual ratio."""
    src, tgt = (np.asarray(side, np.float64) for side in survey.lengths)
    full = np.flatnonzero((src > 0) & (tgt > 0)) if len(src) == len(tgt) else np.empty(0, np.int64)
    if len(full) < MIN_PAIRS:
        return
    ratios = np.log(tgt[full] / src[full])
    together = correlation(np.log(src[full]), np.log(tgt[full]))
    if together < ALIGNED:
        yield Finding(
            "error",
            "source and target lines do not seem to belong together: their lengths do not correlate "
            f"({together:.2f}, 0.9 is usual)",
            survey.files(),
            "\n".join(excerpt(*pair) for pair in _pairs(survey, full[:: max(1, len(full) // 3)][:3])),
            MISPLACED,
        )
        return
    yield from _check_blocks(survey, full, src, tgt)
    yield from _check_ratios(survey, full, ratios)


def _check_blocks(survey: Survey, full: Int64, src: Float64, tgt: Float64) -> Iterator[Finding]:
    """Find blocks that are not aligned where the rest is, as after a line that one file lacks."""
    blocks = np.split(full, range(BLOCK, len(full), BLOCK))[: len(full) // BLOCK]
    together = [correlation(np.log(src[block]), np.log(tgt[block])) for block in blocks]
    odd = [block for block, value in zip(blocks, together, strict=True) if value < ALIGNED / 2]
    if odd and np.median(together) > 1.5 * ALIGNED:
        yield Finding(
            "warning",
            f"{format_count(len(odd), 'block')} of {BLOCK} pairs in which the lengths of source and target "
            "lines do not correlate, unlike elsewhere",
            f"{survey.files()}, first: lines {odd[0][0] + 1:,} to {odd[0][-1] + 1:,}",
            "\n".join(excerpt(*pair) for pair in _pairs(survey, odd[0][-3:])),
            MISPLACED,
        )


def _check_ratios(survey: Survey, full: Int64, ratios: Float64) -> Iterator[Finding]:
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    limit = max(np.log(MAX_RATIO), DEVIATIONS * (high - low) / 1.349)
    far = full[np.abs(ratios - middle) > limit]
    if len(far):
        share = len(far) / len(survey)
        yield Finding(
            level_for_share(share, 0.01),
            f"{format_count(len(far), 'pair')} ({format_percent(share)}) with a length ratio more than "
            f"{np.exp(limit):.1f} times the usual one",
            f"{survey.files()}, {_lines(far)}",
            "\n".join(excerpt(*pair) for pair in _pairs(survey, far[:1])),
            "most of them are not translations of each other: check them; data.max_ratio drops such pairs",
        )


def _check_duplicates(survey: Survey) -> Iterator[Finding]:
    if not survey.corpus.parallel:
        return
    src, tgt = (np.asarray(side, np.int64) for side in survey.hashes)
    again = np.flatnonzero(mark_repeated(src * 31 + tgt))
    share = len(again) / len(survey)
    if share >= 0.001:
        yield Finding(
            level_for_share(share, 0.05, 0.9),
            f"{format_count(len(again), 'duplicate pair')} ({format_percent(share)})",
            f"{survey.files()}, {_lines(again)}",
            advice="the model memorises repeated pairs; remove the duplicates unless they are wanted",
        )


def _check_scripts(survey: Survey, languages: tuple[str, ...]) -> Iterator[Finding]:
    """Find sides and lines that are not in the script of their language."""
    for side in survey.sides:
        counts = np.bincount(np.asarray(survey.scripts[side], np.int64), minlength=2)
        counts[0] = 0  # lines without letters
        if not counts.any():
            continue
        main, file = int(counts.argmax()), survey.file(side)
        expected = LANGUAGES.get(languages[side].partition("-")[0].partition("_")[0].lower())
        if expected not in (None, survey.names[main]):
            yield Finding(
                "error",
                f"'{languages[side]}' is written in {expected} script, but this side is mostly "
                f"{survey.names[main]}",
                file,
                advice="check whether the two files, or data.src and data.tgt, are exchanged",
            )
            continue
        others = np.asarray(survey.scripts[side], np.int64)
        odd = np.flatnonzero((others != 0) & (others != main))
        if len(odd):
            yield _other_script_finding(survey, side, odd, survey.names[main])


def _other_script_finding(survey: Survey, side: int, odd: Int64, main: str | None) -> Finding:
    share = len(odd) / len(survey)
    other, count = survey.names[survey.scripts[side][odd[0]]], format_count(len(odd), "line")
    return Finding(
        level_for_share(share, 0.01),
        f"{count} ({format_percent(share)}) mostly not in {main} script; the first is in {other}",
        f"{survey.file(side)}, {_lines(odd)}",
        "\n".join(excerpt(pair[side]) for pair in _pairs(survey, odd[:1])),
        "they are in another language or on the wrong side: check and remove them",
    )


RULES: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    _check_blank,
    _check_same,
    _check_lengths,
    _check_duplicates,
)


def check_overlap(train: Survey, held_out: Survey, part: str) -> Iterator[Finding]:
    """Find held-out pairs and source lines that are in the training data."""
    if not len(train) or not len(held_out):
        return
    sides = [side for side in held_out.sides if len(train.hashes[side])]
    known = [
        np.isin(np.asarray(held_out.hashes[side], np.int64), np.asarray(train.hashes[side], np.int64))
        for side in sides
    ]
    blank = np.asarray(held_out.lengths[sides[0]], np.int64) == 0
    shared = np.flatnonzero(known[0] & ~blank)
    share = len(shared) / len(held_out)
    if not len(shared):
        return
    both = int(np.logical_and.reduce(known)[shared].sum())
    kind = "source line" if train.corpus.parallel else "line"
    also = f", {both:,} with their target" if train.corpus.parallel else ""
    yield Finding(
        level_for_share(share, 0.02, 0.5),
        f"{format_count(len(shared), kind)} ({format_percent(share)}) of data.{part} also in the training "
        f"data{also}",
        f"{held_out.files()}, {_lines(shared)}",
        advice="the score will be higher than on new text: remove them from the training data",
    )


def correlation(one: Float64, other: Float64) -> float:
    """Pearson's correlation; 1 where one of them is constant and it is undefined."""
    if one.std() == 0 or other.std() == 0:
        return 1.0
    return float(np.corrcoef(one, other)[0, 1])


def _lines(indices: Int64) -> str:
    return format_lines((indices[:LISTED] + 1).tolist(), len(indices))


def _pairs(survey: Survey, indices: Int64) -> Iterator[tuple[str, str]]:
    """Read the pairs of these ascending indices again."""
    chosen = set(indices.tolist())
    upto = islice(enumerate(read_pairs(survey.corpus)), max(chosen) + 1)
    return (pair for number, pair in upto if number in chosen)
