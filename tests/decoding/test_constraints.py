"""What an output must and must not hold, beside all outputs filtered."""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from nmt.decoding.beam import search
from nmt.decoding.constraints import advance_progress, allocate_beam, find_bank
from nmt.decoding.hypothesis import Continuations, Hypothesis
from nmt.decoding.model import LogProbs
from nmt.decoding.options import Options, Request
from nmt.errors import UsageError
from tests.decoding.models import Pieces, bits, every_output, fixed_model, random_model

WIDE = Options(beam=1500, max_ratio=0.0, max_extra=5, n_best=30, unk=False)
NARROW = Options(beam=4, max_ratio=2.0, max_extra=4)


def holds(ids: Sequence[int], *sequence: int) -> bool:
    return any(tuple(ids[n : n + len(sequence)]) == sequence for n in range(len(ids)))


def after(ids: Sequence[int], *sequence: int) -> tuple[int, ...]:
    """The token after the first occurrence of a sequence, which must be there."""
    ends = (n + len(sequence) for n in range(len(ids)) if tuple(ids[n : n + len(sequence)]) == sequence)
    end = next(ends, None)
    return (5, 4, 6) if end is None else tuple(ids[end : end + 1])


def up_to(ids: Pieces, first: int, second: int) -> Pieces:
    """The tokens up to the first of a pair."""
    return ids[: next(n for n in range(len(ids)) if ids[n : n + 2] == (first, second)) + 1]


def no_ngram_twice(ids: Pieces, order: int) -> bool:
    ngrams = [ids[n : n + order] for n in range(len(ids) - order + 1)]
    return len(ngrams) == len(set(ngrams))


CASES: list[tuple[dict[str, object], dict[str, object], Callable[[Pieces], bool]]] = [
    ({"min_length": 3}, {}, lambda ids: len(ids) >= 3),
    ({"min_ratio": 1.0, "max_ratio": 1.0, "max_extra": 3}, {}, lambda ids: len(ids) >= 2),
    ({"no_repeat_ngram": 1}, {}, lambda ids: no_ngram_twice(ids, 1)),
    ({"no_repeat_ngram": 2}, {}, lambda ids: no_ngram_twice(ids, 2)),
    ({}, {"forbidden": [[4]]}, lambda ids: 4 not in ids),
    ({}, {"forbidden": [[4, 5], [6, 6, 6]]}, lambda ids: not holds(ids, 4, 5) and not holds(ids, 6, 6, 6)),
    ({}, {"prefix": [5, 4]}, lambda ids: ids[:2] == (5, 4)),
    ({}, {"required": [[4]]}, lambda ids: 4 in ids),
    ({}, {"required": [[4, 5], [6]]}, lambda ids: holds(ids, 4, 5) and 6 in ids),
    ({}, {"required": [[4, 4, 5]]}, lambda ids: holds(ids, 4, 4, 5)),
    ({}, {"required": [[4, 5], [5, 6]]}, lambda ids: holds(ids, 4, 5) and holds(ids, 5, 6)),
    ({}, {"required": [[4, 5], [4, 6]]}, lambda ids: holds(ids, 4, 5) and holds(ids, 4, 6)),
    ({}, {"required": [[6]], "prefix": [6, 4]}, lambda ids: ids[:2] == (6, 4)),
    (
        {},
        {"required": [[4, 5]], "closed": frozenset([(4, 5)]), "continuations": [5, 6]},
        lambda ids: not {5, 6}.intersection(after(ids, 4, 5)),
    ),
    (
        {},
        {"required": [[4], [4, 5]], "closed": frozenset([(4,)]), "continuations": [5]},
        lambda ids: holds(ids, 4, 5) and 5 not in after(ids, 4),
    ),
    (
        {},
        {"prefix": [5, 4], "closed": frozenset([(5, 4)]), "continuations": [4, 6]},
        lambda ids: ids[:2] == (5, 4) and ids[2:3] in ((), (5,)),
    ),
    (
        {},
        {"required": [[4, 5]], "openings": frozenset([6])},
        lambda ids: holds(ids, 4, 5) and not holds(up_to(ids, 4, 5), 6, 4),
    ),
    ({}, {"required": [[5], [5], []], "forbidden": [[5, 5]]}, lambda ids: 5 in ids and not holds(ids, 5, 5)),
]


@pytest.mark.parametrize(("changes", "request_", "allowed"), CASES)
def test_a_wide_beam_finds_the_best_of_all_outputs_that_are_allowed(
    changes: dict[str, object], request_: dict[str, object], allowed: Callable[[Pieces], bool]
) -> None:
    model, source = random_model(2), (4, 5)
    outputs = [o for o in every_output(model, source, 5, unk=False) if o.finished and allowed(o.ids)]
    best = sorted(outputs, key=lambda o: -o.log_prob / ((5 + o.length) / 6))[:30]
    [(_, hypotheses)] = search(model, [Request(0, source, **request_)], replace(WIDE, **changes))
    finished = [tuple(h.ids) for h in hypotheses if h.finished]
    assert len(finished) >= min(30, len(best)) > 0
    assert finished == [o.ids for o in best]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beam", [1, 2, 5, 12])
def test_a_narrow_beam_holds_to_it_too(seed: int, beam: int) -> None:
    model = random_model(seed, vocabulary=20, sharpness=3.0)
    must = [[15, 16, 15, 17], [16, 15], [9], [9, 10], [16, 18]]
    request = Request(0, (4, 5, 6, 7, 8), required=must, forbidden=[[9, 9], [11]])
    [(_, hypotheses)] = search(model, [request], replace(NARROW, beam=beam, n_best=beam))
    assert len({tuple(hypothesis.ids) for hypothesis in hypotheses}) == len(hypotheses)
    for hypothesis in [hypotheses[0], *(h for h in hypotheses if h.finished)]:
        assert all(holds(hypothesis.ids, *sequence) for sequence in must)
        assert not holds(hypothesis.ids, 9, 9)
        assert 11 not in hypothesis.ids


def test_a_beginning_that_sequences_share_keeps_no_hypothesis_from_going_on() -> None:
    model = fixed_model([0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0])  # would write 4 for ever
    [(_, [best])] = search(model, [Request(0, (4,), required=[[4, 5], [4, 6]])], replace(NARROW, beam=1))
    assert sorted([tuple(best.ids[:2]), tuple(best.ids[2:4])]) == [(4, 5), (4, 6)]


def test_limits_make_room_for_what_is_asked_for() -> None:
    model, short = random_model(0, vocabulary=12), replace(NARROW, max_ratio=0.0, max_extra=1)
    [(_, [best])] = search(model, [Request(0, (4,), prefix=[5, 6, 7], required=[[8, 9, 8, 9]])], short)
    assert best.ids[:3] == [5, 6, 7]
    assert holds(best.ids, 8, 9, 8, 9)
    [(_, [best])] = search(model, [Request(0, (4,))], replace(short, min_length=6))
    assert len(best.ids) >= 6


def test_what_the_model_rules_out_is_written_all_the_same_where_it_must_be() -> None:
    model = fixed_model([0.0, 0.0, 0.0, 0.0, 0.0, -math.inf, -math.inf])
    [(_, [best])] = search(model, [Request(0, (4,), prefix=[5], required=[[6]])], NARROW)
    assert best.ids[0] == 5
    assert 6 in best.ids
    assert best.log_prob > -math.inf


def test_where_nothing_may_follow_the_output_is_cut() -> None:
    everything = [[piece] for piece in range(2, 7)]
    [(_, [best])] = search(random_model(0), [Request(0, (4,), forbidden=everything)], NARROW)
    assert best == Hypothesis([], 0.0, 0.0, [], False, None)
    [(_, [best])] = search(random_model(0), [Request(0, (4,), prefix=[6, 5], forbidden=everything)], NARROW)
    assert best.ids == [6, 5]
    assert not best.finished


@pytest.mark.parametrize("changes", [{"sample": True}, {"groups": 2}])
def test_what_cannot_hold_to_it_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="required phrases cannot be combined with sampling or groups"):
        [*search(random_model(0), [Request(0, (4,), required=[[5]])], replace(NARROW, **changes))]


@pytest.mark.parametrize("seed", range(12))
def test_constraints_of_other_sentences_in_a_batch_change_nothing(seed: int) -> None:
    draw, vocabulary = random.Random(seed), 9 + seed % 2 * 9
    model = random_model(seed, vocabulary=vocabulary, sharpness=2.0)

    def tokens(*lengths: int) -> list[list[int]]:
        return [draw.choices(range(4, vocabulary), k=length) for length in lengths]

    requests = [
        Request(
            number, *tokens(4, number % 2), tokens(2, 3)[: draw.randint(0, 2)], tokens(*[1] * (number % 4))
        )
        for number in range(12)
    ]
    options = Options(beam=3, n_best=3, max_ratio=1.0, max_extra=3, no_repeat_ngram=seed % 3)
    alone, *others = (
        {number: bits(found) for number, found in search(model, requests, replace(options, batch=batch))}
        for batch in (1, 4, 12)
    )
    assert all(other == alone for other in others)


def test_a_required_token_is_scored_in_one_way() -> None:
    """Whether it is among the best, which are scored by other code, depends on the other sentences."""
    scores = LogProbs(np.log(np.full((1, 4), 0.25, np.float32)))
    values = np.array([[-1.25, -1.5]])
    found = Continuations(values, np.array([[1, 2]])).add_missing(scores, np.array([0, 0]), np.array([2, 3]))
    assert found.tokens.tolist() == [[1, 2, 3]]
    assert found.values.tolist() == [[-1.25, *scores.log_probs[0, 2:].tolist()]]


def test_progress_falls_back_to_the_longest_beginning_that_still_fits() -> None:
    sequences = [(1, 1, 2), (2, 3)]
    states = list(
        itertools.accumulate(
            [1, 1, 1, 2, 3, 1], lambda p, x: advance_progress(p, x, sequences), initial=(0, 0)
        )
    )
    assert states == [(0, 0), (1, 0), (2, 0), (2, 0), (3, 1), (3, 2), (3, 2)]
    assert [find_bank(progress, sequences) for progress in states] == [0, 1, 2, 2, 4, 5, 5]


def test_banks_share_the_beam_and_leave_what_they_cannot_fill_to_the_best() -> None:
    assert allocate_beam([0, 0, 0, 0, 1, 1, 2], 6) == [0, 1, 2, 4, 5, 6]
    assert allocate_beam([0, 0, 0, 1, 2], 2) == [3, 4]
    assert allocate_beam([0, 0, 0], 2) == [0, 1]
    assert allocate_beam([], 2) == []
