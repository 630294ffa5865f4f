"""Looking into a model on disk, on the pairs that its recipe names or on others."""

from pathlib import Path
from tempfile import TemporaryDirectory

from nmt.data.batches import Plan, validation_batches
from nmt.data.building import prepare_store
from nmt.data.filters import LengthFilter
from nmt.data.pairs import Corpus, find_corpus
from nmt.data.store import TokenStore
from nmt.insight.exposure import Exposure
from nmt.insight.exposure import exposure as measured
from nmt.recipe.assemble.artifact import Loaded, load_translator
from nmt.recipe.assemble.material import find
from nmt.recipe.schema import Recipe

BATCH = 64


def exposure(model: Path, data: str | None, *, positions: int) -> list[Exposure]:
    """The exposure of the translator in `model` on the pairs `data`, or on its validation pairs."""
    found = load_translator(model)
    with TemporaryDirectory() as folder:
        store = stored(found, _corpus(found.recipe, data), Path(folder))
        batches = validation_batches(store, Plan("sentences", BATCH, found.recipe.seed))
        return measured(found.model, batches, positions=positions)


def stored(found: Loaded, corpus: Corpus, folder: Path) -> TokenStore:
    """All pairs of a corpus in the pieces of a translator, none left out for its length."""
    keep, path = LengthFilter(1, 10**9, None), folder / "pairs.safetensors"
    return prepare_store(path, corpus, src=found.source, tgt=found.target, keep=keep)


def _corpus(recipe: Recipe, data: str | None) -> Corpus:
    if data is None:
        return find(recipe, "valid")
    return find_corpus(data, root=Path(), src=recipe.data.src, tgt=recipe.data.tgt)
