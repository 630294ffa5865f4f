"""Inspection of a model on disk, on the pairs or the text of its recipe or on others."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from nmt.data.batches import Batch, BatchPlan, read_validation_batches
from nmt.data.pair_rules import ANY_LENGTH
from nmt.data.pairs import Corpus, find_corpus, find_text
from nmt.data.sources import find_part
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.errors import DataError
from nmt.lab.inspect.exposure import Exposure, measure_exposure
from nmt.lab.inspect.gradients import (
    ClippingStatistics,
    GradientProfile,
    clipping_statistics,
    gradient_profiles,
)
from nmt.lab.inspect.sentence import SentenceTrace, trace_sentence
from nmt.model.encoder import NoEncoder
from nmt.model.translator import Translator
from nmt.recipe import custom_cells as own_cells
from nmt.recipe.artifact import LanguageModel, Loaded, load, load_translator
from nmt.recipe.build import training as experiment
from nmt.recipe.build.model import build_language_model, build_translator
from nmt.recipe.build.translation_job import job
from nmt.recipe.prepare_data import Pairs
from nmt.recipe.schema import LanguageModelRecipe, Recipe
from nmt.recipe.tasks import language_model
from nmt.training.distributed import SINGLE_PROCESS
from nmt.training.gate_logging import CellStatistics, gate_statistics
from nmt.training.settings import EpochBatches
from nmt.training.snapshot import seed_generators

BATCH = 64
COMPARED_CELLS = ("rnn", "lstm", "gru")
"""Cells whose gradients are shown next to those of the recipe."""
GRADIENT_BATCHES, GRADIENT_SENTENCES = 8, 4
"""Batches whose weights' gradients are measured, and sentences of each whose gradients through time are."""


class ModelGradients(NamedTuple):
    """A model and the gradients of its cells and weights."""

    name: str
    profiles: list[GradientProfile]
    clipping: ClippingStatistics


def inspect_exposure(model: Path, data: str | None, *, positions: int) -> list[Exposure]:
    """Measure the exposure of the translator in `model` on the pairs `data`, else on its validation pairs."""
    loaded = load_translator(model)
    with _batches(loaded, data) as batches:
        return measure_exposure(loaded.model, batches, positions=positions)


def inspect_gates(model: Path, data: str | None, *, positions: int) -> list[CellStatistics]:
    """Measure the gates of `model` on the pairs or the text `data`, else on its validation data."""
    loaded = load(model)
    with _batches(loaded, data) as batches:
        return gate_statistics(loaded.model, batches, positions=positions)


def inspect_sentence(model: Path, text: str) -> SentenceTrace:
    """Trace the translation of a sentence by the translator in `model`."""
    loaded = load_translator(model)
    return trace_sentence(loaded.model, job(loaded), text)


def inspect_recipe_gradients(recipe: Recipe, *, lags: int) -> Iterator[ModelGradients]:
    """Measure the gradients of the recipe's model and others before training, on training batches."""
    with TemporaryDirectory() as folder:
        seed_generators(recipe.seed)
        task = experiment.prepared_task(recipe, Path(folder), SINGLE_PROCESS)
        batches = _first_batches(task.epochs)
        for name, model in _untrained(recipe, task.model):
            yield _gradients(name, model, batches, recipe, lags)


def inspect_run_gradients(run: Path, *, lags: int) -> Iterator[ModelGradients]:
    """Measure a run's trained model, then it and others before training, on validation batches."""
    loaded = load(run)
    with TemporaryDirectory() as folder:
        batches = _first_batches(_epochs(loaded, Path(folder)))
        yield _gradients(f"{_cells(loaded.recipe)}, trained", loaded.model, batches, loaded.recipe, lags)
        for name, model in _untrained(loaded.recipe, loaded.model):
            yield _gradients(name, model, batches, loaded.recipe, lags)


@contextmanager
def _batches(loaded: Loaded | LanguageModel, data: str | None) -> Iterator[Iterable[Batch]]:
    """All of `data`, once."""
    corpus, recipe = _corpus(loaded.recipe, data), loaded.recipe
    with TemporaryDirectory() as folder:
        if isinstance(loaded, LanguageModel):
            text = language_model.stored(loaded.recipe, Path(folder) / "text", corpus, loaded.vocabulary)
            yield language_model.read(loaded.recipe, text, language_model.STREAMS)
        else:
            pairs = _store(loaded, corpus, Path(folder))
            yield read_validation_batches(pairs, BatchPlan("sentences", BATCH, recipe.seed))


def _epochs(loaded: Loaded | LanguageModel, folder: Path) -> EpochBatches:
    """The validation data in batches like those of training."""
    recipe, corpus = loaded.recipe, find_part(loaded.recipe.data, "valid")
    if isinstance(loaded, Loaded):
        plan = BatchPlan(recipe.training.batch.by, recipe.training.batch.size, recipe.seed)
        return Pairs(_store(loaded, corpus, folder), plan)
    text = language_model.stored(loaded.recipe, folder / "text", corpus, loaded.vocabulary)
    return language_model.epochs(loaded.recipe, text)


def _store(loaded: Loaded, corpus: Corpus, folder: Path) -> TokenStore:
    """All pairs of a corpus, encoded by a translator's vocabularies, whatever their length."""
    return prepare_store(folder / "pairs", corpus, src=loaded.source, tgt=loaded.target, keep=ANY_LENGTH)


def _corpus(recipe: Recipe, data: str | None) -> Corpus:
    if data is None:
        return find_part(recipe.data, "valid")
    if isinstance(recipe, LanguageModelRecipe):
        return find_text(data, root=Path())
    return find_corpus(data, root=Path(), src=recipe.data.src, tgt=recipe.data.tgt)


def _first_batches(epochs: EpochBatches) -> list[Batch]:
    batches = list(islice(epochs.batches(0, 0), GRADIENT_BATCHES))
    if not batches:
        raise DataError("there is no text to measure gradients on")
    return batches


def _untrained(recipe: Recipe, like: Translator) -> Iterator[tuple[str, Translator]]:
    """Models with initial weights and the sizes of `like`: with the recipe's cells, and with others."""
    yield f"{_cells(recipe)} at initialisation", _build(recipe, like)
    for cell in COMPARED_CELLS:
        if any(side.cell != cell for side in own_cells.stacks(recipe).values()):
            yield f"{cell} at initialisation", _build(_with_cell(recipe, cell), like)


def _cells(recipe: Recipe) -> str:
    """The names of a recipe's cells, each once."""
    names = [cell for side in own_cells.stacks(recipe).values() for cell in side.cells]
    return ", ".join(dict.fromkeys(name.rpartition(":")[2] for name in names))


def _with_cell(recipe: Recipe, cell: str) -> Recipe:
    """The recipe with one cell everywhere, and that cell's default gate biases."""
    stacks = own_cells.stacks(recipe).items()
    sides: dict[str, Any] = {name: replace(side, cell=cell, gate_bias={}) for name, side in stacks}
    return replace(recipe, **sides)


def _build(recipe: Recipe, like: Translator) -> Translator:
    seed_generators(recipe.seed)
    size = like.decoder.embedding.num_embeddings
    if isinstance(recipe, LanguageModelRecipe):
        return build_language_model(recipe, size)
    assert not isinstance(like.encoder, NoEncoder)
    return build_translator(recipe, like.encoder.embedding.num_embeddings, size)


def _gradients(
    name: str, model: Translator, batches: list[Batch], recipe: Recipe, lags: int
) -> ModelGradients:
    parts = [batch.part(slice(GRADIENT_SENTENCES)) for batch in batches]
    profiles = gradient_profiles(model, parts, lags=lags)
    return ModelGradients(name, profiles, clipping_statistics(model, batches, recipe.training.clip_norm))
