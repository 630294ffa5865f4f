"""Gradients through time in the model of a recipe or of a run, and with other cells in its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nmt.data.batches import Batch, Plan
from nmt.errors import DataError
from nmt.lab.inspect.gradients import Clipping, Reach, clipping, reaches
from nmt.lab.inspect.inspect_model import stored
from nmt.model.encoder import NoEncoder
from nmt.model.translator import Translator
from nmt.recipe import custom_cells as own_cells
from nmt.recipe.artifact import LanguageModel, Loaded, load
from nmt.recipe.build import training as experiment
from nmt.recipe.build.model import build_language_model, build_translator
from nmt.recipe.prepare_data import Pairs, find
from nmt.recipe.schema import AnyRecipe, TextRecipe
from nmt.recipe.tasks import language_model
from nmt.training.distributed import ALONE
from nmt.training.settings import Epochs
from nmt.training.snapshot import seed_generators

COMPARED = ("rnn", "lstm", "gru")
"""Cells whose gradients are shown beside those of the recipe."""
BATCHES, SENTENCES = 8, 4
"""Batches whose weights' gradients are looked at, and how many sentences of each send theirs through time."""


class System(NamedTuple):
    """A model, and what comes back through its cells."""

    name: str
    reaches: list[Reach]
    clipping: Clipping


def of_recipe(recipe: AnyRecipe, *, lags: int) -> Iterator[System]:
    """The recipe's model and others before they have learnt anything, on training batches."""
    with TemporaryDirectory() as folder:
        seed_generators(recipe.seed)
        task = experiment.prepared_task(recipe, Path(folder), ALONE)
        batches = _some(task.epochs)
        for name, model in _fresh(recipe, task.model):
            yield _system(name, model, batches, recipe, lags)


def of_run(run: Path, *, lags: int) -> Iterator[System]:
    """The trained model of a run, then it and others as they were before, on validation batches."""
    found = load(run)
    with _epochs(found) as epochs:
        batches = _some(epochs)
        yield _system(f"{_cells(found.recipe)}, trained", found.model, batches, found.recipe, lags)
        for name, model in _fresh(found.recipe, found.model):
            yield _system(name, model, batches, found.recipe, lags)


@contextmanager
def _epochs(found: Loaded | LanguageModel) -> Iterator[Epochs]:
    """The validation texts in batches like those of training."""
    recipe = found.recipe
    with TemporaryDirectory() as folder:
        if isinstance(found, Loaded):
            plan = Plan(recipe.training.batch.by, recipe.training.batch.size, recipe.seed)
            yield Pairs(stored(found, find(recipe, "valid"), Path(folder)), plan)
        else:
            file, corpus = Path(folder) / "text", find(recipe, "valid")
            store = language_model.stored(found.recipe, file, corpus, found.vocabulary)
            yield language_model.epochs(found.recipe, store)


def _some(epochs: Epochs) -> list[Batch]:
    batches = list(islice(epochs.batches(0, 0), BATCHES))
    if not batches:
        raise DataError("there is no text to measure gradients on")
    return batches


def _fresh(recipe: AnyRecipe, like: Translator) -> Iterator[tuple[str, Translator]]:
    """Models with fresh weights, of the sizes of one: the recipe's own, and those with other cells."""
    yield f"{_cells(recipe)} at initialisation", _built(recipe, like)
    for cell in COMPARED:
        if any(side.cell != cell for side in own_cells.stacks(recipe).values()):
            yield f"{cell} at initialisation", _built(_with_cell(recipe, cell), like)


def _cells(recipe: AnyRecipe) -> str:
    """The cells of a recipe, each once."""
    sides = [side.cell for side in own_cells.stacks(recipe).values()]
    names = [name for side in sides for name in ([side] if isinstance(side, str) else side)]
    return ", ".join(dict.fromkeys(name.rpartition(":")[2] for name in names))


def _with_cell(recipe: AnyRecipe, cell: str) -> AnyRecipe:
    """The recipe with one cell everywhere; biases of gates are the cell's own."""
    sides = {
        name: side.model_copy(update={"cell": cell, "gate_bias": {}})
        for name, side in own_cells.stacks(recipe).items()
    }
    return recipe.model_copy(update=sides)


def _built(recipe: AnyRecipe, like: Translator) -> Translator:
    seed_generators(recipe.seed)
    pieces = like.decoder.embedding.num_embeddings
    if isinstance(recipe, TextRecipe):
        return build_language_model(recipe, pieces)
    assert not isinstance(like.encoder, NoEncoder)
    return build_translator(recipe, like.encoder.embedding.num_embeddings, pieces)


def _system(name: str, model: Translator, batches: list[Batch], recipe: AnyRecipe, lags: int) -> System:
    parts = [batch.part(slice(SENTENCES)) for batch in batches]
    return System(name, reaches(model, parts, lags=lags), clipping(model, batches, recipe.training.clip_norm))
