"""Inspection of a model on disk, on the pairs or the text of its recipe or on others.

A picture that the result will be drawn in (`plot`) must not be one of the files that are read.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from nmt.data.batches import Batch
from nmt.data.pairs import Corpus
from nmt.data.sources import find_part
from nmt.errors import DataError
from nmt.lab.inspect.exposure import Exposure, measure_exposure
from nmt.lab.inspect.gradients import (
    ClippingStatistics,
    GradientProfile,
    measure_clipping,
    measure_gradient_profiles,
)
from nmt.lab.inspect.sentence import SentenceTrace, trace_sentence
from nmt.model.encoder import NoEncoder
from nmt.model.translator import TranslationModel
from nmt.outputs import check_output_files
from nmt.recipe.artifact import LoadedModel
from nmt.recipe.run_directory import find_inputs
from nmt.recipe.schema import Recipe, find_stack_settings
from nmt.recipe.tasks.translation import build_job, load_translator
from nmt.recipe.training import find_task, load_model
from nmt.training.distributed import SINGLE_PROCESS
from nmt.training.gate_logging import CellStatistics, measure_gates
from nmt.training.hardware import seed_generators
from nmt.training.loop import EpochBatches

COMPARED_CELLS = ("rnn", "lstm", "gru")  # whose gradients are shown next to those of the recipe
GRADIENT_BATCHES, GRADIENT_SENTENCES = 8, 4
"""Batches whose weights' gradients are measured, and sentences of each whose gradients through time are."""


class ModelGradients(NamedTuple):
    """A model and the gradients of its cells and weights."""

    name: str
    profiles: list[GradientProfile]
    clipping: ClippingStatistics


def inspect_exposure(
    model: Path, data: str | None, *, positions: int, plot: Path | None = None
) -> list[Exposure]:
    """Measure the exposure of the translator in `model` on the pairs `data`, else on its validation pairs."""
    loaded = load_translator(model)
    with _open_batches(loaded, data, plot) as batches:
        return measure_exposure(loaded.model, batches, positions=positions)


def inspect_gates(
    model: Path, data: str | None, *, positions: int, plot: Path | None = None
) -> list[CellStatistics]:
    """Measure the gates of `model` on the pairs or the text `data`, else on its validation data."""
    loaded = load_model(model)
    with _open_batches(loaded, data, plot) as batches:
        return measure_gates(loaded.model, batches, positions=positions)


def inspect_sentence(model: Path, text: str) -> SentenceTrace:
    """Trace the translation of a sentence by the translator in `model`."""
    loaded = load_translator(model)
    return trace_sentence(loaded.model, build_job(loaded), text)


def inspect_recipe_gradients(
    recipe: Recipe, *, lags: int, plot: Path | None = None
) -> Iterator[ModelGradients]:
    """Measure the gradients of the recipe's model and others before training, on training batches."""
    _check_plot(plot, find_inputs(recipe))
    with TemporaryDirectory() as folder:
        seed_generators(recipe.seed)
        task = find_task(recipe).prepare(Path(folder), SINGLE_PROCESS)
        yield from _measure_models(recipe, _build_untrained(recipe, task.model), task.epochs, lags)


def inspect_run_gradients(run: Path, *, lags: int, plot: Path | None = None) -> Iterator[ModelGradients]:
    """Measure a run's trained model, then it and others before training, on validation batches."""
    loaded = load_model(run)
    recipe, task = loaded.recipe, find_task(loaded.recipe)
    trained = [(f"{_name_cells(recipe)}, trained", loaded.model)]
    with TemporaryDirectory() as folder:
        corpus = _find_validation_data(loaded)
        _check_plot(plot, corpus.all_files)
        epochs = task.epoch_batches(task.encode_corpus(loaded.vocabularies, corpus, Path(folder) / "data"))
        yield from _measure_models(
            recipe, chain(trained, _build_untrained(recipe, loaded.model)), epochs, lags
        )


@contextmanager
def _open_batches(loaded: LoadedModel, data: str | None, plot: Path | None) -> Iterator[Iterable[Batch]]:
    """Yield an iterator over `data` or, without it, the validation data."""
    task = find_task(loaded.recipe)
    corpus = _find_validation_data(loaded) if data is None else task.find_corpus(data)
    _check_plot(plot, corpus.all_files)
    with TemporaryDirectory() as folder:
        yield task.read_once(task.encode_corpus(loaded.vocabularies, corpus, Path(folder) / "data"))


def _check_plot(plot: Path | None, inputs: Iterable[Path]) -> None:
    if plot is not None:
        check_output_files({"--plot": plot}, inputs)


def _find_validation_data(loaded: LoadedModel) -> Corpus:
    try:
        return find_part(loaded.recipe.data, "valid")
    except DataError as error:
        raise DataError(
            f"{error}\na model directory has no data: give some with --data, or inspect its run"
        ) from None


def _build_untrained(recipe: Recipe, like: TranslationModel) -> Iterator[tuple[str, TranslationModel]]:
    """Yield untrained models of the size of `like`: with the recipe's cells, and with others."""
    yield f"{_name_cells(recipe)} at initialisation", _build_model(recipe, like)
    stacks = find_stack_settings(recipe)
    for cell in COMPARED_CELLS:
        if any(side.cell != cell for side in stacks.values()):
            # The cell's default gate biases, too.
            sides: dict[str, Any] = {name: replace(s, cell=cell, gate_bias={}) for name, s in stacks.items()}
            yield f"{cell} at initialisation", _build_model(replace(recipe, **sides), like)


def _name_cells(recipe: Recipe) -> str:
    """Return the names of a recipe's cells, each once."""
    names = [cell for side in find_stack_settings(recipe).values() for cell in side.cells]
    return ", ".join(dict.fromkeys(name.rpartition(":")[2] for name in names))


def _build_model(recipe: Recipe, like: TranslationModel) -> TranslationModel:
    seed_generators(recipe.seed)
    sides = [side for side in (like.encoder, like.decoder) if not isinstance(side, NoEncoder)]
    return find_task(recipe).build_model([side.embedding.num_embeddings for side in sides])


def _measure_models(
    recipe: Recipe, models: Iterable[tuple[str, TranslationModel]], epochs: EpochBatches, lags: int
) -> Iterator[ModelGradients]:
    """Measure named models on the first batches of an epoch."""
    batches = list(islice(epochs.batches(0, 0), GRADIENT_BATCHES))
    if not batches:
        raise DataError("there is no text to measure gradients on")
    parts = [batch.select_rows(slice(GRADIENT_SENTENCES)) for batch in batches]
    for name, model in models:
        profiles = measure_gradient_profiles(model, parts, lags=lags)
        yield ModelGradients(name, profiles, measure_clipping(model, batches, recipe.training.clip_norm))
