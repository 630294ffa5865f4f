"""Looking into a model on disk, on the pairs or the text that its recipe names or on others."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nmt.data.batches import Batch, Plan, validation_batches
from nmt.data.pair_rules import ANY_LENGTH
from nmt.data.pairs import Corpus, find_corpus, find_text
from nmt.data.store.builder import prepare_store
from nmt.data.store.store import TokenStore
from nmt.lab.inspect.exposure import Exposure
from nmt.lab.inspect.exposure import exposure as measured_exposure
from nmt.lab.inspect.sentence import Sentence
from nmt.lab.inspect.sentence import sentence as looked_at
from nmt.recipe.artifact import LanguageModel, Loaded, load, load_translator
from nmt.recipe.build.translation_job import job
from nmt.recipe.prepare_data import find
from nmt.recipe.schema import AnyRecipe, TextRecipe
from nmt.recipe.tasks import language_model
from nmt.training.gate_statistics import CellGates
from nmt.training.gate_statistics import gates as measured_gates

BATCH = 64


def exposure(model: Path, data: str | None, *, positions: int) -> list[Exposure]:
    """The exposure of the translator in `model` on the pairs `data`, or on its validation pairs."""
    found = load_translator(model)
    with _batches(found, data) as batches:
        return measured_exposure(found.model, batches, positions=positions)


def gates(model: Path, data: str | None, *, positions: int) -> list[CellGates]:
    """What the gates of `model` do on the pairs or the text `data`, or on its validation data."""
    found = load(model)
    with _batches(found, data) as batches:
        return measured_gates(found.model, batches, positions=positions)


@contextmanager
def _batches(found: Loaded | LanguageModel, data: str | None) -> Iterator[Iterable[Batch]]:
    """Everything in `data`, once."""
    corpus, recipe = _corpus(found.recipe, data), found.recipe
    with TemporaryDirectory() as folder:
        if isinstance(found, LanguageModel):
            text = language_model.stored(found.recipe, Path(folder) / "text", corpus, found.vocabulary)
            yield language_model.read(found.recipe, text, language_model.STREAMS)
        else:
            pairs = stored(found, corpus, Path(folder))
            yield validation_batches(pairs, Plan("sentences", BATCH, recipe.seed))


def stored(found: Loaded, corpus: Corpus, folder: Path) -> TokenStore:
    """All pairs of a corpus in the pieces of a translator, none left out for its length."""
    return prepare_store(folder / "pairs", corpus, src=found.source, tgt=found.target, keep=ANY_LENGTH)


def _corpus(recipe: AnyRecipe, data: str | None) -> Corpus:
    if data is None:
        return find(recipe, "valid")
    if isinstance(recipe, TextRecipe):
        return find_text(data, root=Path())
    return find_corpus(data, root=Path(), src=recipe.data.src, tgt=recipe.data.tgt)


def sentence(model: Path, text: str) -> Sentence:
    """What the translator in `model` does with a sentence."""
    found = load_translator(model)
    return looked_at(found.model, job(found), text)
