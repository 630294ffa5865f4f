"""`nmt train`: train a recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import RecipeWords, TrustCode
from nmt.cli.paths import CHECKED_LATER

if TYPE_CHECKING:
    from nmt.recipe.schema import Recipe

RunOutput = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Run directory; by default runs/RECIPE."),
    CHECKED_LATER,
]
LogTo = Annotated[
    str | None,
    typer.Option("--log-to", metavar="LOGGER", help="Also log all metrics to tensorboard, trackio or wandb."),
]
Change = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Resume with a changed learning rate, dropout, label_smoothing, weight_decay or clip_norm.",
    ),
]


def train(
    words: RecipeWords,
    output: RunOutput = None,
    log_to: LogTo = None,
    change: Change = None,
    verify_resume: Annotated[
        bool,
        typer.Option(
            "--verify-resume",
            help="Check that a run which is killed (kill -9) and resumed ends bit for bit like "
            "an uninterrupted one. Uses a temporary directory.",
        ),
    ] = False,
    kill_at: Annotated[
        int,
        typer.Option("--kill-at", min=2, help="With --verify-resume: updates before the kill, and after it."),
    ] = 20,
    trust_code: TrustCode = False,
) -> None:
    """Train a recipe, or resume its run.

    The same command resumes a run that was stopped. A run directory holds
    recipe.yaml (with all settings), the vocabularies, checkpoints (best and last
    are links), metrics.jsonl, times.jsonl, train.log and the translations of
    each validation.
    """
    recipe, directory = read_training(words, output, change)
    if verify_resume:
        from nmt.lab import verify_resume as verify

        same = verify.verify_resume(recipe, kill_at, lambda message: typer.echo(message, err=True))
        typer.echo(
            f"exact: {2 * kill_at} updates with a kill -9 after {kill_at} equal uninterrupted ones bit for "
            f"bit ({same} tensors, facts and lines compared)"
        )
    elif run_training(recipe, directory, log_to, change):
        typer.echo(directory)


def read_training(
    words: list[str], output: Path | None, change: list[str] | None = None
) -> tuple["Recipe", Path]:
    """Read the recipe that the words of a command line describe, and choose its run directory."""
    from nmt.recipe.reader import read_any_recipe, split_arguments
    from nmt.recipe.run_directory import choose_run_directory

    names, overrides = split_arguments(words)
    recipe = read_any_recipe(names, [*overrides, *(change or [])])
    return recipe, choose_run_directory(names, output)


def run_training(
    recipe: "Recipe",
    directory: Path,
    log_to: str | None,
    change: list[str] | None = None,
    *,
    average: bool = False,
) -> bool:
    """Train, and exit with a signal's exit code if one stopped the run.

    With `average` the mean of the last checkpoints is used if it is better. Returns True in the first process
    of a launcher only, which is the one that reports.
    """
    from nmt.recipe import training
    from nmt.training.distributed import read_launch_info

    names = [setting.partition("=")[0].strip() for setting in change or []]
    result = training.train(recipe, directory, log_to=log_to, change=names, average=average)
    if result.stop.exit_code:
        raise typer.Exit(result.stop.exit_code)
    return read_launch_info().rank == 0
