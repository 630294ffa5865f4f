"""`nmt study`: questions that many runs answer together."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.memory import memory
from nmt.cli.recipes import listing
from nmt.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmt.lab.study.definition import Member
    from nmt.lab.study.runner import Ended

app = typer.Typer(no_args_is_help=True, help="Ask what many runs answer together.")


@app.callback()
def about() -> None:
    """Ask what many runs answer together."""


@app.command("ls")
def list_studies() -> None:
    """List the studies that come with the program."""
    from nmt.lab.study.definition import shipped_studies

    typer.echo(listing(shipped_studies()))


@app.command()
def run(
    words: Annotated[
        list[str],
        typer.Argument(metavar="STUDY [KEY=VALUE...]", help="A study, and settings of all its members."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The study's directory; without it, studies/STUDY.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Members trained at the same time.")] = 1,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained, and train nothing.")
    ] = False,
) -> None:
    """Train and test every member of a study, and write one report on all of them.

    The same command again goes on where it was stopped: members that are done
    are not trained again, those that failed are tried once more. One that
    fails does not stop the others; the exit code is then 1. The report
    (report.html, report.md) is on those that are done.
    """
    from nmt.lab.study import members as study
    from nmt.recipe.reader import split

    names, overrides = split(words)
    if len(names) != 1:
        raise UsageError(
            f"name one study: a file ending in .yaml, or one of `nmt study ls` (got {len(names)})"
        )
    found, members = study.members_of(names[0], overrides)
    if plan:
        _show(members)
        return
    directory = output or Path("studies") / Path(names[0]).stem
    study.look_for_data(members)
    failed = _train(directory, members, jobs)
    options = ["-o", str(output)] if output else []
    typer.echo(study.report(names + overrides + options, directory, found, members))
    if failed:
        raise DataError(f"{failed} of {len(members)} members failed; the same command tries them again")


def _show(members: "Sequence[Member]") -> None:
    from nmt.lab.study.matching import parameters

    recipes = {", ".join(member.choices.values()): member.recipe for member in members}
    width = max(map(len, recipes)) + 2
    typer.echo(f"{'system':<{width}}{'hidden':>12}{'parameters':>14}  stops after")
    for name, recipe in recipes.items():
        hidden = f"{recipe.encoder.hidden} + {recipe.decoder.hidden}"
        count = f"{parameters(recipe):,}"
        typer.echo(f"{name:<{width}}{hidden:>12}{count:>14}  {recipe.training.stop_after}")
    seeds = list(dict.fromkeys(str(member.seed) for member in members))
    typer.echo(f"{len(members)} members: each with seed {', '.join(seeds)}")


def _train(directory: Path, members: "Sequence[Member]", jobs: int) -> int:
    """Train what is not done yet; gives how many failed."""
    from nmt.lab.study.runner import Grid, done

    left = [member for member in members if not done(directory, member)]
    if len(left) < len(members):
        typer.echo(f"{len(members) - len(left)} of {len(members)} are done", err=True)
    failed = 0
    with Grid(directory, jobs) as grid:
        for number, (member, end) in enumerate(grid.train(left), len(members) - len(left) + 1):
            failed += not end.well
            typer.echo(f"{number}/{len(members)}  {member.name}: {_how(end)}", err=True)
    return failed


def _how(end: "Ended") -> str:
    return "done" if end.well else f"failed (exit code {end.exit_code}): {end.said}"


app.command()(memory)
