"""Whether an exported translator does what the trained one does: lines that differ, scores, speed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.decoding.job import Job
from nmt.decoding.translation import translate_lines
from nmt.evaluation.metrics import DEFAULT_METRICS, score


class Texts(NamedTuple):
    """Lines to compare on, and their references, if there are any."""

    name: str
    sources: list[str]
    references: list[str] | None


@dataclass(frozen=True)
class Side:
    """One of the two translators."""

    megabytes: float  # weights, or graphs
    milliseconds: float  # for a line, on one thread
    scores: dict[str, float]  # by signature


@dataclass(frozen=True)
class Report:
    """The two side by side."""

    name: str
    lines: int
    beam: int
    batch: int
    differing: list[int]  # numbers of the lines that differ, from 1
    trained: Side
    exported: Side


def compare(texts: Texts, trained: tuple[Job, float], exported: tuple[Job, float]) -> Report:
    """Translate the same lines with both; each comes with its size in megabytes."""
    ours, theirs = (_translated(job, texts.sources) for job, _ in (trained, exported))
    differing = [number for number, (a, b) in enumerate(zip(ours[0], theirs[0], strict=True), 1) if a != b]
    sides = [
        Side(size, 1000 * seconds / max(1, len(lines)), _scores(lines, texts.references))
        for (lines, seconds), (_, size) in zip((ours, theirs), (trained, exported), strict=True)
    ]
    job = exported[0]
    return Report(texts.name, len(texts.sources), job.options.beam, job.options.batch, differing, *sides)


def _translated(job: Job, sources: Sequence[str]) -> tuple[list[str], float]:
    begun = time.perf_counter()
    lines = [translation.text for translation in translate_lines(((line, None) for line in sources), job)]
    return lines, time.perf_counter() - begun


def _scores(lines: Sequence[str], references: list[str] | None) -> dict[str, float]:
    if references is None:
        return {}
    return {f"{s.name}|{s.signature}": s.value for s in score(lines, [references], DEFAULT_METRICS)}


def summary(report: Report) -> str:
    """The report as people read it."""
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
