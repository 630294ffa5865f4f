"""A look at the gates with every validation, where the recipe asks for it."""

from itertools import islice

from nmt.data.batches import Batch, Plan, validation_batches
from nmt.data.store.store import TokenStore
from nmt.data.streams import Cut, chunks
from nmt.model.translator import Translator
from nmt.recipe.schema import AnyRecipe, TextRecipe
from nmt.training.distributed import Processes
from nmt.training.gate_statistics import gates, numbers
from nmt.training.settings import Validate
from nmt.training.validation import Validation

FEW, LONG = 8, 32
"""Sentences that are looked at, or places of a text that is read in chunks, and so many pieces of each."""


def observed(validate: Validate, recipe: AnyRecipe, judged: TokenStore, processes: Processes) -> Validate:
    """A validation that says, too, what the gates do on a few sentences of those that are judged."""
    if not recipe.training.validation.gates or not processes.first:
        return validate
    batch = _few(recipe, judged)

    def both(model: Translator, name: str) -> Validation:
        found = numbers(gates(model, [batch], positions=1))
        return validate(model, name)._replace(gates=found)

    return both


def _few(recipe: AnyRecipe, judged: TokenStore) -> Batch:
    """Sentences of middle length, or the first chunk of some streams."""
    if isinstance(recipe, TextRecipe) and recipe.training.chunk:
        return next(chunks(judged, Cut(FEW, LONG)))
    few = validation_batches(judged, Plan("sentences", FEW, recipe.seed))
    return next(islice(few, len(judged) // (2 * FEW), None))
