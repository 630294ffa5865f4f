"""Validation: loss under forcing, scores of free-running translations, what is kept of them."""

from pathlib import Path

import pytest
import torch

from nmt.training.validation import (
    TranslationValidator,
    evaluation_mode,
    sum_losses,
)
from tests.training.runs import Tiny, make_batch

SRC, REF = ["a", "b", "c", "d"], ["A", "B", "C", "D"]


def make_validator(folder: Path, *, translated: bool = True, samples: int = 2) -> TranslationValidator:
    return TranslationValidator(
        lambda: [make_batch(0), make_batch(1)],
        SRC,
        REF,
        translate=(lambda lines: ["w", "x", "y\u2028", ""]) if translated else None,
        score=lambda hyps: {"bleu": float(len(hyps)), "chrf": 1.0},
        directory=folder / "validation",
        samples=samples,
    )


def test_loss_and_scores_come_together(tmp_path: Path) -> None:
    found = make_validator(tmp_path)(Tiny(), "u0000010")  # type: ignore[arg-type]
    assert list(found.scores) == ["loss", "perplexity", "accuracy", "free_loss", "bleu", "chrf"]
    assert found.scores["bleu"] == 4


def test_every_translation_is_kept_on_its_line(tmp_path: Path) -> None:
    make_validator(tmp_path)(Tiny(), "u0000010")  # type: ignore[arg-type]
    kept = (tmp_path / "validation" / "u0000010.hyp").read_bytes().decode()
    assert kept.split("\n") == ["w", "x", "y\u2028", "", ""]


@pytest.mark.parametrize(("samples", "places"), [(0, []), (2, [0, 2]), (9, [0, 1, 2, 3])])
def test_samples_are_spread_over_the_set(tmp_path: Path, samples: int, places: list[int]) -> None:
    found = make_validator(tmp_path, samples=samples)(Tiny(), "u0000010")  # type: ignore[arg-type]
    hyps = ["w", "x", "y\u2028", ""]
    assert found.samples == [{"src": SRC[i], "ref": REF[i], "hyp": hyps[i]} for i in places]


def test_where_nothing_is_translated_there_is_only_the_loss(tmp_path: Path) -> None:
    found = make_validator(tmp_path, translated=False)(Tiny(), "u0000010")  # type: ignore[arg-type]
    assert list(found.scores) == ["loss", "perplexity", "accuracy", "free_loss"]
    assert found.samples == []


def test_the_validation_loss_is_a_mean_over_words_whatever_the_batches() -> None:
    model = Tiny().eval()
    with torch.no_grad():
        both = sum_losses(model, [make_batch(0), make_batch(1)]).means()["loss"]  # type: ignore[arg-type]
        one, other = (sum_losses(model, [make_batch(i)]).means()["loss"] for i in (0, 1))  # type: ignore[arg-type]
    words = [int(make_batch(i).tgt_lengths.sum()) for i in (0, 1)]
    assert both == pytest.approx((one * words[0] + other * words[1]) / sum(words), rel=1e-6)


def test_measuring_leaves_mode_and_generators_as_they_were_even_after_an_error() -> None:
    def fail(model: Tiny) -> None:
        with evaluation_mode(model):
            torch.rand(3)
            assert not model.training
            assert not torch.is_grad_enabled()
            raise ValueError("on the way")

    model, before = Tiny(), torch.get_rng_state()
    with pytest.raises(ValueError, match="on the way"):
        fail(model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
