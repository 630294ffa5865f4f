"""Comparison of an exported translator with the trained one: lines that differ, scores, speed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.decoding.job import Job
from nmt.decoding.translation import translate_lines
from nmt.evaluation.metrics import DEFAULT_METRICS, score


class ParityTexts(NamedTuple):
    """Lines to compare on, and their references, if any."""

    name: str
    sources: list[str]
    references: list[str] | None


@dataclass(frozen=True)
class SideMeasurements:
    """Size, speed and scores of one of the two translators."""

    megabytes: float  # of weights, or of graphs
    milliseconds: float  # per line, on one thread
    scores: dict[str, float]  # by signature


@dataclass(frozen=True)
class ParityReport:
    """The comparison; its fields are the keys of `report.json`."""

    name: str
    lines: int
    beam: int
    batch: int
    differing: list[int]  # numbers of the lines that differ, from 1
    trained: SideMeasurements
    exported: SideMeasurements


def compare(texts: ParityTexts, trained: tuple[Job, float], exported: tuple[Job, float]) -> ParityReport:
    """Translate the same lines with both; each is given with its size in megabytes."""
    ours, theirs = (_translate(job, texts.sources) for job, _ in (trained, exported))
    differing = [number for number, (a, b) in enumerate(zip(ours[0], theirs[0], strict=True), 1) if a != b]
    sides = [
        SideMeasurements(size, 1000 * seconds / max(1, len(lines)), _scores(lines, texts.references))
        for (lines, seconds), (_, size) in zip((ours, theirs), (trained, exported), strict=True)
    ]
    options = exported[0].options
    return ParityReport(texts.name, len(texts.sources), options.beam, options.batch, differing, *sides)


def _translate(job: Job, sources: Sequence[str]) -> tuple[list[str], float]:
    start = time.perf_counter()
    lines = [translation.text for translation in translate_lines(((line, None) for line in sources), job)]
    return lines, time.perf_counter() - start


def _scores(lines: Sequence[str], references: list[str] | None) -> dict[str, float]:
    if references is None:
        return {}
    return {f"{s.name}|{s.signature}": s.value for s in score(lines, [references], DEFAULT_METRICS)}


def format_report(report: ParityReport) -> str:
    """Format the report as a table."""
    trained, exported = report.trained, report.exported
    rows = [
        ("size, MB", trained.megabytes, exported.megabytes),
        (
            f"ms per line, beam {report.beam}, batch {report.batch}",
            trained.milliseconds,
            exported.milliseconds,
        ),
    ]
    rows += [(name.partition("|")[0], value, exported.scores[name]) for name, value in trained.scores.items()]
    table = [f"{'':<32}{'trained':>10}{'exported':>10}{'change':>10}"]
    table += [f"  {name:<30}{a:>10.2f}{b:>10.2f}{b - a:>+10.2f}" for name, a, b in rows]
    differing = f"{report.name}: {len(report.differing):,} of {report.lines:,} lines differ"
    return "\n".join([differing, *table, *(f"  {name}" for name in trained.scores)])
