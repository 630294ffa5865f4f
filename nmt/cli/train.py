"""`nmt train`: a run of a recipe, begun or gone on with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.recipe.schema import AnyRecipe

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE... [KEY=VALUE...]", help="Recipes (later ones win) and settings.", show_default=False
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The run directory; without it, runs/RECIPE.")
]
LogTo = Annotated[
    str | None,
    typer.Option("--log-to", metavar="tensorboard|trackio|wandb", help="Write every number there, too."),
]

VerifyResume = Annotated[
    bool,
    typer.Option(
        "--verify-resume",
        help="Keep nothing, but show in a temporary directory that a run which is killed (kill -9) and gone "
        "on with ends bit for bit as one that is not.",
    ),
]
KillAt = Annotated[
    int,
    typer.Option("--kill-at", metavar="N", min=2, help="For --verify-resume: killed after N of 2N updates."),
]


def train(
    words: Words,
    output: Output = None,
    log_to: LogTo = None,
    verify_resume: VerifyResume = False,
    kill_at: KillAt = 20,
) -> None:
    """Train what a recipe describes. The same command again goes on where a run has stopped.

    A run directory holds recipe.yaml (as resolved), the vocabularies, checkpoints (with links best and last),
    metrics.jsonl, times.jsonl, train.log and the translations of each validation.
    """
    recipe, directory = resolved(words, output)
    if verify_resume:
        _verify_resume(recipe, kill_at)
    elif train_to_the_end(recipe, directory, log_to):
        typer.echo(directory)


def resolved(words: list[str], output: Path | None) -> tuple["AnyRecipe", Path]:
    """The recipe that the words of a command line make, and its run directory."""
    from nmt.recipe.reader import read_any, split

    names, overrides = split(words)
    recipe = read_any(names, overrides)
    if not names and not output:
        raise UsageError("name a recipe, after which the run directory is called, or give --output")
    return recipe, output or Path("runs") / Path(names[-1]).stem


def _verify_resume(recipe: "AnyRecipe", kill_at: int) -> None:
    from nmt.lab import verify_resume as verify

    same = verify.verify_resume(recipe, kill_at, lambda what: typer.echo(what, err=True))
    typer.echo(
        f"exact: {2 * kill_at} updates with a kill -9 after {kill_at} end as those without, bit for bit "
        f"({same} tensors, facts and lines compared)"
    )


def train_to_the_end(recipe: "AnyRecipe", directory: Path, log_to: str | None) -> bool:
    """Train, and leave with the signal's exit code where one stopped the run; gives whether to go on.

    Of several processes that a launcher started only the first does.
    """
    from nmt.recipe.build import training as experiment
    from nmt.training.distributed import read_launch_info

    result = experiment.train(recipe, directory, log_to=log_to)
    if result.stop.exit_code:
        raise typer.Exit(result.stop.exit_code)
    return read_launch_info().rank == 0
