"""Settings that are `auto` in a recipe: chosen when a run starts, written into its recipe, then fixed."""

from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice

from nmt.data.pairs import read_pairs
from nmt.data.sources import PairSettings, find_training_corpora
from nmt.errors import DataError, UsageError
from nmt.evaluation.tokenizers import AUTO, SAMPLED, choose_tokenizer
from nmt.recipe.schema import Recipe, RecipeT, TranslationRecipe, select_task
from nmt.recipe.sections import find_conflicts
from nmt.recipe.yaml import YamlNode
from nmt.training.distributed import read_launch_info
from nmt.training.hardware import find_automatic_precision, select_device


def fix_automatic_settings(recipe: RecipeT, begun: Recipe | None = None) -> RecipeT:
    """Return the recipe with a value for every `auto`: that of the run `begun`, or else the one that fits.

    Raises UsageError if such a value is in conflict with another setting.
    """
    if recipe.training.precision == AUTO:
        precision = begun.training.precision if begun else find_precision(recipe)
        recipe = replace(recipe, training=replace(recipe.training, precision=precision))  # type: ignore[arg-type]
    if not isinstance(recipe, TranslationRecipe):
        return recipe
    before = begun and select_task(begun, TranslationRecipe)
    evaluation, training = recipe.evaluation, recipe.training
    if evaluation.tokenize == AUTO:
        tokenize = before.evaluation.tokenize if before else find_tokenizer(recipe.data)
        evaluation = replace(evaluation, tokenize=tokenize)
    if training.validation.metric == AUTO:
        metric = (before or recipe).training.validation.deciding_metric
        training = replace(training, validation=replace(training.validation, metric=metric))
    fixed = replace(recipe, evaluation=evaluation, training=training)
    if conflicts := find_conflicts(fixed):
        raise UsageError("\n".join(f"{'.'.join(map(str, path))}: {reason}" for path, reason in conflicts))
    return fixed


def find_precision(recipe: Recipe) -> str:
    """Return the precision that `auto` means on this machine."""
    device = select_device(recipe.training.device, read_launch_info())
    return find_automatic_precision(device, recipe.engine)


def find_tokenizer(data: PairSettings) -> str:
    """Return BLEU's tokenizer for the target language of pairs, or for the script of the training text."""
    with suppress(DataError, UsageError):  # reported by those that read all of the data
        corpora = find_training_corpora(data)
        share = max(SAMPLED // len(corpora), 1)
        lines = chain.from_iterable(
            (target for _, target in islice(read_pairs(corpus), share)) for corpus in corpora
        )
        return choose_tokenizer(data.tgt, lines)
    return choose_tokenizer(data.tgt, ())


def complete_tree(tree: YamlNode) -> YamlNode:
    """Return a recipe's tree with the settings whose default differs from what version 0.1 did."""
    evaluation = tree.value.get("evaluation")  # always written, for a translator
    if evaluation and isinstance(evaluation.value, dict):
        tokenize = evaluation.value.setdefault("tokenize", YamlNode("13a", evaluation.position))
        if tokenize.value == AUTO:  # never written for a run
            evaluation.value["tokenize"] = tokenize._replace(value="13a")
    return tree
