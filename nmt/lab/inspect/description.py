"""Description of a model on disk: kind, weights, sizes, search and estimate of quality."""

from math import prod
from pathlib import Path

from nmt.evaluation.tuning import BeamAndPenalty, Tuning, read_tuning
from nmt.export.directory import CONFIG, ExportConfig, is_exported, load_export
from nmt.recipe.artifact import ModelCard, find_trained, list_averaged
from nmt.recipe.model_card import find_languages
from nmt.recipe.prepare_data import load_vocabularies
from nmt.recipe.reader import CARD
from nmt.recipe.schema import TranslationRecipe, find_stack_settings
from nmt.untrusted_files import read_card, read_tensor_header

Description = dict[str, str]


def describe_model(path: Path) -> Description:
    """Describe a run, a checkpoint, a model directory or an export, after checking its checksums."""
    if is_exported(path):
        return _describe_export(path)
    trained = find_trained(path)
    recipe, folder = trained.recipe, trained.weights.parent
    is_card = (folder / CARD).is_file()
    averaged = read_card(folder / CARD, ModelCard).averaged if is_card else list_averaged(folder)
    tensors = read_tensor_header(trained.weights).tensors.values()
    vocabularies = load_vocabularies(trained.folder) if isinstance(recipe, TranslationRecipe) else ()
    facts = {
        "kind": " ".join([recipe.kind, "-".join(find_languages(recipe, None))]).strip(),
        "weights": f"{'the mean of ' * (len(averaged) > 1)}{', '.join(averaged)}",
        "sha256": trained.sha256,
        "parameters": f"{sum(prod(entry.shape) for entry in tensors):,}",
        "vocabulary": " and ".join(f"{len(vocabulary):,}" for vocabulary in vocabularies) + " tokens",
    }
    for name, stack in find_stack_settings(recipe).items():
        cells = stack.cell if isinstance(stack.cell, str) else ", ".join(stack.cell)
        facts[name] = f"{cells}, {stack.layers} x {stack.hidden}"
    if isinstance(recipe, TranslationRecipe):
        facts["attention"] = recipe.decoder.attention
        setting = BeamAndPenalty(recipe.search.beam, recipe.search.length_penalty)
        facts |= _describe_tuning(trained.tuning, setting)
    return {name: value for name, value in facts.items() if value.strip() != "tokens"}


def _describe_export(path: Path) -> Description:
    job, config = load_export(path), read_card(path / CONFIG, ExportConfig)
    setting = BeamAndPenalty(job.options.beam, job.options.length_penalty)
    return {
        "kind": f"export of a translator {'-'.join(config.languages)}{', 8-bit weights' * config.int8}",
        "parameters": f"{config.parameters:,}",
        "vocabulary": " and ".join(f"{size:,}" for size in config.pieces) + " tokens",
        "attention": "yes" if job.attends else "none",
        **_describe_tuning(read_tuning(path) if job.estimator is not None else None, setting),
    }


def _describe_tuning(tuning: Tuning | None, setting: BeamAndPenalty) -> Description:
    """Describe the search, and what was tuned if it is this search that was chosen."""
    if tuning is None or tuning.search.chosen != setting:
        return {"search": f"{setting}, of the recipe", "quality": "not calibrated: see `nmt tune`"}
    sentences = {name: text for name, _, text in (one.partition(": ") for one in tuning.describe())}
    return {"search": sentences["search"], "quality": sentences.get("quality", "not calibrated")}
