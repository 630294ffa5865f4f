"""`nmt study`: run experiments of many runs with one report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import CountOption, Json, Plot, TrustCode, parse_numbers
from nmt.cli.paths import CHECKED_LATER, READ
from nmt.cli.progress import spinner
from nmt.cli.recipes import list_files
from nmt.cli.terminal import UNLIMITED, format_table, to_json
from nmt.errors import DataError, UsageError, escape_controls, suggestion
from nmt.files import find_shipped_files
from nmt.lab.figure import Curve, draw_curves

if TYPE_CHECKING:
    from nmt.lab.memory_tasks import MemoryResult
    from nmt.lab.study.definition import StudyMember

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run experiments of many training runs, with one report.",
)

FULL, QUICK = ("5,20,50,100,200", 3, 1000), ("10,200", 1, 500)
"""Default gaps, seeds and updates."""
COLUMNS = 5
"""Gaps in a row of the table."""
LONGEST, WIDEST, LARGEST = 10_000, 4096, 1_000_000
"""Limits of a gap, of the state size, and of their product, which takes about 10 GB of memory."""


@app.command("ls")
def list_studies() -> None:
    """List the studies that come with nmt."""
    typer.echo(list_files(find_shipped_files("studies")))


@app.command()
def run(
    words: Annotated[
        list[str],
        typer.Argument(metavar="STUDY [KEY=VALUE...]", help="A study, and settings for all its members."),
        READ,
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Study directory; by default studies/STUDY."),
        CHECKED_LATER,
    ] = None,
    jobs: Annotated[int, CountOption(help="Members to train at the same time.")] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would be trained.")] = False,
    trust_code: TrustCode = False,
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
    from nmt.recipe.reader import split_arguments

    names, overrides = split_arguments(words)
    if len(names) != 1:
        raise UsageError(
            f"expected one study, a file ending in .yaml or a name from `nmt study ls`, got {len(names)}"
        )
    study, members = read_study(names[0], overrides)
    if plan:
        typer.echo(_format_plan(members))
        return
    directory = output or Path("studies") / Path(names[0]).stem
    check_data(directory, members)
    failed = _train(directory, members, jobs)
    options = ["-o", str(output)] if output else []
    typer.echo(report_study(names + overrides + options, directory, study, members))
    if failed:
        raise DataError(f"{failed} of {len(members)} members failed; run the same command to retry them")


def _format_plan(members: "Sequence[StudyMember]") -> str:
    from nmt.lab.study.definition import count_parameters

    rows = {}
    for member in members:
        recipe, name = member.recipe, ", ".join(member.choices.values())
        hidden = f"{recipe.encoder.hidden} + {recipe.decoder.hidden}"
        rows[name] = [name, hidden, f"{count_parameters(recipe):,}", str(recipe.training.stop_after)]
    header = ("system", "hidden", "parameters", " stops after")
    seeds = dict.fromkeys(str(member.seed) for member in members)
    table = format_table(rows.values(), header, widths=(0, 12, 13), width=UNLIMITED)
    return f"{table}\n{len(members)} members: each with seed {', '.join(seeds)}"


def _train(directory: Path, members: "Sequence[StudyMember]", jobs: int) -> int:
    """Train the members that are not finished, and return how many failed."""
    from nmt.lab.study.runner import StudyRunner, is_finished

    left = [member for member in members if not is_finished(directory, member)]
    if len(left) < len(members):
        typer.echo(f"{len(members) - len(left)} of {len(members)} members are finished", err=True)
    failed = 0
    with StudyRunner(directory, jobs) as runner:
        for number, (member, end) in enumerate(runner.train(left), len(members) - len(left) + 1):
            failed += not end.succeeded
            outcome = "done" if end.succeeded else f"failed (exit code {end.exit_code}): {end.said}"
            typer.echo(escape_controls(f"{number}/{len(members)}  {member.name}: {outcome}"), err=True)
    return failed


@app.command()
def memory(
    cells: Annotated[
        str, typer.Option(metavar="CELL,...", help="Cells of `nmt cell ls`, or FILE.py:Class.")
    ] = "rnn,lstm,gru",
    gaps: Annotated[
        str | None, typer.Option(metavar="K,...", help=f"Positions to bridge; by default {FULL[0]}.")
    ] = None,
    seeds: Annotated[int | None, CountOption(help=f"Runs of each cell; by default {FULL[1]}.")] = None,
    updates: Annotated[int | None, CountOption(help=f"Updates per run; by default {FULL[2]}.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"Gaps {QUICK[0]}, one seed, {QUICK[2]} updates.")
    ] = False,
    tasks: Annotated[str | None, typer.Option(metavar="TASK,...", help="By default all.")] = None,
    hidden: Annotated[int, CountOption(max=WIDEST, help="State size.")] = 32,
    json: Json = False,
    plot: Plot = None,
) -> None:
    """Measure how long a gap cells can bridge with their memory, on synthetic tasks.

    copy: a symbol, a gap of blanks, then the symbol is asked for. adding: the
    sum of two marked digits, the first and the last. agreement: the last word
    follows from the first ("I grew up in France ... I speak fluent French").
    brackets: which bracket is still open.

    A cell is trained on all gaps at once and tested on each. The numbers are
    percentages of correct answers.
    """
    from nmt.cells import CELLS, find_named_cell
    from nmt.lab.memory_tasks import TASKS, MemorySettings, measure_memory

    defaults = QUICK if quick else FULL
    gap_values = _read_gaps(defaults[0] if gaps is None else gaps, hidden)
    settings = MemorySettings(gap_values, hidden=hidden, updates=updates or defaults[2])
    chosen = list(TASKS) if tasks is None else list(dict.fromkeys(tasks.split(",")))
    _check_names("--tasks", chosen, list(TASKS))
    named = list(dict.fromkeys(cells.split(",")))
    _check_names("--cells", [name for name in named if ":" not in name], list(CELLS))
    for name in named:
        find_named_cell(name)
    with spinner("measuring") as show:
        results = list(measure_memory(named, chosen, settings, seeds or defaults[1], show))
    if json:
        fields = ({**one._asdict(), "means": one.means, "deviations": one.deviations} for one in results)
        typer.echo(to_json([{**values, "gaps": gap_values} for values in fields]))
    else:
        _print_accuracies(results, gap_values)
    if plot:
        _draw_accuracies(plot, results, gap_values)


def _read_gaps(text: str, hidden: int) -> tuple[int, ...]:
    expected = "positive integers, such as 5,20,100"
    numbers = parse_numbers("--gaps", text, expected, lambda gap: gap >= 1 and gap.is_integer())
    gaps = tuple(dict.fromkeys(map(int, numbers)))
    most = min(LONGEST, LARGEST // hidden)
    if max(gaps) > most:
        raise UsageError(f"--gaps: with {hidden:,} units the memory allows gaps up to {most:,}")
    return gaps


def _check_names(option: str, names: list[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{option}: unknown name {name!r}: {suggestion(name, known)}")


def _print_accuracies(results: "list[MemoryResult]", gaps: tuple[int, ...]) -> None:
    """Print tables of up to `COLUMNS` gaps for each task."""
    from nmt.lab.memory_tasks import TASKS

    names = _shorten_names(results)
    for task in dict.fromkeys(one.task for one in results):
        chance = ["  by chance", f"{100 * TASKS[task].chance:{5 if len(results[0].seeds) > 1 else 10}.1f}"]
        for first in range(0, len(gaps), COLUMNS):
            block = slice(first, first + COLUMNS)
            of_task = [one for one in results if one.task == task]
            rows = [[f"  {names[one.cell]}", *_format_accuracies(one, block)] for one in of_task]
            rows += [chance] if first + COLUMNS >= len(gaps) else []
            header = (task, *(f"{gap:>10}" for gap in gaps[block]))
            widths = (20, *[11] * COLUMNS)
            typer.echo(format_table(rows, header, align="l" * 6, widths=widths, width=UNLIMITED))
        typer.echo()
    seeds = len(results[0].seeds)
    over = f"mean and standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    typer.echo(f"percentage of correct answers by gap, {over}")


def _shorten_names(results: "list[MemoryResult]") -> dict[str, str]:
    """Shorten the names of custom cells to their class if that is unambiguous."""
    short = {one.cell: one.cell.rpartition(":")[2] for one in results}
    return {cell: name if [*short.values()].count(name) == 1 else cell for cell, name in short.items()}


def _format_accuracies(result: "MemoryResult", block: slice) -> list[str]:
    if not result.deviations:
        return [f"{100 * mean:10.1f}" for mean in result.means[block]]
    pairs = zip(result.means[block], result.deviations[block], strict=True)
    return [f"{100 * mean:5.1f} ±{100 * deviation:<4.1f}" for mean, deviation in pairs]


def _draw_accuracies(file: Path, results: "list[MemoryResult]", gaps: tuple[int, ...]) -> None:
    panels: dict[str, list[Curve]] = {}
    names = _shorten_names(results)
    for one in results:
        around = [100 * deviation for deviation in one.deviations] or None
        line = Curve(names[one.cell], gaps, [100 * mean for mean in one.means], around)
        panels.setdefault(f"{one.task}, % correct", []).append(line)
    draw_curves(file, panels, x="gap", one_scale=True)
