"""Checks of learning curves, on synthetic curves."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from nmt.lab.doctor.curve_checks import check_curves
from nmt.lab.doctor.training_history import TrainingHistory

HEALTHY = [6.0, 4.5, 3.6, 3.0, 2.6, 2.4, 2.3]
JUDGED = [4.8, 3.9, 3.3, 2.9, 2.7, 2.6, 2.6]
BLEU = [2.0, 9.0, 15.0, 19.0, 21.0, 22.0, 21.8]


def events(
    training: Sequence[float | None] = HEALTHY,
    validation: Sequence[float | None] = JUDGED,
    bleu: Sequence[float] = BLEU,
    norm: float = 1.5,
) -> list[dict[str, Any]]:
    """An entry of the log and a validation every 50 updates."""
    found: list[dict[str, Any]] = []
    for i, of_validation in enumerate(validation):
        update = 50 * (i + 1)
        for kind, nll, more in (
            ("update", training[i], {"gradient_norm": norm}),
            ("validation", of_validation, {"bleu": bleu[i]}),
        ):
            perplexity = None if nll is None else math.exp(nll)
            found.append({"event": kind, "update": update, "loss": nll, "perplexity": perplexity, **more})
    return found


def history(of: list[dict[str, Any]], **changes: Any) -> TrainingHistory:
    settings = {
        "metric": "bleu",
        "finished": True,
        "stopped_early": False,
        "warmup": 0,
        "clip_norm": 1.0,
        "remedies": ("decoder.dropout",),
        "uniform_loss": math.log(8000),
        "best_update": 300,
    }
    return TrainingHistory(of, **{**settings, **changes})


def said(of: list[dict[str, Any]], **changes: Any) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in check_curves(history(of, **changes))]


def test_a_healthy_run_shows_none() -> None:
    assert said(events()) == []


@pytest.mark.parametrize(
    ("of", "level", "what"),
    [
        (events([6.0, None, 4, 3, 3, 3, 3]), "error", "the loss became NaN at update 100"),
        (
            events([6.0, 4.5, 3.0, 5.5, 3.0, 2.5, 2.4]),
            "warning",
            "the training loss spiked at update 200",
        ),
        (
            events([30, 25, 20, 18, 14, 16, 12.0]),
            "error",
            "worse than random guessing: 12.00 nats per token at update 350",
        ),
        (
            events([7.0, 7.1, 7.0, 7.1, 7.0, 7.1, 7.0]),
            "error",
            "the training loss does not fall: 7.00 nats per token at first",
        ),
        (
            events([6, 4, 3, 2, 1, 0.5, 0.2], [4.8, 3.6, 3.0, 3.1, 3.4, 3.8, 4.4]),
            "warning",
            "overfitting since update 150: the validation loss rose from 3.00 to 4.40",
        ),
        (
            [*events(), *({"event": "skip", "update": u, "why": "the loss is nan"} for u in (351, 352))],
            "warning",
            "2 updates (0.6%) skipped",
        ),
        (events(norm=25.0), "warning", "every gradient norm is more than 10 times clip_norm (1)"),
        (
            events(bleu=[2, 9, 15, 19, 21, 22, 23]),
            "note",
            "training ended while bleu was still improving (22.00, then 23.00)",
        ),
    ],
)
def test_each_problem_is_reported_with_what_to_try(of: list[dict[str, Any]], level: str, what: str) -> None:
    (finding,) = check_curves(history(of, best_update=None))
    assert finding.level == level
    assert what in finding.what
    assert finding.advice


def test_a_best_that_its_metric_calls_the_worst_was_chosen_in_the_wrong_direction() -> None:
    ((level, what),) = said(events(), best_update=50)
    assert level == "error"
    assert (
        "(update 50) has bleu 2.00, but another reached 22.00: it was chosen in the wrong direction" in what
    )
    assert said(events(), metric="loss", best_update=300) == []  # of a loss the least is the best
    assert said(events(), metric="loss", best_update=50)[0][0] == "error"


def test_early_stopping_on_one_metric_while_another_improves_is_a_warning() -> None:
    risen = events(validation=[3.0, 2.9, 2.8, 2.8, 2.8, 2.8, 2.81], bleu=[2, 9, 15, 19, 21, 22, 23])
    ((level, what),) = said(risen, metric="loss", stopped_early=True, best_update=200)
    assert level == "warning"
    assert "because loss did not improve, but bleu was at its best" in what


def test_a_run_that_goes_on_is_not_said_to_have_ended() -> None:
    assert said(events(bleu=[2, 9, 15, 19, 21, 22, 23]), finished=False, best_update=None) == []


@pytest.mark.parametrize("loss", [7.0, 12.0])
def test_a_high_loss_in_the_warm_up_is_no_trouble(loss: float) -> None:
    assert said(events([loss] * 7), warmup=500) == []


def test_an_over_fitted_model_is_not_said_to_guess() -> None:
    ((_, what),) = said(events([6, 4, 3, 2, 1, 0.5, 0.2], [4.8, 3.6, 3.0, 3.1, 5, 8, 9.5]))
    assert what.startswith("overfitting since update 150")


def test_a_model_that_knew_much_before_need_not_learn_much() -> None:
    assert said(events([2.3, 2.29, 2.28, 2.29, 2.28, 2.28, 2.28])) == []


def test_a_run_without_events_says_so() -> None:
    assert said([]) == [("note", "no metrics have been logged yet")]


CHRF = [7.6, 30.0, 60.0, 80.0, 90.0, 95.0, 97.9]


def with_chrf(bleu: Sequence[float], chrf: Sequence[float] = CHRF) -> list[dict[str, Any]]:
    """Curves of a target language whose BLEU stays at its floor."""
    found = events(bleu=bleu)
    validations = [event for event in found if event["event"] == "validation"]
    for event, value in zip(validations, chrf, strict=True):
        event["chrf"] = value
    return found


@pytest.mark.parametrize(("fitting", "best"), [("zh", 50), ("char", 100), ("ko-mecab", 50)])
def test_a_tokenizer_that_does_not_fit_is_found_by_a_metric_at_its_floor(fitting: str, best: int) -> None:
    (finding,) = check_curves(history(with_chrf([0.0] * 7), fitting_tokenizer=fitting, best_update=best))
    assert finding.level == "error"
    assert finding.what == (
        "bleu stayed at 0.00 while chrf rose from 7.6 to 97.9: its tokenizer 13a does not split the target "
        "text into words, and it chose the best checkpoint"
    )
    assert f"evaluation.tokenize={fitting}" in finding.advice


def test_a_metric_at_its_floor_is_a_warning_where_another_chose() -> None:
    curves = with_chrf([0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0])
    by_chrf = {"metric": "chrf", "best_update": 350, "finished": False}
    assert [level for level, _ in said(curves, fitting_tokenizer="zh", **by_chrf)] == ["warning"]
    assert [level for level, _ in said(curves, fitting_tokenizer="zh", best_update=300)] == ["warning"]
    assert said(curves, **by_chrf) == []  # English: too early for BLEU


def test_a_metric_at_its_floor_in_a_run_that_has_learned_nothing_is_not_reported() -> None:
    stuck = events([4.0] * 7, [4.0] * 7, [0.0] * 7)
    assert not any(
        "stayed at" in what
        for _, what in said(stuck, fitting_tokenizer="zh", uniform_loss=2.0 * math.log(8000))
    )
