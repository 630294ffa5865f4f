"""The search finds what it promises: beside brute force, argmax, and itself in other batches."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.beam import search
from nmt.decoding.hypothesis import Hypothesis, SentenceSearch
from nmt.decoding.options import Options, Request
from nmt.errors import DataError, UsageError
from tests.decoding.models import Fake, bits, every_output, fixed_model, random_model

GREEDY = Options(beam=1, normalisation="none", max_ratio=1.0, max_extra=5)
BEAM = Options(beam=5, length_penalty=0.6, max_ratio=2.0, max_extra=4)
WIDE = Options(beam=300, max_ratio=0.0, max_extra=4, n_best=20)


def found(model: Fake, sources: Sequence[Sequence[int]], options: Options) -> list[list[Hypothesis]]:
    results = dict(search(model, (Request(n, source) for n, source in enumerate(sources)), options))
    assert set(results) == set(range(len(sources)))
    return [results[n] for n in range(len(sources))]


def some_sources(number: int, longest: int = 9, seed: int = 0) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(4, 30) for _ in range(draw.randrange(longest))] for _ in range(number)]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed: int, alpha: float) -> None:
    model, sources = random_model(seed), [(4,), (5, 6), ()]
    options = replace(WIDE, length_penalty=alpha)
    for source, hypotheses in zip(sources, found(model, sources, options), strict=True):
        outputs = [
            (not o.finished, -o.log_prob / ((5 + o.length) / 6) ** alpha, o.ids)
            for o in every_output(model, source, 4)
        ]
        best = sorted(outputs)[:20]
        assert [tuple(h.ids) for h in hypotheses] == [ids for _, _, ids in best]
        assert [h.score for h in hypotheses] == pytest.approx([-score for _, score, _ in best])
        assert [h.finished for h in hypotheses] == [not cut for cut, _, _ in best]


def argmax_chain(model: Fake, source: tuple[int, ...], limit: int) -> list[int]:
    ids: list[int] = []
    while len(ids) < limit:
        log_probs = model.log_probs(source, tuple(ids)).copy()
        log_probs[[PAD, BOS]] = -math.inf
        piece = int(log_probs.argmax())
        if piece == EOS:
            break
        ids.append(piece)
    return ids


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_one_takes_the_most_probable_piece_at_every_position(seed: int, alpha: float) -> None:
    model, sources = random_model(seed, vocabulary=30, sharpness=3.0), some_sources(12)
    expected = [argmax_chain(model, tuple(source), len(source) + 5) for source in sources]
    results = found(model, sources, replace(GREEDY, normalisation="gnmt", length_penalty=alpha))
    assert [hypotheses[0].ids for hypotheses in results] == expected


EVERYTHING = [
    BEAM,
    replace(BEAM, n_best=3, batch=1),
    replace(BEAM, normalisation="average", word_reward=0.3, coverage_penalty=0.2, attention=True),
    replace(BEAM, beam=6, groups=3, n_best=4, diversity=0.7),
    replace(BEAM, no_repeat_ngram=2, min_ratio=0.8, unk=False),
    replace(BEAM, sample=True, n_best=3, temperature=1.3),
    replace(BEAM, sample=True, n_best=2, top_k=4),
    replace(BEAM, sample=True, top_p=0.7),
]


@pytest.mark.parametrize("options", EVERYTHING)
def test_batch_size_order_and_neighbours_change_no_bit(options: Options) -> None:
    model, sources = random_model(3, vocabulary=20, sharpness=2.0, eos=1.0), some_sources(24)
    requests = [Request(n, source) for n, source in enumerate(sources)]
    for n in range(0, 24, 4):
        requests[n] = requests[n]._replace(prefix=[5, 7], forbidden=[[4], [6, 8]])
    if not (options.sample or options.groups > 1):
        for n in range(0, 24, 3):
            requests[n] = requests[n]._replace(required=[[9, 10], [11]])
    expected = {n: bits(h) for n, h in search(model, requests, replace(options, batch=64))}
    for size in (1, 7):
        random.Random(size).shuffle(requests)
        again = {n: bits(h) for n, h in search(model, requests, replace(options, batch=size))}
        assert again == expected


@pytest.mark.parametrize("seed", range(3))
def test_scores_and_attention_are_those_of_the_path(seed: int) -> None:
    model, sources = random_model(seed, vocabulary=30), some_sources(6)
    for source, hypotheses in zip(
        sources, found(model, sources, replace(BEAM, n_best=5, attention=True)), strict=True
    ):
        for hypothesis in hypotheses:
            ids = tuple(hypothesis.ids)
            scored = (*ids, EOS) if hypothesis.finished else ids
            path = [(tuple(source), ids[:n]) for n in range(len(scored))]
            expected = [float(model.log_probs(*at)[piece]) for at, piece in zip(path, scored, strict=True)]
            assert hypothesis.token_log_probs == expected
            assert hypothesis.log_prob == sum(expected)
            assert hypothesis.score == hypothesis.log_prob / ((5 + len(scored)) / 6) ** 0.6
            assert hypothesis.weights is not None
            np.testing.assert_array_equal(hypothesis.weights, np.stack([model.weights(*at) for at in path]))


@pytest.mark.parametrize(
    "options",
    [
        *(replace(BEAM, length_penalty=alpha, n_best=2) for alpha in (0.0, 0.6, 1.0, 1.5)),
        replace(BEAM, normalisation="average"),
        replace(BEAM, normalisation="none", word_reward=0.5),
        replace(BEAM, word_reward=-0.5),
        replace(BEAM, coverage_penalty=0.4, n_best=3),
        replace(BEAM, beam=6, groups=3, n_best=3),
    ],
)
def test_stopping_early_changes_nothing(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sources = random_model(5, vocabulary=12, sharpness=2.0, eos=1.0), some_sources(24)
    early = [bits(hypotheses) for hypotheses in found(model, sources, options)]
    rows = sum(model.seen_rows)
    monkeypatch.setattr(SentenceSearch, "is_done", lambda self, groups, log_probs: not len(groups))
    model.seen_rows.clear()
    assert [bits(hypotheses) for hypotheses in found(model, sources, options)] == early
    assert rows < sum(model.seen_rows)


def test_no_row_is_spent_on_what_is_finished_and_waiting_sentences_enter() -> None:
    model = random_model(1, vocabulary=12, sharpness=2.0)
    sources = some_sources(40)
    [*search(model, (Request(n, source) for n, source in enumerate(sources)), replace(BEAM, batch=8))]
    assert max(model.seen_rows) <= 40
    assert model.encoded[0] == 8
    assert sum(model.encoded) == 40
    model.seen_rows.clear()
    found(model, [(4,)], BEAM)
    alone = sum(model.seen_rows)
    model.seen_rows.clear()
    found(model, [(4,)] * 3, BEAM)
    assert sum(model.seen_rows) == 3 * alone


def test_requests_are_taken_when_there_is_room_for_them() -> None:
    taken = 0

    def requests() -> object:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield Request(number, [4, 5])

    answers = search(random_model(0), requests(), replace(BEAM, batch=4))
    next(answers)
    assert taken <= 8


def test_equal_continuations_come_by_rank_and_then_by_piece() -> None:
    flat = [0.0, 0.0, -9.0, *[0.0] * 5]
    options = Options(beam=4, normalisation="none", max_ratio=1.0, max_extra=2, n_best=4)
    [hypotheses] = found(fixed_model(flat), [()], options)
    assert [h.ids for h in hypotheses] == [[UNK, UNK], [UNK, 4], [UNK, 5], [UNK, 6]]


def test_padding_and_the_start_are_never_written_and_unknown_only_if_allowed() -> None:
    model = fixed_model([9.0, 9.0, 0.0, 5.0, 0.0, 0.0])
    [hypotheses] = found(model, [()], GREEDY)
    assert set(hypotheses[0].ids) == {UNK}
    [hypotheses] = found(model, [()], replace(GREEDY, unk=False))
    assert set(hypotheses[0].ids) <= {4, 5}


def test_without_eos_the_output_ends_at_the_longest_length_and_says_so() -> None:
    model = fixed_model([0.0, 0.0, -50.0, 0.0, 5.0, 0.0])
    [[best]] = found(model, [[4, 4, 4]], Options(beam=3, max_ratio=2.0, max_extra=1))
    assert best.ids == [4] * 7
    assert not best.finished


def test_a_finished_hypothesis_comes_before_a_cut_one_of_higher_score() -> None:
    model = fixed_model([0.0, 0.0, 3.0, 0.0, 9.0, 0.0])
    options = Options(beam=3, normalisation="none", max_ratio=1.0, max_extra=2, n_best=3)
    [hypotheses] = found(model, [()], options)
    assert hypotheses[0].finished
    cut = [h for h in hypotheses if not h.finished]
    assert cut
    assert all(h.score > hypotheses[0].score for h in cut)


def test_an_empty_source_and_no_request_are_no_trouble() -> None:
    [[best]] = found(random_model(0), [()], BEAM)
    assert len(best.ids) <= 4
    assert [*search(random_model(0), [], BEAM)] == []


def test_a_model_that_gives_not_a_number_is_reported() -> None:
    with pytest.raises(DataError, match="output is NaN"):
        found(fixed_model([math.nan] * 6), [(4,)], BEAM)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_best": 6}, "n_best 6 exceeds the beam of 5"),
        ({"groups": 2}, "a multiple of the number of groups"),
        ({"normalisation": "gmt"}, "no normalisation 'gmt', one of: none, gnmt, average"),
        ({"min_ratio": 3.0}, "exceeds max_ratio"),
        ({"sample": True, "groups": 5}, "sampling and groups cannot"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"batch": 0}, "1 or more"),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(BEAM, **changes)
