"""Sampling from the model's distribution, independent of the rest of the batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.hypothesis import Selection, draw_uniforms
from nmt.decoding.model import Doubles, Floats, Ints, Model
from nmt.decoding.options import Options, Request


def sample_tokens(values: Doubles, uniforms: Doubles, options: Options) -> Selection:
    """Draw a continuation for each row, from log probabilities [R, C] and a number [R] in [0, 1).

    With top_k or top_p the values must be sorted, best first. The temperature is applied before both, as in
    Holtzman et al. (2020).
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
    total = below[:, -1]
    target = np.minimum(uniforms[rows] * total, np.nextafter(total, 0.0))
    return Selection(rows, np.argmax(below > target[:, None], axis=1))


EXCLUDED = [PAD, BOS, UNK]


class SampledTexts(NamedTuple):
    """Sampled texts as tokens [R, N], the prompt first, and the log probability of each token [R, N]."""

    tokens: Ints
    log_probs: Floats


def sample_texts(
    model: Model, options: Options, length: int, prompt: Sequence[int] = (), *, line_by_line: bool
) -> SampledTexts:
    """Sample `options.n_best` texts of `length` tokens after a prompt; the end of a line counts as one.

    With `line_by_line` each line starts from the initial state, otherwise from the last state. `pad`,
    `bos` and `unk` are never drawn. Log probabilities are the model's, before temperature, top_k and top_p.
    """
    count = options.n_best
    [no_source] = model.encode([[]])
    y, parents, state = np.full(count, BOS), np.full(count, -1), None
    uniforms = draw_uniforms(Request(0, ()), length, options)  # [R, length]
    tokens, log_probs = [], []
    for position in range(len(prompt) + length):
        step = model.step(y, state, parents, [no_source] * count)
        values, state = step.scores.all(), step.state
        if position < len(prompt):
            y = np.full(count, prompt[position])
        else:
            allowed = values.astype(np.float64)
            allowed[:, EXCLUDED] = -np.inf
            order = np.argsort(-allowed, axis=1, kind="stable")  # ties: the lower token first
            ranked = np.take_along_axis(allowed, order, 1)
            y = order[sample_tokens(ranked, uniforms[:, position - len(prompt)], options)]
        tokens.append(y)
        log_probs.append(values[np.arange(count), y])
        restart = line_by_line & (y == EOS)
        parents = np.where(restart, -1, np.arange(count))
        y = np.where(restart, BOS, y)
    return SampledTexts(np.stack(tokens, 1), np.stack(log_probs, 1))


def split_lines(tokens: Ints) -> list[list[int]]:
    """Split one text's tokens [N] at ends of lines; the last line may be incomplete."""
    lines: list[list[int]] = [[]]
    for token in tokens.tolist():
        if token == EOS:
            lines.append([])
        else:
            lines[-1].append(token)
    return lines
