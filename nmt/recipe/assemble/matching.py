"""Models of another kind with as many parameters: what differs between them is then the kind alone."""

from math import gcd

import torch

from nmt.recipe.assemble.model import build_translator
from nmt.recipe.schema import Recipe


def parameters(recipe: Recipe) -> int:
    """How many numbers a translator learns if its vocabularies are as large as the recipe asks for.

    It is built without memory for its weights. Vocabularies that turn out smaller take as much from each
    model of the same embeddings.
    """
    with torch.device("meta"):
        model = build_translator(recipe, recipe.subwords.size, recipe.subwords.size)
    return sum(parameter.numel() for parameter in model.parameters())


def matched(recipe: Recipe, wanted: int) -> Recipe:
    """The recipe with the hidden sizes, in their proportion, that come nearest to `wanted` parameters."""
    encoder, decoder = recipe.encoder.hidden, recipe.decoder.hidden
    heads = recipe.decoder.heads if recipe.decoder.attention == "multi-head" else 1
    unit = gcd(encoder, decoder // heads)

    def of(count: int) -> Recipe:
        return _with_hidden(recipe, encoder // unit * count, decoder // unit * count)

    low, high = 1, 2
    while parameters(of(high)) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(of(middle)) < wanted else (low, middle)
    return min(of(low), of(high), key=lambda found: abs(parameters(found) - wanted))


def _with_hidden(recipe: Recipe, encoder: int, decoder: int) -> Recipe:
    tree = recipe.model_dump()
    tree["encoder"]["hidden"], tree["decoder"]["hidden"] = encoder, decoder
    return Recipe.model_validate(tree)
