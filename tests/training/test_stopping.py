"""When to stop, by one metric or several."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from nmt.training.run_state import BestScore, RunState
from nmt.training.validation import ValidationResult
from nmt.untrusted_files import check_values
from tests.training.runs import Duration, make_training
from tests.training.test_loop import Interrupted

# The loss is best at the 1st validation, BLEU at the 3rd, chrF at the 4th.
FOUND = [
    {"loss": 1.0, "bleu": 1.0, "chrf": 5.0},
    {"loss": 1.1, "bleu": 2.0, "chrf": 6.0},
    {"loss": 1.2, "bleu": 9.0, "chrf": 7.0},
    {"loss": 1.3, "bleu": 8.0, "chrf": 8.0},
    {"loss": 1.4, "bleu": 7.0, "chrf": 7.0},
    {"loss": 1.5, "bleu": 6.0, "chrf": 6.0},
    {"loss": 1.6, "bleu": 5.0, "chrf": 5.0},
]


def first_stop(patience: dict[str, int], stop_when: str) -> tuple[int, str] | None:
    """The validation after which it is time to stop, from 1, and why."""
    run = RunState(BestScore("bleu"))
    for number, scores in enumerate(FOUND, start=1):
        run.record_validation(scores, number)
        if why := run.stale_metrics(patience, stop_when):
            return number, why
    return None


@pytest.mark.parametrize(
    ("patience", "stop_when", "expected"),
    [
        ({}, "any", None),
        ({}, "all", None),
        ({"bleu": 2}, "any", (5, "bleu has not improved in 2 validations")),
        ({"bleu": 2}, "all", (5, "bleu has not improved in 2 validations")),
        ({"loss": 3}, "any", (4, "loss has not improved in 3 validations")),
        ({"bleu": 2, "loss": 3}, "any", (4, "loss has not improved in 3 validations")),
        (
            {"bleu": 2, "loss": 3},
            "all",
            (5, "bleu has not improved in 2 validations, loss has not improved in 4 validations"),
        ),
        (
            {"bleu": 1, "loss": 1, "chrf": 3},
            "all",
            (
                7,
                "bleu has not improved in 4 validations, chrf has not improved in 3 validations, "
                "loss has not improved in 6 validations",
            ),
        ),
        ({"chrf": 9, "bleu": 9}, "any", None),
    ],
)
def test_training_stops_when_any_or_all_of_the_metrics_have_lost_patience(
    patience: dict[str, int], stop_when: str, expected: tuple[int, str] | None
) -> None:
    assert first_stop(patience, stop_when) == expected


def found(values: list[dict[str, float]]) -> Any:
    left: Iterator[dict[str, float]] = iter(values)
    return lambda model, name: ValidationResult(next(left), [])


def test_several_patiences_survive_a_stop_and_a_json_file(tmp_path: Path) -> None:
    settings = {
        "metric": "bleu",
        "every": Duration(2, "u"),
        "stop_on": {"bleu": 2, "loss": 3},
        "stop_when": "all",
    }
    make_training(tmp_path, validator=found(FOUND), epochs=Interrupted(5), settings=settings).train()
    result = make_training(tmp_path, validator=found(FOUND[3:]), settings=settings).train()
    assert result.update == 10
    assert result.stop == (
        "bleu has not improved in 2 validations, loss has not improved in 4 validations",
        0,
    )
    assert result.best.update == 6


def test_a_run_from_before_there_were_other_metrics_goes_on() -> None:
    facts = asdict(RunState(BestScore("bleu")))
    del facts["others"]
    assert check_values(facts, RunState, Path("checkpoint.json")) == RunState(BestScore("bleu"))
