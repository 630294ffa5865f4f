"""`nmt pipeline`: run commands that depend on each other, those whose inputs have changed."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import CountOption, TrustCode
from nmt.cli.paths import CHECKED_LATER, READ
from nmt.cli.recipes import list_files
from nmt.cli.terminal import format_table
from nmt.errors import DataError, UsageError, escape_controls
from nmt.files import find_shipped_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmt.lab.pipeline.definition import PipelinePlan
    from nmt.lab.pipeline.engine import StepResult
    from nmt.lab.pipeline.steps import PipelineStep


def pipeline(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PIPELINE [KEY=VALUE...]",
            help="A file, or a name of --list; its parameters, and settings for all recipes.",
        ),
        READ,
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Its directory; by default pipelines/PIPELINE."),
        CHECKED_LATER,
    ] = None,
    jobs: Annotated[int, CountOption("--jobs", "-j", help="Steps to run at the same time.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the commands.")] = False,
    list_names: Annotated[
        bool, typer.Option("--list", help="List the pipelines that come with nmt.")
    ] = False,
    trust_code: TrustCode = False,
) -> None:
    """Run a pipeline: commands of nmt that depend on each other, and a report.

    The same command resumes a pipeline that was stopped, even by kill -9. A step
    is not run again while its command, its inputs and its outputs are unchanged.
    A failure does not stop steps that do not depend on it; the exit code is then 1.
    The report (report.md, report.json) has the minutes of each step and the scores.
    """
    from nmt.cli.pipeline_steps import plan_steps
    from nmt.lab.pipeline.definition import read_pipeline
    from nmt.recipe.reader import split_arguments

    if list_names:
        typer.echo(list_files(find_shipped_files("pipelines")))
        return
    names, settings = split_arguments(words or [])
    if len(names) != 1:
        raise UsageError(
            f"expected one pipeline, a file ending in .yaml or a name of --list, got {len(names)}"
        )
    directory = output or Path("pipelines") / Path(names[0]).stem
    plan = read_pipeline(names[0], settings, directory)
    steps = plan_steps(plan, trust_code=trust_code)
    if dry_run:
        typer.echo("\n".join([shlex.join(["cd", str(directory)]), *(step.command for step in steps)]))
        return
    results = _run_steps(plan, steps, jobs)
    options = ["-o", str(output)] if output else []
    _write_report(plan, steps, results, shlex.join(["nmt", "pipeline", *(words or []), *options]))
    _check_results(results)


def _check_results(results: "Sequence[StepResult]") -> None:
    """Raise DataError if a step did not finish."""
    failed = [result for result in results if result.status in ("failed", "not run")]
    if failed:
        raise DataError(
            f"{len(failed)} of {len(results)} steps did not finish; run the same command to retry them"
        )


def _run_steps(plan: "PipelinePlan", steps: "Sequence[PipelineStep]", jobs: int) -> "list[StepResult]":
    from nmt.lab.pipeline.engine import run_steps
    from nmt.lab.pipeline.report import format_minutes
    from nmt.lab.pipeline.runner import StepRunner
    from nmt.lab.processes import ChildProcesses

    names = [step.name for step in steps]

    def show(result: "StepResult") -> None:
        number = f"{names.index(result.name) + 1}/{len(names)}"
        cost = f" in {format_minutes(result.seconds)} min" if result.status == "done" else ""
        message = f": {result.message}" if result.message else ""
        typer.echo(escape_controls(f"{number:>6}  {result.name}: {result.status}{cost}{message}"), err=True)

    plan.directory.mkdir(parents=True, exist_ok=True)
    with ChildProcesses(plan.directory, jobs, detached=False) as processes:
        return run_steps(plan.directory, steps, StepRunner(plan.directory, processes).run, jobs, show)


def _write_report(
    plan: "PipelinePlan", steps: "Sequence[PipelineStep]", results: "Sequence[StepResult]", command: str
) -> None:
    """Write the report, and print its tables."""
    from nmt.lab.pipeline import report as reports
    from nmt.lab.pipeline.steps import REPORTS

    report = reports.build_report(plan.title, plan.directory, steps, results)
    reports.write_report(report, plan.directory, command)
    for name, systems in report.scores:
        header, rows = reports.format_score_rows(systems)
        header = [name, *(cell if cell == "p" else f" {cell}" for cell in header[1:])]
        typer.echo(format_table(rows, header) + f"\n{reports.explain_test(systems)}\n")
        typer.echo("\n".join(reports.list_signatures(systems)) + "\n")
    header, rows = reports.format_step_rows(report)
    typer.echo(format_table(rows, header, align="llr", widths=(20, 10)))
    typer.echo(f"\n{plan.directory / REPORTS[0]}")
