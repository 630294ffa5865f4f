"""What is drawn follows the model's probabilities, and nothing but the seed and the line."""

from dataclasses import replace

import numpy as np
import pytest

from nmt.data.vocabulary import EOS
from nmt.decoding.beam import search
from nmt.decoding.options import Options, Request
from tests.decoding.models import fixed_model, random_model

DRAW = Options(sample=True, n_best=200, max_ratio=0.0, max_extra=1, unk=False)
LOGITS = [1.0, 2.0, -0.5, 3.0, 0.0, 1.0, 2.0]  # pad, bos and unk are never drawn
PIECES = [EOS, 4, 5, 6]


def frequencies(options: Options, lines: int = 20) -> dict[int, float]:
    """How often each piece came first."""
    answers = search(fixed_model(LOGITS), (Request(line, (4,)) for line in range(lines)), options)
    drawn = [(h.ids or [EOS])[0] for _, hypotheses in answers for h in hypotheses]
    return {piece: drawn.count(piece) / len(drawn) for piece in PIECES}


def shares(temperature: float, pieces: list[int]) -> dict[int, float]:
    weights = {piece: np.exp(LOGITS[piece] / temperature) * (piece in pieces) for piece in PIECES}
    return {piece: weight / sum(weights.values()) for piece, weight in weights.items()}


@pytest.mark.parametrize(
    ("changes", "pieces"),
    [
        ({}, PIECES),
        ({"temperature": 0.5}, PIECES),
        ({"temperature": 3.0}, PIECES),
        ({"top_k": 2}, [6, 5]),
        ({"top_k": 2, "temperature": 2.0}, [6, 5]),
        ({"top_k": 100}, PIECES),
        ({"top_p": 0.62}, [6]),  # the shares are 0.63, 0.23, 0.09, 0.05
        ({"top_p": 0.64}, [6, 5]),
        ({"top_p": 0.9, "temperature": 1.0}, [6, 5, 4]),
        ({"top_p": 0.01}, [6]),
        ({"top_k": 3, "top_p": 0.8}, [6, 5]),
    ],
)
def test_pieces_come_as_often_as_they_are_probable(changes: dict[str, float], pieces: list[int]) -> None:
    found = frequencies(replace(DRAW, **changes))
    for piece, share in shares(changes.get("temperature", 1.0), pieces).items():
        assert found[piece] == pytest.approx(share, abs=0.03)
        assert share or not found[piece]


def test_log_probabilities_are_the_models_whatever_the_temperature() -> None:
    model, options = random_model(3, vocabulary=9), replace(DRAW, temperature=2.0, max_extra=4, n_best=20)
    [(_, hypotheses)] = search(model, [Request(0, (4, 5))], options)
    assert [h.score for h in hypotheses if h.finished] == sorted(
        (h.score for h in hypotheses if h.finished), reverse=True
    )
    for hypothesis in hypotheses:
        scored = (*hypothesis.ids, EOS)[: len(hypothesis.token_log_probs)]
        expected = [float(model.log_probs((4, 5), scored[:n])[piece]) for n, piece in enumerate(scored)]
        assert hypothesis.token_log_probs == expected


def drawn(requests: list[Request], options: Options) -> dict[int, list[tuple[list[int], float]]]:
    answers = search(random_model(0, vocabulary=30, eos=1.0), requests, options)
    return {number: [(h.ids, h.score) for h in hypotheses] for number, hypotheses in answers}


def test_samples_follow_from_the_seed_and_the_line_alone() -> None:
    options = replace(DRAW, n_best=3, max_extra=9)
    requests = [Request(number, (4, 5)) for number in range(8)]
    first = drawn(requests, options)
    assert drawn(requests[::-1], replace(options, batch=3)) == first
    assert drawn(requests[5:6], options) == {5: first[5]}
    assert drawn(requests, replace(options, seed=2)) != first
    assert first[0] != first[1]
    assert drawn([Request(99, (4, 5), draws=[5])], options) == {99: first[5]}
    more = drawn(requests[:1], replace(options, n_best=6))[0]
    assert all(sample in more for sample in first[0])
