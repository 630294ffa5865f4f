"""`nmt doctor`: find problems of a recipe or a run."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nmt.cli.options import CountOption, Json, RecipeOrRun, TrustCode, read_recipe_or_run
from nmt.cli.progress import spinner
from nmt.cli.terminal import WIDTH, format_table, to_json
from nmt.console import format_clock
from nmt.lab.doctor.finding import Finding

if TYPE_CHECKING:
    from nmt.recipe.schema import Recipe

Facts = dict[str, dict[str, Any]]
"""Facts by their subject: a part of the data, the training, a run."""
MARGIN = 9
LEVELS = ("error", "warning", "note")
TEMPLATES = {
    "training": "{parameters:,} parameters, peak memory {peak} of {there} GiB; "
    "{updates:,} updates of {seconds_per_update:.3f} s ({pieces_per_second:,.0f} target tokens/s): "
    "{time} of training, without validations",
    "run": "{updates:,} updates, {epochs:.3g} epochs, {time} of training",
    "best": "{metric} {score:.2f}, at update {update:,}",
}
"""Format strings of facts by their subject."""


def doctor(
    words: RecipeOrRun,
    updates: Annotated[
        int, CountOption(min=0, help="Trial updates of a recipe, to measure time and memory.")
    ] = 10,
    json: Json = False,
    trust_code: TrustCode = False,
) -> None:
    """Find problems of a recipe before training, or of a run, and suggest fixes.

    For a recipe: its data, and the time and memory that training takes on this
    machine, measured by a few updates in a temporary directory. For a run: its
    learning curves, and the translations of its best checkpoint. The exit code
    is 1 if there are errors.
    """
    subject = read_recipe_or_run(words)
    if isinstance(subject, Path):
        from nmt.lab.doctor.diagnose_run import diagnose_run

        facts, findings = diagnose_run(subject)
    else:
        facts, findings = examine_recipe(subject, updates)
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    if json:
        typer.echo(to_json({"facts": facts, "findings": findings}, indent=2))
    else:
        typer.echo("\n".join(_format_report(facts, findings)))
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def examine_recipe(recipe: "Recipe", updates: int) -> tuple[Facts, list[Finding]]:
    """Check a recipe's data and run trial updates."""
    from nmt.lab.doctor.trial_run import run_trial, survey_data
    from nmt.training.console import Progress

    facts: Facts = {}
    findings: list[Finding] = []
    with spinner("reading the data"):
        for part, survey, of_part in survey_data(recipe):
            findings += of_part
            if survey is not None:
                data = facts.setdefault(part, {"count": 0, "unit": survey.unit, "files": []})
                data["count"] += len(survey)
                data["files"] += map(str, survey.corpus.files)
    if any(finding.level == "error" for finding in findings):
        return facts, [*findings, Finding("note", "no trial update was run: fix the errors above first")]
    with spinner("running trial updates"), TemporaryDirectory() as folder:
        progress = Progress(Path(folder) / "train.log", Console(quiet=True))
        cost, of_training = run_trial(recipe, Path(folder), progress, updates=updates)
    if cost is not None:
        facts["training"] = {**cost._asdict(), "seconds": cost.seconds}
    return facts, findings + of_training


def _format_report(facts: Facts, findings: list[Finding]) -> Iterator[str]:
    """Yield the facts, then the findings, and their counts."""
    yield _format_rows([[name, _describe_facts(name, values)] for name, values in facts.items()])
    for finding in findings:
        parts = (finding.where, *finding.example.splitlines(), finding.advice and f"Try: {finding.advice}")
        rows = [[finding.level, finding.what], *(["", part] for part in parts if part)]
        yield "\n" + _format_rows(rows)
    counts = Counter[str](finding.level for finding in findings)
    totals = [f"{counts[level]} {level}{'s' * (counts[level] > 1)}" for level in LEVELS if counts[level]]
    yield "\n" + (", ".join(totals) or "no problems found")


def _format_rows(rows: list[list[str]]) -> str:
    longest = max((len(word) for _, text in rows for word in text.split()), default=0)  # do not wrap paths
    return format_table(rows, align="ll", widths=(MARGIN,), width=max(WIDTH, MARGIN + 1 + longest))


def _describe_facts(name: str, facts: Mapping[str, Any]) -> str:
    if "files" in facts:
        return f"{facts['count']:,} {facts['unit']}: {' and '.join(facts['files'])}"
    memory = {
        key: f"{facts[fact]:.1f}" if facts.get(fact) is not None else "?"
        for key, fact in {"peak": "memory_gib", "there": "memory_there_gib"}.items()
    }
    return TEMPLATES[name].format(**facts, **memory, time=format_clock(facts.get("seconds", 0.0)))
