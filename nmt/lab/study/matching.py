"""Models of another kind with as many parameters: what differs between them is then the kind alone."""

from collections.abc import Callable
from dataclasses import replace
from math import gcd

import torch

from nmt.errors import UsageError
from nmt.recipe.build.model import build_translator
from nmt.recipe.schema import TranslationRecipe

CLOSE, FAR = 0.005, 0.02
"""Shares of the parameters: up to the one the sizes keep their proportion, beyond the other none match."""


def parameters(recipe: TranslationRecipe) -> int:
    """How many numbers a translator learns if its vocabularies are as large as the recipe asks for.

    It is built without memory for its weights. Vocabularies that turn out smaller take as much from each
    model of the same embeddings.
    """
    with torch.device("meta"):
        model = build_translator(recipe, recipe.subwords.size, recipe.subwords.size)
    return sum(parameter.numel() for parameter in model.parameters())


def matched(recipe: TranslationRecipe, wanted: int) -> TranslationRecipe:
    """The recipe with the hidden sizes that come nearest to `wanted` parameters.

    They keep their proportion, but where that allows of coarse steps alone; then they keep nearly that.
    Raises UsageError where no sizes come near.
    """
    encoder, decoder = recipe.encoder.hidden, recipe.decoder.hidden
    heads = recipe.decoder.heads if recipe.decoder.attention == "multi-head" else 1
    unit = gcd(encoder, decoder // heads)

    def off(found: TranslationRecipe) -> float:
        return abs(parameters(found) - wanted) / wanted

    found = _nearest(lambda n: _with_hidden(recipe, encoder // unit * n, decoder // unit * n), wanted)
    if off(found) > CLOSE:
        step = heads / decoder
        rounded = _nearest(
            lambda n: _with_hidden(recipe, max(1, round(encoder * step * n)), heads * n), wanted
        )
        found = min(found, rounded, key=off)
    if off(found) > FAR:
        raise UsageError(
            f"match: no hidden sizes bring a model near {wanted:,} parameters: with {found.encoder.hidden} "
            f"and {found.decoder.hidden} it has {parameters(found):,}; change its layers or its embeddings"
        )
    return found


def _nearest(of: Callable[[int], TranslationRecipe], wanted: int) -> TranslationRecipe:
    """Of recipes that grow with a number from 1 on, the one with the parameters nearest to `wanted`."""
    low, high = 1, 2
    while parameters(of(high)) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(of(middle)) < wanted else (low, middle)
    return min(of(low), of(high), key=lambda found: abs(parameters(found) - wanted))


def _with_hidden(recipe: TranslationRecipe, encoder: int, decoder: int) -> TranslationRecipe:
    return replace(
        recipe,
        encoder=replace(recipe.encoder, hidden=encoder),
        decoder=replace(recipe.decoder, hidden=decoder),
    )
