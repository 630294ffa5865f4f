"""`nmt study`: experiments of many runs with one report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.recipes import list_files
from nmt.cli.study_memory import memory
from nmt.cli.terminal import UNLIMITED, format_table
from nmt.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmt.lab.study.definition import StudyMember

app = typer.Typer(no_args_is_help=True, help="Run experiments of many runs with one report.")


@app.command("ls")
def list_studies() -> None:
    """List the studies that come with nmt."""
    from nmt.lab.study.definition import shipped_studies

    typer.echo(list_files(shipped_studies()))


@app.command()
def run(
    words: Annotated[
        list[str],
        typer.Argument(metavar="STUDY [KEY=VALUE...]", help="A study, and settings for all its members."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Study directory; by default studies/STUDY."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Members to train at the same time.")] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would be trained.")] = False,
) -> None:
    """Train and test every member of a study, and write one report.

    The same command resumes a study that was stopped: finished members are not
    trained again, failed ones are retried. A failure does not stop the other
    members; the exit code is then 1. The report (report.html, report.md) covers
    the finished members.
    """
    from nmt.lab.study.definition import read_study
    from nmt.lab.study.report import report_study
    from nmt.lab.study.runner import check_data
    from nmt.recipe.reader import split

    names, overrides = split(words)
    if len(names) != 1:
        raise UsageError(
            f"expected one study, a file ending in .yaml or a name from `nmt study ls`, got {len(names)}"
        )
    found, members = read_study(names[0], overrides)
    if plan:
        typer.echo(_plan(members))
        return
    directory = output or Path("studies") / Path(names[0]).stem
    check_data(members)
    failed = _train(directory, members, jobs)
    options = ["-o", str(output)] if output else []
    typer.echo(report_study(names + overrides + options, directory, found, members))
    if failed:
        raise DataError(f"{failed} of {len(members)} members failed; run the same command to retry them")


def _plan(members: "Sequence[StudyMember]") -> str:
    from nmt.lab.study.definition import count_parameters

    recipes = {", ".join(member.choices.values()): member.recipe for member in members}
    rows = [
        [
            name,
            f"{recipe.encoder.hidden} + {recipe.decoder.hidden}",
            f"{count_parameters(recipe):,}",
            str(recipe.training.stop_after),
        ]
        for name, recipe in recipes.items()
    ]
    header = ("system", "hidden", "parameters", " stops after")
    seeds = dict.fromkeys(str(member.seed) for member in members)
    return (
        format_table(rows, header, widths=(0, 12, 13), width=UNLIMITED)
        + f"\n{len(members)} members: each with seed {', '.join(seeds)}"
    )


def _train(directory: Path, members: "Sequence[StudyMember]", jobs: int) -> int:
    """Train the members that are not finished, and return how many failed."""
    from nmt.lab.study.runner import StudyRunner, is_finished

    left = [member for member in members if not is_finished(directory, member)]
    if len(left) < len(members):
        typer.echo(f"{len(members) - len(left)} of {len(members)} members are finished", err=True)
    failed = 0
    with StudyRunner(directory, jobs) as grid:
        for number, (member, end) in enumerate(grid.train(left), len(members) - len(left) + 1):
            failed += not end.succeeded
            outcome = "done" if end.succeeded else f"failed (exit code {end.exit_code}): {end.said}"
            typer.echo(f"{number}/{len(members)}  {member.name}: {outcome}", err=True)
    return failed


app.command()(memory)
