"""What an experienced colleague sees in a run: curves and counts made by hand, each spoiled in one way."""

from typing import Any

import pytest

from nmt.evaluation.metrics import Score, compare
from nmt.lab.doctor.curve_checks import check_curves
from nmt.lab.doctor.training_history import TrainingDataFacts
from tests.lab.test_curve_checks import events, history

MEMORISED = [4.0, 3.2, 2.8, 2.6, 2.4, 2.3, 2.25]  # perplexity 9.5 at the end
STUCK = [3.8, 3.4, 3.17, 3.17, 3.18, 3.17, 3.17]  # 23.9 on unseen text, flat for four validations
RISEN = [0.5, 1.5, 2.5, 3.2, 4.0, 4.69, 6.22]
NOISE = Score("BLEU", 6.22, "", 6.2, 3.0, 0.2, False)
DATA = TrainingDataFacts(50_000, 100, "longer than 100 tokens", 800_000, 4000)
SLOWLY = [8.9, 8.6, 8.3, 8.0, 7.7, 7.4, 7.1]

SPOILED = {
    "too little data": (
        {"of": events(MEMORISED, STUCK), "data": DATA._replace(pairs=3000)},
        "perplexity 9.5 on the training pairs, 23.8 on unseen text",
        "3,000 pairs are too little data",
        "training longer does not help",
    ),
    "learned by heart": (
        {"of": events(MEMORISED, STUCK), "data": DATA},
        "whose loss has been flat since update 150",
        "it has learned its pairs by heart",
        "decoder.dropout, a smaller model",
    ),
    "the noise of a score": (
        {"of": events(bleu=RISEN), "gains": {"bleu": NOISE}, "best": 350},
        "the last gain of bleu, from 4.69 to 6.22, is within the noise",
        "± 3.0",
        "no reason to train longer",
    ),
    "a learning rate that is too low": (
        {"of": events(SLOWLY, SLOWLY), "peak": 1e-5},
        "falls at the end as fast as before",
        "the learning rate is too low",
        "training.learning_rate.peak=3e-05",
    ),
    "a learning rate that is too high": (
        {"of": events([6.0, 4.5, 3.0, 5.5, 3.0, 2.5, 2.4])},
        "the training loss spiked at update 200",
        "learning rate is too high",
        "halve training.learning_rate.peak",
    ),
    "a learning rate that destroys the model": (
        {"of": events([30, 25, 20, 18, 14, 16, 12.0])},
        "worse than random guessing",
        "learning rate is too high",
        "divide training.learning_rate.peak by 10",
    ),
    "a run that learns nothing": (
        {"of": events([7.0, 7.1, 7.0, 7.1, 7.0, 7.1, 7.0])},
        "the training loss does not fall",
        "7.00",
        "source and target lines do not belong together",
    ),
    "overfitting": (
        {"of": events([6, 4, 3, 2, 1, 0.5, 0.2], [4.8, 3.6, 3.0, 3.1, 3.4, 3.8, 4.4])},
        "overfitting since update 150",
        "rose from 3.00 to 4.40",
        "the best checkpoint is kept",
    ),
    "a vocabulary that is too large": (
        {"of": events(), "data": DATA._replace(tokens=30_000)},
        "the target vocabulary has 4,000 tokens, but the training data 30,000",
        "7.5 times on average",
        "subwords.size=600",
    ),
    "long pairs left out": (
        {"of": events(), "data": DATA._replace(dropped=20_000)},
        "29% of the training pairs were left out",
        "longer than 100 tokens",
        "data.max_length",
    ),
    "gradients that are always clipped": (
        {"of": events(norm=25.0)},
        "every gradient norm is more than 10 times clip_norm",
        "effective learning rate",
        "training.clip_norm",
    ),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_run_spoiled_in_one_way_is_recognised_with_what_to_do(spoiled: str) -> None:
    facts, what, why, advice = SPOILED[spoiled]
    found = check_curves(history(**{"best": None, **facts}))
    assert what in found[0].what
    assert why in found[0].what
    assert advice in found[0].advice
    assert not any("larger training.stop_after to continue" in finding.advice for finding in found)


def test_a_healthy_run_on_enough_data_shows_none() -> None:
    assert check_curves(history(events(), data=DATA)) == []


def test_a_flat_loss_is_no_reason_to_train_longer_although_the_score_rose() -> None:
    """A model of 3,000 pairs: BLEU rose from 4.69 to 6.22 on 200 lines, its loss was flat for four epochs."""
    facts: dict[str, Any] = {"data": DATA._replace(pairs=3000), "best": 350}
    for gains in ({}, {"bleu": NOISE}):
        found = check_curves(history(events(MEMORISED, STUCK, RISEN), gains=gains, **facts))
        assert "too little data" in found[-1].what or "too little data" in found[0].what
        assert not any("stop_after" in finding.advice for finding in found)


def test_the_noise_of_a_score_is_that_of_a_paired_bootstrap() -> None:
    refs = [f"the {i} old dog seeks a cat in house {i * i}" for i in range(200)]
    before = [ref if i % 9 else "a cat" for i, ref in enumerate(refs)]
    hardly = [ref if i % 9 or i == 0 else "a cat" for i, ref in enumerate(refs)]
    clearly = [ref if i % 90 else "a cat" for i, ref in enumerate(refs)]
    scores = compare({"a": before, "b": hardly, "c": clearly}, [refs], ["bleu"], tokenize="13a")
    assert [scores[name][0].beyond_chance for name in "bc"] == [False, True]
