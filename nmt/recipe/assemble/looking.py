"""Looking into a model on disk, on the pairs that its recipe names or on others."""

from pathlib import Path
from tempfile import TemporaryDirectory

from nmt.data.batches import Plan, validation_batches
from nmt.data.building import prepare_store
from nmt.data.filters import LengthFilter
from nmt.data.pairs import Corpus, find_corpus
from nmt.insight.exposure import Exposure
from nmt.insight.exposure import exposure as measured
from nmt.insight.sentence import Sentence
from nmt.insight.sentence import sentence as looked_at
from nmt.recipe.assemble.artifact import load_translator
from nmt.recipe.assemble.material import find
from nmt.recipe.assemble.translating import job
from nmt.recipe.schema import Recipe

BATCH = 64


def exposure(model: Path, data: str | None, *, positions: int) -> list[Exposure]:
    """The exposure of the translator in `model` on the pairs `data`, or on its validation pairs."""
    found = load_translator(model)
    corpus = _corpus(found.recipe, data)
    with TemporaryDirectory() as folder:
        store = prepare_store(
            Path(folder) / "pairs.safetensors",
            corpus,
            src=found.source,
            tgt=found.target,
            keep=LengthFilter(1, 10**9, None),
        )
        batches = validation_batches(store, Plan("sentences", BATCH, found.recipe.seed))
        return measured(found.model, batches, positions=positions)


def _corpus(recipe: Recipe, data: str | None) -> Corpus:
    if data is None:
        return find(recipe, "valid")
    return find_corpus(data, root=Path(), src=recipe.data.src, tgt=recipe.data.tgt)


def sentence(model: Path, text: str) -> Sentence:
    """What the translator in `model` does with a sentence."""
    found = load_translator(model)
    return looked_at(found.model, job(found), text)
