"""The numbers of a sentence in few characters, as the page's scripts unpack them (browser/unpacking.js)."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmt.lab.inspect.beam import Branch
from nmt.lab.inspect.sentence import Word, ends

LEVELS = 255
"""Steps of a value between the least and the greatest that its picture has."""
THOUSANDTHS = 1000
"""Steps of an attention weight between 0 and 1: the page tells three decimals, and so they are right."""
FATES = ("kept", "ended", "pruned")
DIGITS = 4
"""After the point, of log probabilities and scores, of which the page tells two."""


def levels(values: Tensor) -> dict[str, Any]:
    """values [T, U] as a byte each, unit by unit, with what 0 and 255 stand for."""
    low, high = ends(values)
    steps = ((values.t().double() - low) / (high - low) * LEVELS).round().byte()
    return {"low": low, "high": high, "data": _base64(steps)}


def thousandths(weights: Tensor) -> str:
    """weights [T, S] from 0 to 1 as two bytes each, the lower first, row by row."""
    steps = weights.double().mul(THOUSANDTHS).round().long()
    return _base64(torch.stack([steps % 256, steps // 256], dim=-1).byte())


def _base64(values: Tensor) -> str:
    return b64encode(values.contiguous().numpy().tobytes()).decode()


def word(of: Word) -> dict[str, Any]:
    """A word with rounded numbers."""
    likeliest = [(piece, round(value, DIGITS)) for piece, value in of.likeliest]
    return {"piece": of.piece, "log_prob": round(of.log_prob, DIGITS), "likeliest": likeliest}


def beam(branches: Sequence[Branch], spelling: dict[int, str]) -> dict[str, Any]:
    """The branches as rows of numbers, the piece by its place among `pieces`, the fate among FATES."""
    places = {piece: place for place, piece in enumerate(dict.fromkeys(one.piece for one in branches))}
    return {
        "pieces": [spelling[piece] for piece in places],
        "fates": FATES,
        "branches": [_branch(one, places[one.piece]) for one in branches],
    }


def _branch(one: Branch, piece: int) -> list[int | float]:
    numbers = [one.position, one.parent, piece, round(one.log_prob, DIGITS), round(one.total, DIGITS)]
    scores = [] if one.score is None else [round(one.score, DIGITS)]
    return [*numbers, FATES.index(one.fate), int(one.best), *scores]
