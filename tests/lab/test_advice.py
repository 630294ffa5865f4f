"""The doctor gives no advice that a recipe already follows."""

from pathlib import Path
from typing import Any

import pytest

from nmt.data.pairs import Corpus
from nmt.data.vocabulary.training import SubwordSettings
from nmt.lab.doctor.corpus_checks import check_corpus
from nmt.lab.doctor.curve_checks import check_curves
from nmt.lab.doctor.diagnose_run import find_remedies
from nmt.lab.doctor.output_checks import ValidationOutput, check_outputs
from nmt.lab.doctor.survey import Survey
from nmt.lab.doctor.trial_run import advise_on_unknown, check_load
from nmt.recipe.reader import read_any_recipe
from tests.lab.test_curve_checks import events, history


@pytest.mark.parametrize(
    ("settings", "remedies"),
    [
        ([], ["encoder.dropout", "decoder.dropout", "subwords.sampling 0.1"]),
        (
            ["encoder.dropout.embedding=0.1", "training.label_smoothing=0", "subwords.kind=char"],
            ["a higher encoder.dropout", "decoder.dropout", "training.label_smoothing 0.1"],
        ),
        (
            ["encoder.dropout.word=0.1", "decoder.dropout.output=0.1", "subwords.sampling=0.2"],
            ["a higher encoder.dropout", "a higher decoder.dropout"],
        ),
    ],
)
def test_remedies_against_overfitting_are_those_not_in_use(settings: list[str], remedies: list[str]) -> None:
    data = ["data.src=de", "data.tgt=en", "data.train=a", "data.valid=b"]
    assert list(find_remedies(read_any_recipe([], [*data, *settings]))) == remedies


def test_a_language_model_is_not_advised_to_sample_subwords() -> None:
    recipe = read_any_recipe([], ["task=language-model", "data.train=a", "data.valid=b"])
    assert list(find_remedies(recipe)) == ["decoder.dropout", "training.label_smoothing 0.1"]


def test_overfitting_is_reported_with_the_remedies() -> None:
    overfitted = events([6, 4, 3, 2, 1, 0.5, 0.2], [4.8, 3.6, 3.0, 3.1, 3.4, 3.8, 4.4])
    (finding, *_) = check_curves(history(overfitted, remedies=("encoder.dropout",)))
    assert finding.advice.endswith("For a better one: encoder.dropout, a smaller model, more pairs")


@pytest.mark.parametrize(("clip_norm", "advised"), [(None, True), (5.0, True), (1.0, False), (0.5, False)])
@pytest.mark.parametrize("losses", [[6.0, None, 4, 3, 3, 3, 3], [30, 25, 20, 18, 14, 16, 12.0]])
def test_clipping_is_advised_unless_gradients_are_clipped(
    losses: list[float | None], clip_norm: float | None, advised: bool
) -> None:
    (finding,) = check_curves(history(events(losses), clip_norm=clip_norm))
    assert ("clip_norm" in finding.advice) == advised


@pytest.mark.parametrize("attends", [False, True])
def test_attention_is_advised_to_models_without(attends: bool) -> None:
    outputs = [ValidationOutput(n, f"ein Satz {n}", f"sentence {n}", "yes") for n in range(1, 5)]
    finding, *_ = check_outputs(outputs, attends=attends)
    assert ("add attention" in finding.advice) != attends


@pytest.mark.parametrize("limits_ratio", [False, True])
def test_a_limit_of_the_ratio_is_advised_if_there_is_none(tmp_path: Path, limits_ratio: bool) -> None:
    files = tmp_path / "train.de", tmp_path / "train.en"
    words = [[f"w{n}{i}" for i in range(5 + n % 17)] for n in range(200)]
    for side, file in enumerate(files):
        lines = [" ".join(line * (9 if n == 7 and side else 1)) for n, line in enumerate(words)]
        file.write_text("".join(f"{side} {line}\n" for line in lines), "utf-8")
    findings = check_corpus(Survey(Corpus(files, languages=("de", "en"))), limits_ratio=limits_ratio)
    (finding,) = [finding for finding in findings if "length ratio" in finding.what]
    assert ("data.max_ratio" in finding.advice) != limits_ratio


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({}, "these characters are not in the training text"),
        ({"character_coverage": 0.99}, "set subwords.character_coverage to 1.0"),
        ({"model": "spm.model"}, "subwords.model was trained on other text"),
        ({"kind": "pretokenized"}, "raise subwords.size, or set subwords.kind"),
        ({"kind": "pretokenized", "min_count": 2}, "raise subwords.size or lower subwords.min_count"),
    ],
)
def test_unknown_tokens_are_reported_with_the_setting_behind_them(
    settings: dict[str, Any], advice: str
) -> None:
    assert advice in advise_on_unknown(SubwordSettings(**settings))


@pytest.mark.parametrize(
    ("threads", "load", "cores", "advice"),
    [
        (2, 0.3, 2, None),
        (2, 1.0, 2, None),
        (2, 1.2, 2, "training.threads=1"),
        (2, 7.5, 2, "training.threads=1"),
        (1, 7.5, 2, None),
        (16, 9.0, 16, "training.threads=7"),
        (4, 9.0, 16, None),
    ],
)
def test_fewer_threads_are_advised_on_a_busy_machine(
    threads: int, load: float, cores: int, advice: str | None
) -> None:
    findings = list(check_load(threads, load, cores))
    assert [finding.advice.split()[0] for finding in findings] == ([advice] if advice else [])
