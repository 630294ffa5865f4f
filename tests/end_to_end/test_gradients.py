"""`nmt inspect gradients` of a recipe and of a run, as it is typed."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt

GRADIENTS = ("inspect", "gradients")


def test_a_run_is_shown_trained_untrained_and_with_other_cells(finished: Finished, tmp_path: Path) -> None:
    picture = tmp_path / "gradients.svg"
    text = done(nmt(*GRADIENTS, finished.run, "--lags", 3, "--plot", picture))
    lines = text.splitlines()
    assert [line for line in lines if line[:1].strip() and ":" not in line] == [
        "gru, lstm, trained",
        "gru, lstm at initialisation",
        "rnn at initialisation",
        "lstm at initialisation",
        "gru at initialisation",
    ]
    assert max(map(len, lines)) <= 80
    assert "decoder 1 → c alone" in text
    assert "encoder 1 ← h" in text
    assert "log₁₀ of the norm, decoder 1 →" in picture.read_text(encoding="utf-8")


def test_a_recipe_is_measured_as_json(finished: Finished) -> None:
    settings = ("training.clip_norm=0.1", "encoder.cell=lstm")
    found = json.loads(done(nmt(*GRADIENTS, finished.recipe, *settings, "--lags", 2, "--json")))
    assert [system["model"] for system in found] == [
        f"{cell} at initialisation" for cell in ("lstm", "rnn", "gru")
    ]
    assert all(reach["shares"][0] == 1.0 for system in found for reach in system["reaches"])
    assert all(len(reach["norms"]) == 3 for system in found for reach in system["reaches"])
    assert found[0]["clipping"]["limit"] == 0.1
    assert all(factor < 1 for factor in found[0]["clipping"]["factors"])


def test_a_language_model_has_a_decoder_alone() -> None:
    found = json.loads(done(nmt(*GRADIENTS, "hello", "--lags", 2, "--json")))
    assert {reach["side"] for system in found for reach in system["reaches"]} == {"decoder"}


@pytest.mark.parametrize(("words", "said"), [(("helo",), "hello"), ((".",), "has no recipe.yaml")])
def test_anything_but_a_recipe_or_run_is_refused(words: tuple[str, ...], said: str) -> None:
    result = nmt(*GRADIENTS, *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_run_takes_no_settings(finished: Finished) -> None:
    result = nmt(*GRADIENTS, finished.run, "seed=2")
    assert (result.exit_code, "remove the other arguments" in result.stderr) == (2, True)
