"""The curves: learning rates and teacher-forcing ratios, by hand; draws; what decides on the best."""

import json
import math

import pytest
import torch

from nmt.errors import UsageError
from nmt.training.run_state import BestScore, TrainingPosition
from nmt.training.schedules import SCHEDULES
from nmt.training.teacher_forcing import FORCINGS
from tests.training.runs import Duration, make_forcing, make_schedule


@pytest.mark.parametrize("name", sorted(SCHEDULES.keys() - {"one-cycle"}))
def test_the_warm_up_is_a_straight_line_to_the_peak(name: str) -> None:
    schedule = make_schedule(name, peak=1.0, warmup=4, span=12.0)
    rates = [schedule.rate(update) / schedule.peak for update in (1, 2, 3, 4)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize("name", sorted(SCHEDULES.keys() - {"noam", "one-cycle"}))
def test_without_warm_up_the_first_update_has_nearly_the_peak(name: str) -> None:
    assert make_schedule(name, peak=1.0).rate(1) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", SCHEDULES)
def test_after_the_warm_up_the_rate_is_never_below_the_floor_nor_above_the_peak(name: str) -> None:
    schedule = make_schedule(name, peak=1.0, floor=0.25, warmup=4)
    for _ in range(9):
        schedule.observe(False)
    rates = [schedule.rate(update) for update in range(4, 1000)]
    assert min(rates) >= 0.25
    assert max(rates) <= schedule.peak


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_remembers_through_json(name: str) -> None:
    schedule, other = make_schedule(name, warmup=4), make_schedule(name, warmup=4)
    schedule.observe(False)
    other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert other.rate(9) == schedule.rate(9)


def test_constant_stays() -> None:
    assert make_schedule("constant", peak=0.3).rate(10**6) == 0.3


def test_inverse_square_root_halves_when_the_updates_are_four_times_as_many() -> None:
    schedule = make_schedule("inverse-sqrt", peak=1.0, warmup=100)
    assert [schedule.rate(100), schedule.rate(400), schedule.rate(1600)] == [1.0, 0.5, 0.25]


def test_cosine_passes_the_middle_half_way_and_ends_on_the_floor() -> None:
    schedule = make_schedule("cosine", peak=1.0, warmup=10, span=30.0, floor=0.2)
    assert [schedule.rate(10), schedule.rate(20), schedule.rate(30), schedule.rate(99)] == pytest.approx(
        [1.0, 0.6, 0.2, 0.2]
    )


def test_noam_is_the_equation_of_the_paper() -> None:
    schedule = make_schedule("noam", peak=2.0, warmup=400, size=256)
    by_hand = {1: 2 / 16 / 8000, 100: 100 / 64000, 400: 2 / 16 / 20, 1600: 2 / 16 / 40, 6400: 2 / 16 / 80}
    assert {update: schedule.rate(update) for update in by_hand} == pytest.approx(by_hand)
    for update in (3, 399, 401, 12345):
        paper = 2.0 * 256**-0.5 * min(update**-0.5, update * 400**-1.5)
        assert schedule.rate(update) == pytest.approx(paper)


def test_one_cycle_rises_from_a_25th_and_falls_by_half_cosines() -> None:
    schedule = make_schedule("one-cycle", peak=1.0, warmup=5, span=13.0, floor=0.2)
    by_hand = {1: 0.04, 3: 0.52, 5: 1.0, 9: 0.6, 13: 0.2, 99: 0.2}
    assert {update: schedule.rate(update) for update in by_hand} == pytest.approx(by_hand)


def test_one_cycle_rises_for_three_tenths_of_its_span_and_is_torchs() -> None:
    schedule = make_schedule("one-cycle", peak=0.1, span=50.0, floor=0.1 / 25e4)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, 50, pct_start=0.3, cycle_momentum=False)
    for update in range(1, 51):
        assert schedule.rate(update) == pytest.approx(torchs.get_last_lr()[0])
        optimiser.step()
        if update < 50:
            torchs.step()
    assert max(range(1, 51), key=schedule.rate) == 15


def test_plateau_forgives_patience_validations_then_multiplies_and_waits_anew() -> None:
    schedule = make_schedule("plateau", peak=1.0, factor=0.5, patience=1)
    cuts, rates = [], []
    for improved in (True, False, False, False, True, False, False):
        cuts.append(schedule.observe(improved))
        rates.append(schedule.rate(1))
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25]
    assert cuts == [False, False, True, False, False, False, True]


def test_a_floor_above_the_peak_is_refused() -> None:
    with pytest.raises(UsageError, match="floor 2 is above its peak 1"):
        make_schedule(peak=1.0, floor=2.0)


@pytest.mark.parametrize(("name", "fitted"), [("cosine", 5), ("one-cycle", 15)])
def test_a_warm_up_that_does_not_fit_the_run_is_fitted_with_a_note(
    name: str, fitted: int, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = make_schedule(name, peak=1.0, warmup=100, span=50.0)
    assert schedule.warmup == fitted
    assert schedule.rate(fitted) == pytest.approx(1.0)
    assert schedule.rate(50) == pytest.approx(0.0)
    note = f"the run has 50 updates, so its warm-up has {fitted} instead of 100; for another length add "
    assert f"{note}training.learning_rate.warmup=N" in caplog.text


@pytest.mark.parametrize("name", ["cosine", "one-cycle"])
@pytest.mark.parametrize("span", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("warmup", [0, 1, 9])
def test_the_shortest_runs_have_a_learning_rate(name: str, span: float, warmup: int) -> None:
    schedule = make_schedule(name, peak=1.0, warmup=warmup, span=span)
    assert all(0.0 <= schedule.rate(update) <= 1.0 for update in range(1, int(span) + 2))


def test_a_floor_above_what_a_noam_reaches_is_refused() -> None:
    with pytest.raises(UsageError, match=r"floor 0\.3 is above its peak 0\.25"):
        make_schedule("noam", peak=1.0, warmup=4, floor=0.3)


def test_always_and_fixed_do_not_move() -> None:
    assert {make_forcing("always").ratio(update) for update in (1, 50)} == {1.0}
    assert {make_forcing("fixed", start=0.7).ratio(update) for update in (1, 50)} == {0.7}


def test_linear_forcing_falls_in_a_straight_line_to_the_end_and_stays() -> None:
    forcing = make_forcing("linear", start=0.9, end=0.5, span=4.0)
    ratios = [forcing.ratio(update) for update in range(1, 8)]
    assert ratios == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5])


def test_exponential_forcing_has_fallen_to_one_over_e_after_the_span() -> None:
    forcing = make_forcing("exponential", span=10.0)
    assert [forcing.ratio(1), forcing.ratio(11), forcing.ratio(21)] == pytest.approx(
        [1.0, math.exp(-1), math.exp(-2)]
    )


@pytest.mark.parametrize("span", [0.5, 10.0, 4500.0, 1e7])
def test_inverse_sigmoid_forcing_is_half_way_at_the_span(span: float) -> None:
    forcing = make_forcing("inverse-sigmoid", span=span, start=1.0, end=0.2)
    assert forcing.remaining(span) == pytest.approx(0.5)
    assert forcing.ratio(10**9) == pytest.approx(0.2)


def test_inverse_sigmoid_forcing_is_the_curve_of_the_paper() -> None:
    k = 20.0
    forcing = make_forcing("inverse-sigmoid", span=k * math.log(k))
    assert [forcing.remaining(i) for i in (0, 30, 90)] == pytest.approx(
        [k / (k + math.exp(i / k)) for i in (0, 30, 90)]
    )


@pytest.mark.parametrize("name", FORCINGS)
def test_the_ratio_starts_after_the_warm_up_and_never_passes_the_end(name: str) -> None:
    forcing = make_forcing(name, start=1.0, end=0.4, warmup=5.0)
    assert [forcing.ratio(update) for update in range(1, 7)] == [1.0] * 6
    ratios = [forcing.ratio(update) for update in range(7, 200)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] >= 0.4


@pytest.mark.parametrize("name", FORCINGS)
def test_a_span_of_nothing_jumps_to_the_end(name: str) -> None:
    after = make_forcing(name, span=0.0, end=0.4, warmup=2.0).ratio(4)
    assert after == (1.0 if name in ("always", "fixed") else 0.4)


def test_a_draw_keeps_the_true_word_as_often_as_the_ratio_says() -> None:
    drawn = make_forcing("fixed").draw(0.3, torch.zeros(200, 50))
    assert drawn is not None
    assert drawn.shape == (200, 50)
    assert drawn.float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_a_draw_per_sentence_is_the_same_at_all_positions() -> None:
    drawn = make_forcing("fixed", per="sentence").draw(0.5, torch.zeros(100, 7))
    assert drawn is not None
    assert (drawn == drawn[:, :1]).all()
    assert 20 < drawn[:, 0].sum() < 80


def test_full_forcing_draws_nothing_from_the_generator() -> None:
    before = torch.get_rng_state()
    assert make_forcing().draw(1.0, torch.zeros(2, 2)) is None
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("metric", "better", "worse"), [("bleu", 2.0, 1.0), ("ter", 1.0, 2.0), ("loss", 1.0, 2.0)]
)
def test_the_best_is_told_in_the_direction_of_its_metric(metric: str, better: float, worse: float) -> None:
    best = BestScore(metric)
    seen = [best.record(score, update) for update, score in enumerate([worse, better, worse, better], 1)]
    assert seen == [True, True, False, False]
    assert (best.score, best.update, best.since) == (better, 2, 2)


@pytest.mark.parametrize("metric", ["bleu", "loss"])
def test_a_score_that_is_no_number_is_never_the_best(metric: str) -> None:
    best = BestScore(metric)
    assert [best.record(score, 1) for score in (math.nan, 1.0, math.nan)] == [False, True, False]


def test_spans_are_counted_in_epochs_or_updates() -> None:
    moment = TrainingPosition(updates=30, epochs=0.1 + 0.1 + 0.1, minutes=2.5)
    assert moment.completed(Duration(0.1, "e")) == 3
    assert moment.completed(Duration(20, "u")) == 1
    assert moment.completed(Duration(1, "m")) == 2
    assert TrainingPosition(30, 0.2999, 0.0).completed(Duration(0.1, "e")) == 2
