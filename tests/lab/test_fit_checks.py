"""Checks of how a run fits its data: synthetic curves and counts, each with one problem."""

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
    "memorised": (
        {"of": events(MEMORISED, STUCK), "data": DATA},
        "whose loss has been flat since update 150",
        "the model has memorised its pairs",
        "decoder.dropout, a smaller model",
    ),
    "the noise of a score": (
        {"of": events(bleu=RISEN), "gains": {"bleu": NOISE}, "best_update": 350},
        "the last gain of bleu, from 4.69 to 6.22, is within the noise",
        "± 3.0",
        "no reason to train longer",
    ),
    "a learning rate that is too low": (
        {"of": events(SLOWLY, SLOWLY), "peak_rate": 1e-5},
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
    "a vocabulary of many characters": (
        {"of": events(), "data": DATA._replace(tokens=30_000, characters=2000)},
        "the target vocabulary has 4,000 tokens, but the training data 30,000",
        "7.5 times on average",
        "a lower subwords.character_coverage: 2,000 tokens are single characters",
    ),
    "long pairs left out": (
        {"of": events(), "data": DATA._replace(dropped=20_000)},
        "29% of the training pairs were left out",
        "longer than 100 tokens",
        "data.max_length",
    ),
    "validation pairs in the other direction": (
        {"of": events([6, 4, 3, 2, 1, 0.5, 0.2], [8.0, 7.5, 7.3, 7.2, 7.1, 7.1, 7.1])},
        "perplexity 1.2 on the training pairs, never below 1212.0 on the validation pairs",
        "do not belong together",
        "one may have its sides exchanged",
    ),
    "a vocabulary of characters": (
        {"of": events(), "data": DATA._replace(vocabulary=60, tokens=3_000_000)},
        "the target vocabulary has 60 tokens, so that a sentence has 60 on average",
        "long sequences",
        "a larger subwords.size",
    ),
    "data too little for any vocabulary": (
        {"of": events(), "data": DATA._replace(pairs=60, vocabulary=116, tokens=1359)},
        "each is used 11.7 times on average",
        "too little for any vocabulary",
        "more pairs, thousands at least",
    ),
    "a learning rate far above the usual": (
        {"of": events(), "peak_rate": 0.1, "optimiser": "adam"},
        "the learning rate, 0.1, is 100 times the 0.001 that is usual for adam",
        "end higher than it could",
        "training.learning_rate.peak=0.003",
    ),
    "overfitting of few pairs": (
        {
            "of": events([6, 4, 3, 2, 1, 0.5, 0.2], [4.8, 3.6, 3.0, 3.1, 3.4, 3.8, 4.4]),
            "data": DATA._replace(pairs=3000),
        },
        "overfitting since update 150",
        "3,000 pairs are too little data",
        "For a better one: more pairs",
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
    found = check_curves(history(**{"best_update": None, **facts}))
    assert what in found[0].what
    assert why in found[0].what
    assert advice in found[0].advice
    assert not any("larger training.stop_after to continue" in finding.advice for finding in found)


def test_a_healthy_run_on_enough_data_shows_none() -> None:
    assert check_curves(history(events(), data=DATA)) == []


def test_a_flat_loss_is_no_reason_to_train_longer_although_the_score_rose() -> None:
    """A model of 3,000 pairs: BLEU rose from 4.69 to 6.22 on 200 lines, its loss was flat for four epochs."""
    facts: dict[str, Any] = {"data": DATA._replace(pairs=3000), "best_update": 350}
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


def test_a_rate_too_low_is_seen_although_the_schedule_flattens_the_curve() -> None:
    rates = [9.8e-5, 8.8e-5, 7.1e-5, 5.0e-5, 2.8e-5, 1.1e-5, 1.5e-6]
    losses = [8.9, 8.7, 8.4, 8.15, 8.0, 7.96, 7.95]
    entries = [
        {**event, "learning_rate": rates[event["update"] // 50 - 1]} if event["event"] == "update" else event
        for event in events(losses, losses)
    ]
    [finding] = check_curves(history(entries, peak_rate=1e-4))
    assert "the learning rate is too low" in finding.what


def test_a_perfect_score_is_no_reason_to_train_longer() -> None:
    assert not check_curves(history(events(bleu=[2, 9, 40, 80, 90, 98.8, 100]), best_update=350))


def test_a_run_that_ended_too_early_is_seen_by_its_loss() -> None:
    losses = [6, 5, 4.5, 4, 3.5, 3, 2.6], [5.5, 4.8, 4.2, 3.8, 3.4, 3.0, 2.7]
    [finding] = check_curves(history(events(*losses)))
    assert "validation loss still fell fast, at the last validation from 3.00 to 2.70" in finding.what
    assert "larger training.stop_after" in finding.advice
