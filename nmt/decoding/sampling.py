"""Outputs drawn from what the model holds probable, the same whatever is translated beside them."""

import numpy as np

from nmt.decoding.options import Options, Request
from nmt.decoding.rows import Chosen, Doubles


def uniforms(request: Request, limit: int, options: Options) -> Doubles:
    """A number in [0, 1) for each sample and position; they follow from the seed and the request alone."""
    seed = [options.seed, *(request.draws or [request.number])]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).random((options.n_best, limit))


def draw(values: Doubles, uniform: Doubles, options: Options) -> Chosen:
    """A continuation for each row, from log probabilities [R, C] and a number [R] in [0, 1).

    With top_k or top_p the values are best first. The temperature comes before both, as in Holtzman et al.
    """
    rows = np.flatnonzero(values.max(axis=1) > -np.inf)
    values = values[rows]
    weights = np.exp((values - values.max(axis=1, keepdims=True)) / options.temperature)
    if options.top_k:
        weights[np.cumsum(weights > 0, axis=1) > options.top_k] = 0.0
    below = np.cumsum(weights, axis=1)
    if options.top_p < 1:
        weights[below - weights >= options.top_p * below[:, -1:]] = 0.0
        below = np.cumsum(weights, axis=1)
    whole = below[:, -1]
    target = np.minimum(uniform[rows] * whole, np.nextafter(whole, 0.0))
    return Chosen(rows, np.argmax(below > target[:, None], axis=1))
