"""A given output is worth what the search says when it finds it."""

from dataclasses import replace

import numpy as np

from nmt.data.vocabulary import EOS, UNK
from nmt.decoding.beam import search
from nmt.decoding.options import Options, Request
from tests.decoding.models import bits, random_model

OPTIONS = Options(beam=5, n_best=5, coverage_penalty=0.2, attention=True, max_ratio=1.0, max_extra=8, batch=3)
FORCED = replace(OPTIONS, beam=1, n_best=1)


def test_outputs_of_the_search_are_scored_as_the_search_scored_them() -> None:
    model = random_model(1, vocabulary=15, eos=1.0)
    requests = [Request(n, tuple(range(4, 4 + n))) for n in range(6)]
    found = [
        (requests[number].source, h)
        for number, hypotheses in search(model, requests, OPTIONS)
        for h in hypotheses
        if h.finished
    ]
    forced = [Request(index, source, [*h.ids, EOS]) for index, (source, h) in enumerate(found)]
    again = dict(search(model, forced, FORCED))
    assert len(found) > 10
    assert [bits(again[index]) for index in range(len(found))] == [bits([h]) for _, h in found]


def test_a_target_may_be_longer_than_the_search_would_go_and_hold_unknown_pieces() -> None:
    model, target = random_model(1), [4, UNK, 5] * 9
    options = replace(FORCED, unk=False, min_length=99)
    [(number, [hypothesis])] = search(model, [Request(7, (4,), [*target, EOS])], options)
    assert (number, hypothesis.ids, hypothesis.finished) == (7, target, True)
    expected = [
        float(model.log_probs((4,), tuple(target[:n]))[piece]) for n, piece in enumerate([*target, 2])
    ]
    assert hypothesis.token_log_probs == expected
    assert hypothesis.log_prob == sum(expected)
    assert hypothesis.weights is not None
    assert hypothesis.weights.shape == (28, 2)


def test_an_empty_target_is_an_end_at_once() -> None:
    model = random_model(1)
    [(_, [hypothesis])] = search(model, [Request(0, (4,), [EOS])], FORCED)
    assert hypothesis.token_log_probs == [float(model.log_probs((4,), ())[2])]


def test_a_step_of_given_outputs_looks_for_no_best_pieces(monkeypatch: object) -> None:
    model = random_model(1)
    monkeypatch.setattr("nmt.decoding.model.LogProbs.best", None)
    assert len([*search(model, [Request(0, (4,), [5, 6, EOS])], FORCED)]) == 1
    assert np.all(np.array(model.seen_rows) == 1)
