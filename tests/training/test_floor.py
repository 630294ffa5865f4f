"""While a metric cannot tell translations from empty ones, the loss decides."""

import pytest

from nmt.evaluation.metrics import METRICS, score
from nmt.training.run_state import BestScore, RunState

FLOOR = {"bleu": 0.0, "chrf": 0.0, "chrf++": 0.0, "ter": 100.0}


def validate(run: RunState, losses: list[float], **metrics: list[float]) -> list[bool]:
    """Record a validation every 10 updates; return which were the best."""
    return [
        run.record_validation(
            {"loss": loss, **{name: found[i] for name, found in metrics.items()}}, 10 * i + 10
        )
        for i, loss in enumerate(losses)
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_empty_translations_are_at_the_floor_of_every_metric(metric: str) -> None:
    [empty] = score(["", ""], [["a b c d e", "f g h i j"]], [metric])
    [half] = score(["a b c d", "f g h i j"], [["a b c d e", "f g h i j"]], [metric])
    assert METRICS[metric].is_at_floor(empty.value)
    assert not METRICS[metric].is_at_floor(half.value)


@pytest.mark.parametrize("metric", METRICS)
def test_the_best_goes_by_the_loss_until_the_metric_leaves_its_floor(metric: str) -> None:
    floor = FLOOR[metric]
    better = 98.0 if metric == "ter" else 2.0
    run = RunState(BestScore(metric))
    found = validate(run, [5.0, 4.0, 4.5, 3.0, 3.5], **{metric: [floor, floor, floor, floor, better]})
    assert found == [True, True, False, True, True]
    assert (run.best.score, run.best.update, run.best.since) == (better, 50, 0)


def test_a_metric_that_never_leaves_its_floor_chooses_nothing() -> None:
    run = RunState(BestScore("bleu"))
    losses = [5.0, 4.0, 3.0, 3.1, 3.2]
    assert validate(run, losses, bleu=[0.0, 0.02, 0.0, 0.05, 0.03]) == [True, True, True, False, False]
    assert run.best.update == 30
    assert run.stale_metrics({"bleu": 3}, "any") == ""
    assert run.stale_metrics({"bleu": 2}, "any") == (
        "the loss (for bleu, which is at its floor) has not improved in 2 validations"
    )


def test_patience_begins_anew_when_a_metric_leaves_its_floor() -> None:
    run = RunState(BestScore("bleu"))
    validate(run, [5.0, 5.1, 5.2, 5.3], bleu=[0.0, 0.0, 0.0, 3.0])
    assert (run.best.update, run.best.since) == (40, 0)


def test_patience_by_another_metric_at_its_floor_follows_the_loss_too() -> None:
    run = RunState(BestScore("chrf"))
    losses = [5.0, 4.0, 3.0, 2.0]
    validate(run, losses, chrf=[8.0, 20.0, 40.0, 60.0], bleu=[0.0] * 4)
    assert run.stale_metrics({"bleu": 1, "chrf": 1}, "any") == ""
    assert run.describe_floor({"bleu": 1, "chrf": 1}).startswith("bleu at the floor, the score of")
    assert run.describe_floor({"chrf": 1}) == ""


def test_metrics_off_their_floor_decide_as_ever() -> None:
    run = RunState(BestScore("bleu"))
    assert validate(run, [5.0, 4.0, 3.0], bleu=[9.0, 8.0, 7.0]) == [True, False, False]
    by_loss = RunState(BestScore("loss"))
    assert validate(by_loss, [5.0, 6.0, 4.0], bleu=[0.0, 0.0, 0.0]) == [True, False, True]
    assert set(by_loss.others) == {"bleu"}
