"""`nmt doctor`: check a recipe before training, or diagnose a run."""

import json
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.subject import Words, subject
from nmt.lab.doctor.finding import Finding

if TYPE_CHECKING:
    from nmt.recipe.schema import AnyRecipe

Facts = dict[str, dict[str, Any]]
"""Facts by subject."""
WIDTH, MARGIN = 80, 10
ORDER = ("error", "warning", "note")


def doctor(
    words: Words,
    updates: Annotated[int, typer.Option(min=0, help="Trial updates of a recipe; 0 for none.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Find problems of a recipe before training, or of a run, and suggest what to try.

    For a recipe: its data, and the time and memory of training on this machine,
    from a few updates in a temporary directory. For a run: its learning curves,
    and translations of validation lines by its best checkpoint. The exit code is
    1 if there are errors, 0 if there are at most warnings.
    """
    examined = subject(words)
    if isinstance(examined, Path):
        from nmt.lab.doctor.diagnose_run import diagnose_run

        facts, found = diagnose_run(examined)
    else:
        facts, found = of_recipe(examined, updates)
    found.sort(key=lambda finding: ORDER.index(finding.level))
    if as_json:
        findings = [finding._asdict() for finding in found]
        typer.echo(json.dumps({"facts": facts, "findings": findings}, indent=2, ensure_ascii=False))
    else:
        show(facts, found)
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(1)


def of_recipe(recipe: "AnyRecipe", updates: int) -> tuple[Facts, list[Finding]]:
    """Facts about a recipe and its problems."""
    from rich.console import Console

    from nmt.lab.doctor.trial_run import survey_data, try_recipe
    from nmt.training.console import Progress

    facts: Facts = {}
    found: list[Finding] = []
    waiting = Console(stderr=True)
    with waiting.status("reading the data"):  # shown on a terminal only
        for part, survey, of_part in survey_data(recipe):
            found += of_part
            if survey is not None:
                so_far = facts.setdefault(part, {"count": 0, "unit": survey.unit, "files": []})
                so_far["count"] += len(survey)
                so_far["files"] += map(str, survey.corpus.files)
    if any(finding.level == "error" for finding in found):
        return facts, [*found, Finding("note", "no trial update was run: fix the errors above first")]
    with waiting.status("running trial updates"), TemporaryDirectory() as folder:
        progress = Progress(Path(folder) / "train.log", Console(quiet=True))
        cost, of_training = try_recipe(recipe, Path(folder), progress, updates=updates)
    if cost is not None:
        facts["training"] = {**cost._asdict(), "seconds": cost.seconds}
    return facts, found + of_training


def show(facts: Facts, found: list[Finding]) -> None:
    """Print facts, then findings, the worst first, in 80 columns."""
    for name, facts_of_it in facts.items():
        _echo(f"{name:{MARGIN}}{told(name, facts_of_it)}")
    for finding in found:
        typer.echo("")
        parts = (finding.where, *finding.example.splitlines(), finding.advice and f"Try: {finding.advice}")
        _echo(f"{finding.level:{MARGIN}}{finding.what}")
        for part in filter(None, parts):
            _echo(" " * MARGIN + part)
    counts: Counter[str] = Counter(finding.level for finding in found)
    summary = ", ".join(
        f"{counts[level]} {level}{'s' * (counts[level] > 1)}" for level in ORDER if counts[level]
    )
    typer.echo(f"\n{summary or 'no problems found'}")


def told(name: str, facts: Mapping[str, Any]) -> str:
    """Facts in words."""
    from nmt.training.console import format_clock

    if "files" in facts:
        return f"{facts['count']:,} {facts['unit']}: {' and '.join(facts['files'])}"
    return SENTENCES[name].format(**{**facts, "time": format_clock(facts.get("seconds", 0.0))})


SENTENCES = {
    "training": "{parameters:,} parameters, peak memory {memory_gib:.1f} of {memory_there_gib:.1f} GiB;"
    " {updates:,} updates of {seconds_per_update:.3f} s ({pieces_per_second:,.0f} target tokens per second):"
    " {time} of training without validations",
    "run": "{updates:,} updates, {epochs:.1f} epochs, {time} of training",
    "best": "{metric} {score:.2f}, at update {update:,}",
}


def _echo(text: str) -> None:
    typer.echo(
        textwrap.fill(
            text, WIDTH, subsequent_indent=" " * MARGIN, break_on_hyphens=False, break_long_words=False
        )
    )
