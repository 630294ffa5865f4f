"""`nmt doctor`: what speaks against a recipe before it is trained, and what went wrong in a run."""

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
"""Facts by what they are of."""
WIDTH, MARGIN = 80, 10
ORDER = ("wrong", "doubtful", "note")


def doctor(
    words: Words,
    updates: Annotated[
        int, typer.Option(min=0, help="Of a recipe: updates that are made to measure; 0 for none.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Say what is wrong with a recipe before training, or with a run, and what to try.

    Of a recipe: its data, and what training takes on this machine, from a few
    updates in a folder that is thrown away. Of a run: its curves, and what its
    best checkpoint makes of validation lines. The exit code is 1 if something
    is wrong, 0 if all is well or doubtful.
    """
    examined = subject(words)
    if isinstance(examined, Path):
        from nmt.lab.doctor.diagnose_run import check_up

        facts, found = check_up(examined)
    else:
        facts, found = of_recipe(examined, updates)
    found.sort(key=lambda finding: ORDER.index(finding.level))
    if as_json:
        findings = [finding._asdict() for finding in found]
        typer.echo(json.dumps({"facts": facts, "findings": findings}, indent=2, ensure_ascii=False))
    else:
        show(facts, found)
    if any(finding.level == "wrong" for finding in found):
        raise typer.Exit(1)


def of_recipe(recipe: "AnyRecipe", updates: int) -> tuple[Facts, list[Finding]]:
    """What there is to say of a recipe: facts, and findings."""
    from rich.console import Console

    from nmt.lab.doctor.trial_run import rehearse, surveys
    from nmt.training.console import Progress

    facts: Facts = {}
    found: list[Finding] = []
    waiting = Console(stderr=True)
    with waiting.status("reading the data"):  # shown on a terminal only
        for part, survey, of_part in surveys(recipe):
            found += of_part
            if survey is not None:
                so_far = facts.setdefault(part, {"count": 0, "unit": survey.unit, "files": []})
                so_far["count"] += len(survey)
                so_far["files"] += map(str, survey.corpus.files)
    if any(finding.level == "wrong" for finding in found):
        return facts, [*found, Finding("note", "no update was made: mend first what is wrong")]
    with waiting.status("preparing and measuring a trial run"), TemporaryDirectory() as folder:
        progress = Progress(Path(folder) / "train.log", Console(quiet=True))
        measured, of_training = rehearse(recipe, Path(folder), progress, updates=updates)
    if measured is not None:
        facts["training"] = {**measured._asdict(), "seconds": measured.seconds}
    return facts, found + of_training


def show(facts: Facts, found: list[Finding]) -> None:
    """Print facts, then findings, the worst first, in 80 columns."""
    for name, facts_of_it in facts.items():
        _say(f"{name:{MARGIN}}{told(name, facts_of_it)}")
    for finding in found:
        typer.echo("")
        parts = (finding.where, *finding.example.splitlines(), finding.advice and f"Try: {finding.advice}")
        _say(f"{finding.level:{MARGIN}}{finding.what}")
        for part in filter(None, parts):
            _say(" " * MARGIN + part)
    counts: Counter[str] = Counter(finding.level for finding in found)
    said = ", ".join(f"{counts[level]} {level}" for level in ORDER if counts[level])
    typer.echo(f"\n{said or 'nothing found that speaks against it'}")


def told(name: str, facts: Mapping[str, Any]) -> str:
    """Facts in words."""
    from nmt.training.console import format_clock

    if "files" in facts:
        return f"{facts['count']:,} {facts['unit']}: {' and '.join(facts['files'])}"
    return SENTENCES[name].format(**{**facts, "time": format_clock(facts.get("seconds", 0.0))})


SENTENCES = {
    "training": "{parameters:,} parameters, at most {memory_gib:.1f} of {memory_there_gib:.1f} GiB of memory;"
    " {updates:,} updates of {seconds_per_update:.3f} s ({pieces_per_second:,.0f} target pieces a second):"
    " {time} of learning, validations not counted",
    "run": "{updates:,} updates, {epochs:.1f} epochs, {time} of learning",
    "best": "{metric} {score:.2f}, after update {update:,}",
}


def _say(text: str) -> None:
    typer.echo(
        textwrap.fill(
            text, WIDTH, subsequent_indent=" " * MARGIN, break_on_hyphens=False, break_long_words=False
        )
    )
