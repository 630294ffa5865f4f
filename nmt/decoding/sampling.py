"""Outputs drawn from what the model holds probable, the same whatever is translated beside them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.beam_rows import Doubles, Selection
from nmt.decoding.hypothesis import draw_uniforms
from nmt.decoding.model import Floats, Ints, Model
from nmt.decoding.options import Options, Request


def sample_tokens(values: Doubles, uniform: Doubles, options: Options) -> Selection:
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
    return Selection(rows, np.argmax(below > target[:, None], axis=1))


NEVER = [PAD, BOS, UNK]


class SampledTexts(NamedTuple):
    """Texts as pieces [R, N], the prompt first, and the log probability of each at its place [R, N]."""

    pieces: Ints
    log_probs: Floats


def sample_texts(
    model: Model, options: Options, length: int, prompt: Sequence[int] = (), *, line_by_line: bool
) -> SampledTexts:
    """`options.n_best` texts of `length` drawn pieces after a prompt, a line's end counted as one.

    After the end of a line the next is begun, `line_by_line` from nothing, otherwise with all that was
    written in mind. `pad`, `bos` and `unk` are never drawn; log probabilities are the model's, before
    temperature and the like.
    """
    count = options.n_best
    [nothing] = model.encode([[]])
    y, parents, state = np.full(count, BOS), np.full(count, -1), None
    numbers = draw_uniforms(Request(0, ()), length, options)  # [R, length]
    pieces, log_probs = [], []
    for position in range(len(prompt) + length):
        step = model.step(y, state, parents, [nothing] * count)
        values, state = step.scores.all(), step.state
        if position < len(prompt):
            y = np.full(count, prompt[position])
        else:
            y = _drawn(values, numbers[:, position - len(prompt)], options)
        pieces.append(y)
        log_probs.append(values[np.arange(count), y])
        begins = line_by_line & (y == EOS)
        parents = np.where(begins, -1, np.arange(count))
        y = np.where(begins, BOS, y)
    return SampledTexts(np.stack(pieces, 1), np.stack(log_probs, 1))


def _drawn(log_probs: Floats, numbers: "np.typing.NDArray[np.float64]", options: Options) -> Ints:
    """The next piece [R] of each text."""
    values = log_probs.astype(np.float64)
    values[:, NEVER] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")  # of equal ones the lower piece first
    chosen = sample_tokens(np.take_along_axis(values, order, 1), numbers, options)
    drawn: Ints = order[chosen.rows, chosen.columns]
    return drawn


def split_lines(pieces: Ints) -> list[list[int]]:
    """One text's pieces [N] line by line, without the ends; the last may be unfinished."""
    lines: list[list[int]] = [[]]
    for piece in pieces.tolist():
        if piece == EOS:
            lines.append([])
        else:
            lines[-1].append(piece)
    return lines
