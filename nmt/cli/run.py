"""`nmt run`: train and test a recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import RecipeWords, TrustCode
from nmt.cli.progress import spinner
from nmt.cli.terminal import UNLIMITED, format_table, to_json
from nmt.cli.train import Change, LogTo, RunOutput, read_training, run_training
from nmt.errors import UsageError
from nmt.files import write_file

if TYPE_CHECKING:
    from nmt.recipe.tasks.task import EvaluationReport

EXAMPLES = 5


def run(
    words: RecipeWords,
    output: RunOutput = None,
    log_to: LogTo = None,
    change: Change = None,
    tune: Annotated[bool, typer.Option("--tune", help="Run `nmt tune --write` before the test.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Train a recipe (or resume its run), and test its best checkpoint.

    When the run is complete, the mean of its last checkpoints (training.average)
    takes the place of the best one if it validates better. A translator
    translates its test set into test.hyp of the run directory, and its scores are
    written to scores.json. A language model reports the perplexity of its test
    text, as `nmt perplexity` does.
    """
    from nmt.recipe.training import find_task

    recipe, directory = read_training(words, output, change)
    if tune and recipe.task != "translation":
        raise UsageError("--tune is for translators, and this is the recipe of a language model: remove it")
    task = find_task(recipe)
    task.check_test_data()  # a broken test set is reported before hours of training, not after
    if run_training(recipe, directory, log_to, change, average=True):
        if tune:
            _tune(directory)
        report = task.test(directory)
        if report.scores:
            write_file(directory / "scores.json", (to_json(report.scores, indent=2) + "\n").encode())
        typer.echo(format_report(report))
        typer.echo(f"\n{task.usage_hint.format(directory)}")


def _tune(directory: Path) -> None:
    """Choose the search of a run on its validation pairs, print and write it."""
    from nmt.lab.tune.tune_model import TuningRequest, tune_model, write_tuning

    with spinner("tuning the search") as show:
        result = tune_model(directory, TuningRequest(), show)
    write_tuning(directory, result.tuning)
    typer.echo("\n".join([*result.tuning.describe(), *filter(None, [result.problem])]))


def format_report(report: "EvaluationReport") -> str:
    """Format the results of a test, with some of the translations."""
    lines = [report.data] if report.data else []
    count = min(EXAMPLES, len(report.texts))
    if count:
        lines.append(f"\n{count} of {len(report.texts):,} test translations:\n")
    for index in (i * len(report.texts) // count for i in range(count)):
        rows = report.texts[index].items()
        lines.append(format_table(rows, align="ll", widths=(12,), indent=2, width=UNLIMITED) + "\n")
    if report.scores:
        scores = [[score.name, f"{score.value:.2f}", f"  {score.signature}"] for score in report.scores]
        lines.append(format_table(scores, align="lrl", widths=(6, 6), width=UNLIMITED))
    if report.measurements:
        lines.append(format_table(report.measurements, align="ll", widths=(16,), width=100))
    return "\n".join([*lines, *report.notes])
