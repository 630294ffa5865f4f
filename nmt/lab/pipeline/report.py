"""The report of a pipeline: the scores of its systems and the minutes of its steps."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt import __version__
from nmt.evaluation.metrics import LEVELS, SystemScores
from nmt.files import write_file
from nmt.lab.document import Block, heading, paragraph, preformatted, table, to_markdown
from nmt.lab.pipeline.engine import StepResult
from nmt.lab.pipeline.steps import REPORTS, PipelineStep
from nmt.untrusted_files import read_json


class PipelineReport(NamedTuple):
    """The results of a pipeline."""

    title: str
    steps: Sequence[tuple[PipelineStep, StepResult]]
    scores: Sequence[tuple[str, Sequence[SystemScores]]]  # by step; the first system is the baseline

    @property
    def minutes(self) -> float:
        """The minutes of all steps."""
        return sum(result.seconds for _, result in self.steps) / 60


def build_report(
    title: str, directory: Path, steps: Sequence[PipelineStep], results: Sequence[StepResult]
) -> PipelineReport:
    """Collect the results of the steps, and the scores that finished steps have written."""
    pairs = list(zip(steps, results, strict=True))
    scores = [
        (step.name, read_json(directory / step.stdout, list[SystemScores]))
        for step, result in pairs
        if step.words[0] == "score" and "--json" in step.words and step.stdout
        if result.status in ("done", "unchanged")
    ]
    return PipelineReport(title, pairs, scores)


def write_report(report: PipelineReport, directory: Path, command: str) -> None:
    """Write the report as Markdown and as JSON."""
    blocks = list(_build_blocks(report, command))
    write_file(directory / REPORTS[0], to_markdown(blocks).encode("utf-8", "backslashreplace"))
    content = {
        "nmt": __version__,
        "title": report.title,
        "command": command,
        "minutes": report.minutes,
        "steps": [
            {"name": step.name, "command": step.command, "status": result.status, "seconds": result.seconds}
            | ({"message": result.message} if result.message else {})
            for step, result in report.steps
        ],
        "scores": [
            {"step": name, "systems": [system.to_dict() for system in systems]}
            for name, systems in report.scores
        ],
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    write_file(directory / REPORTS[1], (text + "\n").encode("utf-8", "backslashreplace"))


def format_score_rows(systems: Sequence[SystemScores]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a table: each score, and p for its difference from the baseline's.

    A star marks significant differences.
    """
    names = [score.name for score in systems[0].scores]
    is_compared = any(score.p_value is not None for system in systems for score in system.scores)
    header = ["system", *(cell for name in names for cell in ([name, "p"] if is_compared else [name]))]
    rows = []
    for system in systems:
        row = [system.system]
        for score in system.scores:
            p = "" if score.p_value is None else f"{score.p_value:.3f}{'*' if score.beyond_chance else ' '}"
            row += [f"{score.value:.2f}", p] if is_compared else [f"{score.value:.2f}"]
        rows.append(row)
    return header, rows


def list_signatures(systems: Sequence[SystemScores]) -> list[str]:
    """Return the signature of each score, which all systems share."""
    return [score.full_signature for score in systems[0].scores]


def explain_test(systems: Sequence[SystemScores]) -> str:
    """Explain the column p, or return an empty text if nothing was tested."""
    signatures = "\n".join(list_signatures(systems))
    tests = [name for name in LEVELS if f"|{name}:" in signatures]
    if not tests:
        return ""
    return f"p: that {systems[0].system} is as good (sacreBLEU's paired test); * p < {LEVELS[tests[0]]}"


def format_step_rows(report: PipelineReport) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a table: each step, its status, and its minutes."""
    rows = [
        [step.name, result.status, format_minutes(result.seconds) if result.seconds else "-"]
        for step, result in report.steps
    ]
    return ["step", "status", "minutes"], [*rows, ["all", "", format_minutes(60 * report.minutes)]]


def format_minutes(seconds: float) -> str:
    """Format seconds as minutes with one decimal."""
    return f"{seconds / 60:.1f}" if seconds >= 3 else "<0.1"


def _build_blocks(report: PipelineReport, command: str) -> Iterator[Block]:
    yield heading(report.title, 1)
    for name, systems in report.scores:
        yield heading("Scores" if name == "scores" else f"Scores: {name}")
        yield table(*format_score_rows(systems))
        if note := explain_test(systems):
            yield paragraph(note)
        yield preformatted("\n".join(list_signatures(systems)))
    yield heading("Steps")
    yield paragraph(
        "Minutes of each step on this machine with the other processes that ran on it, and of its attempts "
        "that were stopped."
    )
    yield table(*format_step_rows(report), names=2)
    failed = [f"{result.name}: {result.message}" for _, result in report.steps if result.message]
    if failed:
        yield preformatted("\n".join(failed))
    yield heading("Commands")
    yield paragraph(f"Written by nmt {__version__} with this command, which ran the others in its directory.")
    yield preformatted("\n".join([command, "", *(step.command for step, _ in report.steps)]))
