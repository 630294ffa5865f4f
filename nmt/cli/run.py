"""`nmt run`: train and test a recipe."""

from typing import TYPE_CHECKING

import typer

from nmt.cli.options import RecipeWords, TrustCode
from nmt.cli.perplexity import GENERATED, perplexity
from nmt.cli.terminal import UNLIMITED, format_table, to_json
from nmt.cli.train import LogTo, RunOutput, read_training, run_training
from nmt.files import write_file

if TYPE_CHECKING:
    from nmt.recipe.tasks.translation import ScoredTranslations

EXAMPLES = 5


def run(
    words: RecipeWords, output: RunOutput = None, log_to: LogTo = None, trust_code: TrustCode = False
) -> None:
    """Train a recipe (or resume its run), and test its best checkpoint.

    A translator translates its test set into test.hyp of the run directory, and
    its scores are written to scores.json. A language model reports the
    perplexity of its test text, as `nmt perplexity` does.
    """
    from nmt.data.sources import find_part
    from nmt.recipe.schema import TranslationRecipe
    from nmt.recipe.tasks.translation import read_test_pairs, translate_test_set

    recipe, directory = read_training(words, output)
    # A broken test set is reported before hours of training, not after.
    if not isinstance(recipe, TranslationRecipe):
        [text] = find_part(recipe.data, "test").files
        if run_training(recipe, directory, log_to):
            perplexity(directory, text, GENERATED, recipe.seed)
            typer.echo(f"\nGenerate text:  nmt sample {directory}")
        return
    read_test_pairs(recipe)
    if run_training(recipe, directory, log_to):
        tested = translate_test_set(directory)
        write_file(directory / "scores.json", (to_json(tested.scores, indent=2) + "\n").encode())
        typer.echo(_report(tested))
        typer.echo(f"\nTranslate with it:  echo '...' | nmt translate {directory}")


def _report(tested: "ScoredTranslations") -> str:
    """Format some translations of the test set, and its scores."""
    count = min(EXAMPLES, len(tested.hyps))
    lines = [f"\n{count} of {len(tested.hyps):,} test translations:\n"]
    texts = {"source": tested.sources, "reference": tested.refs, "translation": tested.hyps}
    for index in (i * len(tested.hyps) // count for i in range(count)):
        rows = [[name, lines_of[index]] for name, lines_of in texts.items()]
        lines.append(format_table(rows, align="ll", widths=(12,), indent=2, width=UNLIMITED) + "\n")
    scores = [[score.name, f"{score.value:.2f}", f"  {score.signature}"] for score in tested.scores]
    return "\n".join([*lines, format_table(scores, align="lrl", widths=(6, 6), width=UNLIMITED)])
