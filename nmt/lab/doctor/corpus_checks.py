"""Checks of a corpus for problems in training or evaluation: rules over a survey of it."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nmt.data.pair_rules import mark_repeated
from nmt.data.pairs import read_pairs
from nmt.data.script import LANGUAGES, find_primary_language
from nmt.lab.doctor.finding import Finding, format_count, format_percent, level_for_share
from nmt.lab.doctor.survey import LISTED, OccurrenceCounter, Survey, excerpt

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

MIN_PAIRS = 50  # pairs below which the distribution of lengths is not checked
ALIGNED = 0.4
"""Minimum correlation of the lengths of aligned sides. Multi30k, a Bible and the phrasebook have 0.88 to
0.90, and -0.23 to 0.26 with one side shifted by a line."""
BLOCK = 500  # pairs whose lengths are correlated together, to find a block that is shifted
QUOTED = 0.5
"""Share of pairs in quotation marks from which they are those of CSV."""
MISPLACED = (
    "one file is probably sorted, shuffled or shifted by a line against the other: compare the files, and "
    "get them again from their source"
)
MAX_RATIO = 3.0  # length ratio, relative to the median one, above which a pair is reported ...
DEVIATIONS = 5.0  # ... if it is also this many standard deviations (by quartiles) from the median


def check_corpus(survey: Survey, *, limits_ratio: bool = False) -> list[Finding]:
    """Report every problem of one corpus; `limits_ratio` if training drops pairs by data.max_ratio."""
    if survey.failure is not None:
        return [Finding("error", survey.failure), *_check_lines(survey)]
    if not len(survey):
        return [Finding("error", f"there are no {survey.unit}", survey.files())]
    findings = [*_check_lines(survey), *_check_scripts(survey)]
    if survey.corpus.parallel:
        findings += [*_check_marked_pairs(survey), *_check_lengths(survey, limits_ratio)]
        findings += _check_duplicates(survey)
    return findings


def _check_lines(survey: Survey) -> Iterator[Finding]:
    for (rule, side), hits in survey.lines.items():
        level = level_for_share(hits.count / max(len(survey), 1), 0.001)
        what = f"{format_count(hits.count, 'line')} {rule.description}"
        yield Finding(level, what, f"{survey.file(side)}, {hits.format_lines()}", hits.example, rule.advice)


def _build_finding(
    survey: Survey,
    hits: OccurrenceCounter,
    noun: str,
    what: str,
    levels: tuple[float, ...],
    advice: str,
    side: int | None = None,
) -> Finding:
    """Return the finding of a problem that some pairs have, or some lines of a side; `levels` are shares."""
    share = hits.count / len(survey)
    return Finding(
        level_for_share(share, *levels),
        f"{format_count(hits.count, noun)} ({format_percent(share)}) {what}".rstrip(),
        f"{survey.files() if side is None else survey.file(side)}, {hits.format_lines()}",
        hits.example,
        advice,
    )


def _count_occurrences(indices: Int64, example: str = "") -> OccurrenceCounter:
    return OccurrenceCounter(len(indices), (indices[:LISTED] + 1).tolist(), example)


def _check_marked_pairs(survey: Survey) -> Iterator[Finding]:
    if hits := survey.pairs.get("blank"):
        advice = (
            "training drops and counts them; if there are many, the files may be shifted: compare the "
            "lines after the first one"
        )
        yield _build_finding(survey, hits, "pair", "with a blank side", (0.01, 0.9), advice)
    if hits := survey.pairs.get("identical"):
        advice = (
            "many of them teach a model to copy instead of to translate: remove them, except names and the "
            "like"
        )
        yield _build_finding(survey, hits, "pair", "with the same text on both sides", (0.02, 0.5), advice)
    if (hits := survey.pairs.get("quoted")) and hits.count > QUOTED * len(survey):
        advice = (
            "they are probably those of a CSV file, and translations get them, too: write it without them"
        )
        yield _build_finding(survey, hits, "pair", "with both sides in quotation marks", (QUOTED,), advice)


def _check_lengths(survey: Survey, limits_ratio: bool) -> Iterator[Finding]:
    """Find sides whose lengths do not correlate, as a whole or in blocks, and pairs of unusual ratio."""
    src, tgt = (np.asarray(side, np.float64) for side in survey.lengths)
    full = np.flatnonzero((src > 0) & (tgt > 0))
    if len(full) < MIN_PAIRS:
        return
    together = compute_correlation(np.log(src[full]), np.log(tgt[full]))
    if together < ALIGNED:
        yield Finding(
            "error",
            "source and target lines do not seem to belong together: their lengths do not correlate "
            f"({together:.2f}, 0.9 is usual)",
            survey.files(),
            _read_excerpts(survey, full[:: max(1, len(full) // 3)][:3]),
            MISPLACED,
        )
        return
    yield from _check_blocks(survey, full, src, tgt)
    ratios = np.log(tgt[full] / src[full])
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    limit = max(np.log(MAX_RATIO), DEVIATIONS * (high - low) / 1.349)
    far = full[np.abs(ratios - middle) > limit]
    if len(far):
        what = f"with a length ratio more than {np.exp(limit):.1f} times the usual one"
        advice = "most of them are not translations of each other: check them"
        advice += "" if limits_ratio else "; data.max_ratio drops such pairs"
        hits = _count_occurrences(far, _read_excerpts(survey, far[:1]))
        yield _build_finding(survey, hits, "pair", what, (0.01,), advice)


def _check_blocks(survey: Survey, full: Int64, src: Float64, tgt: Float64) -> Iterator[Finding]:
    """Find blocks that are not aligned although the rest is, for example after a missing line."""
    blocks = np.split(full, range(BLOCK, len(full), BLOCK))[: len(full) // BLOCK]
    together = [compute_correlation(np.log(src[block]), np.log(tgt[block])) for block in blocks]
    odd = [block for block, value in zip(blocks, together, strict=True) if value < ALIGNED / 2]
    if odd and np.median(together) > 1.5 * ALIGNED:
        yield Finding(
            "warning",
            f"{format_count(len(odd), 'block')} of {BLOCK} pairs in which the lengths of source and target "
            "lines do not correlate, unlike elsewhere",
            f"{survey.files()}, first: lines {odd[0][0] + 1:,} to {odd[0][-1] + 1:,}",
            _read_excerpts(survey, odd[0][-3:]),
            MISPLACED,
        )


def _check_duplicates(survey: Survey) -> Iterator[Finding]:
    src, tgt = (np.asarray(side, np.int64) for side in survey.hashes)
    again = np.flatnonzero(mark_repeated(src * 31 + tgt))
    if len(again) >= 0.001 * len(survey):
        advice = "the model memorises repeated pairs; remove the duplicates unless they are wanted"
        yield _build_finding(survey, _count_occurrences(again), "duplicate pair", "", (0.05, 0.9), advice)


def _check_scripts(survey: Survey) -> Iterator[Finding]:
    """Find sides and lines that are not in the script of their language."""
    for side in survey.sides:
        scripts = np.asarray(survey.scripts[side], np.int64)
        counts = np.bincount(scripts, minlength=2)
        counts[0] = 0  # lines without letters
        if not counts.any():
            continue
        main = int(counts.argmax())
        main_script = survey.script_names[main]
        language = survey.corpus.languages[side]
        expected = LANGUAGES.get(find_primary_language(language))
        odd = np.flatnonzero((scripts != 0) & (scripts != main))
        if expected not in (None, main_script):
            yield Finding(
                "error",
                f"'{language}' is written in {expected} script, but this side is mostly {main_script}",
                survey.file(side),
                advice="check whether the two files, or data.src and data.tgt, are exchanged",
            )
        elif len(odd):
            other = survey.script_names[scripts[odd[0]]]
            what = f"mostly not in {main_script} script; the first is in {other}"
            advice = "they are in another language or on the wrong side: check and remove them"
            hits = _count_occurrences(odd, _read_excerpts(survey, odd[:1], side))
            yield _build_finding(survey, hits, "line", what, (0.01,), advice, side)


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
    if len(shared):
        noun, what = "line", f"of data.{part} also in the training data"
        if train.corpus.parallel:
            both = int(np.logical_and.reduce(known)[shared].sum())
            noun, what = "source line", f"{what}, {both:,} with their target"
        advice = "the score will be higher than on new text: remove them from the training data"
        yield _build_finding(held_out, _count_occurrences(shared), noun, what, (0.02, 0.5), advice)


def compute_correlation(one: Float64, other: Float64) -> float:
    """Return Pearson's correlation; 1 where it is undefined because one of the two is constant."""
    if one.std() == 0 or other.std() == 0:
        return 1.0
    return float(np.corrcoef(one, other)[0, 1])


def _read_excerpts(survey: Survey, indices: Int64, side: int | None = None) -> str:
    """Read the pairs of these ascending indices again, and shorten them (or one side) to a line each."""
    chosen = set(indices.tolist())
    pairs = islice(enumerate(read_pairs(survey.corpus)), max(chosen) + 1)
    return "\n".join(
        excerpt(*(pair if side is None else (pair[side],))) for number, pair in pairs if number in chosen
    )
