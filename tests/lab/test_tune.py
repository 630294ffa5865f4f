"""`nmt tune`: measurements, the choice, and the file that records it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmt.decoding.job import Job
from nmt.decoding.options import Options
from nmt.decoding.translation import translate_lines
from nmt.errors import DataError, UsageError
from nmt.evaluation.metrics import Score
from nmt.lab.tune.calibration import calibrate_quality, correlate_ranks, fit_quality, measure_reliability
from nmt.lab.tune.penalty_sweep import sweep_penalties
from nmt.lab.tune.search_grid import GridPoint, ValidationPairs, choose_setting, measure_grid
from nmt.recipe.artifact import find_trained
from nmt.recipe.tasks.translation import build_job, load_translator
from tests.decoding.models import random_model
from tests.decoding.words import CutWords
from tests.end_to_end.toy import done, nmt

ARTIFACTS = Path(__file__).resolve().parent.parent / "compatibility" / "v0.1"
LINES = ["w1 w2 w3", "", "w4 w5. W6 w7.", "w8", *(f"w{n} w{n + 1} w{2 * n}" for n in range(9, 29))]


def small_job(beam: int, seed: int = 2) -> Job:
    words = CutWords(60)
    model = random_model(seed, vocabulary=60, sharpness=2.0, eos=3.0)
    return Job(model, words, words, Options(beam=beam, max_ratio=1.0, max_extra=5, batch=4))


@pytest.mark.parametrize("beam", [1, 3, 5])
@pytest.mark.parametrize("seed", [2, 3])
def test_a_sweep_finds_what_a_search_with_each_penalty_finds(beam: int, seed: int) -> None:
    job, penalties = small_job(beam, seed), [1.5, 0.0, 0.6, 1.0]
    found = sweep_penalties(LINES, job, penalties)
    for penalty, texts in zip(penalties, found, strict=True):
        alone = job._replace(options=replace(job.options, length_penalty=penalty))
        assert texts == [one.text for one in translate_lines(((line, None) for line in LINES), alone)]
    assert beam == 1 or len({*map(tuple, found)}) > 1  # the penalties make a difference


def test_the_grid_has_the_scores_of_each_setting() -> None:
    job = small_job(2)
    references = [one.text for one in translate_lines(((line, None) for line in LINES), job)]
    pairs = ValidationPairs(LINES, references, "chrf")
    points = measure_grid(job, pairs, [3, 1, 2, 2], [0.5, 1.0])
    assert [point[:2] for point in points] == [(1, 1.0), (2, 0.5), (2, 1.0), (3, 0.5), (3, 1.0)]
    best = points[2]  # its translations are the references
    assert best.score.value == pytest.approx(100)
    assert (best.behind, best.behind_noise, best.noise) == (0, 0, 0)
    assert all(point.behind == pytest.approx(100 - point.score.value) for point in points)


def point(beam: int, penalty: float, behind: float, noise: float = 0.2) -> GridPoint:
    return GridPoint(beam, penalty, Score("chrF2", 50 - behind, ""), 1.0, behind, noise, 1.0)


def test_the_smallest_beam_within_the_noise_is_chosen() -> None:
    points = [point(1, 1.0, 0.5), point(3, 0.5, 0.15), point(3, 1.0, 0.19), point(8, 0.5, 0.0, 0.0)]
    assert choose_setting(points, default_penalty=1.0)[:2] == (
        3,
        1.0,
    )  # the default penalty, though 0.5 scores higher
    assert choose_setting(points, default_penalty=0.7)[:2] == (3, 0.5)
    assert choose_setting([point(1, 1.0, 0.5), point(8, 0.5, 0.0, 0.0)], default_penalty=1.0)[:2] == (8, 0.5)


def test_a_fit_finds_the_probability_that_made_the_data() -> None:
    draw = np.random.default_rng(1)
    features = draw.normal(size=(20_000, 2)) * [1.0, 5.0] + [3.0, -2.0]
    logit = 1.5 * (features[:, 0] - 3) + 0.2 * (features[:, 1] + 2) - 0.5
    good = draw.random(len(logit)) < 1 / (1 + np.exp(-logit))
    fit = fit_quality(features, 50 + 10 * logit, good)
    assert fit.weights == pytest.approx([1.5, 0.2], rel=0.06)
    bins = measure_reliability(fit(features), good)
    assert sum(one.lines for one in bins) == len(good)
    assert all(abs(one.quality - one.good) < 0.05 for one in bins)


def test_features_that_do_not_vary_and_perfect_separation_give_finite_weights() -> None:
    x = np.linspace(0, 1, 40)
    fit = fit_quality(np.stack([x, np.ones_like(x)], axis=1), 100 * x, x > 0.5)
    assert np.isfinite([*fit.weights, fit.bias]).all()
    assert fit(np.array([[1.0, 1.0]]))[0] > 0.9


def test_rank_correlation() -> None:
    a = np.array([1.0, 2.0, 2.0, 4.0])
    assert correlate_ranks(a, a) == 1
    assert correlate_ranks(a, -a) == -1
    assert correlate_ranks(a, np.ones(4)) == 0
    # Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: 4.5 / sqrt(4.5 * 5).
    assert correlate_ranks(a, np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(4.5 / 22.5**0.5)


def test_lines_that_are_all_good_are_not_calibrated() -> None:
    job = small_job(2)
    references = [one.text for one in translate_lines(((line, None) for line in LINES), job)]
    with pytest.raises(DataError, match="choose another --good"):
        calibrate_quality(job, LINES, references, 50.0)
    with pytest.raises(DataError, match="more lines are needed"):
        calibrate_quality(job, LINES[:19], references[:19], 50.0)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Pairs of which every other reference is wrong, so that translations have different scores."""
    for language in ("de", "en"):
        lines = (ARTIFACTS / "text" / f"train.{language}").read_text(encoding="utf-8").splitlines()[:60]
        if language == "en":
            lines = [lines[-index] if index % 2 else line for index, line in enumerate(lines)]
        (tmp_path / f"pairs.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "pairs"


@pytest.fixture
def run(tmp_path: Path, pairs: Path) -> Path:
    """A tuned run, whose recipe has beam 3."""
    run = tmp_path / "run"
    shutil.copytree(ARTIFACTS / "interrupted", run, symlinks=True)
    tune(run, pairs, "--beams", "2", "--write")
    return run


def tune(model: Path, pairs: Path, *options: object) -> str:
    return done(nmt("tune", model, "--data", pairs, "--length-penalties", "0.5", "--good", "70", *options))


def edit_recipe(run: Path, old: str, new: str) -> None:
    text = (run / "recipe.yaml").read_text(encoding="utf-8")
    assert old in text
    (run / "recipe.yaml").write_text(text.replace(old, new), encoding="utf-8")


def test_the_choice_is_printed_and_nothing_is_written_unless_asked(tmp_path: Path, pairs: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(ARTIFACTS / "interrupted", run, symlinks=True)
    before = sorted(run.rglob("*"))
    printed = tune(run, pairs, "--beams", "2,5")
    assert "beam length penalty" in printed
    assert "chosen" in printed
    assert "with the recipe's beam 3, length penalty 1" in printed
    facts = json.loads(tune(run, pairs, "--beams", "2", "--json"))
    assert [one["beam"] for one in facts["settings"]] == [2, 2, 3, 3]
    assert facts["tuning"]["quality"]["evidence"]["lines"] == 60
    assert sorted(run.rglob("*")) == before


def test_a_plot_without_calibration_is_reported(run: Path, pairs: Path, tmp_path: Path) -> None:
    plot = tmp_path / "reliability.svg"
    result = nmt("tune", run, "--data", pairs, "--beams", "2", "--good", "0", "--plot", plot)
    assert result.exit_code == 0
    assert "reliability.svg was not written: the quality of lines is not calibrated" in " ".join(
        result.stderr.split()
    )
    assert not plot.exists()


def test_a_tuned_run_is_searched_as_chosen(run: Path) -> None:
    loaded = load_translator(run)
    assert (loaded.recipe.search.beam, loaded.recipe.search.length_penalty) == (2, 1.0)
    assert build_job(loaded).options.beam == 2
    assert load_translator(run / "checkpoints" / "best").recipe.search.beam == 2


def test_the_recipe_and_its_resume_stay_as_they_were(run: Path) -> None:
    assert (run / "recipe.yaml").read_bytes() == (ARTIFACTS / "interrupted" / "recipe.yaml").read_bytes()
    tuned = find_trained(run).tuning
    assert tuned is not None
    assert tuned.search.replaced.beam == 3


def test_a_recipe_whose_search_is_edited_is_obeyed(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit_recipe(run, "beam: 3", "beam: 4")
    assert load_translator(run).recipe.search.beam == 4
    assert "search of recipe.yaml has changed" in caplog.text


def test_the_choice_for_other_weights_is_not_used(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = run / "tuning.json"
    facts = json.loads(file.read_bytes())
    file.write_text(json.dumps(facts | {"weights": "0" * 64}), encoding="utf-8")
    assert load_translator(run).recipe.search.beam == 3
    assert "is for other weights" in caplog.text
    done(nmt("average", run, "-o", run.parent / "model"))
    assert not (run.parent / "model" / "tuning.json").exists()


@pytest.mark.parametrize("content", ["{}", "[", '{"weights": 1}', "null"])
def test_a_damaged_choice_is_refused(run: Path, content: str) -> None:
    (run / "tuning.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"tuning\.json: refused"):
        load_translator(run)


def test_values_out_of_range_are_refused(run: Path) -> None:
    file = run / "tuning.json"
    text = file.read_text(encoding="utf-8")
    changes = {'"beam": 2': '"beam": 0', '"log_prob"': '"shoe_size"', '"bias": ': '"bias": 1e999, "x": '}
    for old, new in changes.items():
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(DataError, match=r"tuning\.json: refused"):
            load_translator(run)


def test_the_choice_goes_along_with_the_weights(run: Path, tmp_path: Path) -> None:
    done(nmt("average", run, "-o", tmp_path / "model"))
    assert load_translator(tmp_path / "model").recipe.search.beam == 2
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "Search: beam 2, length penalty 1, chosen on 60 validation lines" in card
    assert "Quality: the probability that chrF is 70 or more" in card


def test_a_model_directory_is_tuned_with_its_checksums_and_card(tmp_path: Path, pairs: Path) -> None:
    model = tmp_path / "model"
    done(nmt("average", ARTIFACTS / "interrupted", "-o", model))
    tune(model, pairs, "--beams", "2", "--write")
    tune(model, pairs, "--beams", "1", "--write")
    assert load_translator(model).recipe.search.beam == 1
    card = (model / "README.md").read_text(encoding="utf-8")
    assert card.count("## Search and quality") == 1
    assert "Search: beam 1" in card
    assert "## Intended use and limits" in card
    file = model / "tuning.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"beam": 1', '"beam": 7'), encoding="utf-8")
    with pytest.raises(DataError, match="checksum mismatch"):
        load_translator(model)


def test_a_choice_that_the_checksums_do_not_list_is_not_used(run: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    done(nmt("average", ARTIFACTS / "interrupted", "-o", model))
    shutil.copy(run / "tuning.json", model)
    assert load_translator(model).recipe.search.beam == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beams", "0"], "--beams: expected whole numbers"),
        (
            ["--beams", "2.5"],
            "--beams: expected whole numbers from 1 to 10,000, such as 1,3,5 (got '2.5')",
        ),
        (["--beams", "2,20000"], "(got '2,20000')"),
        (
            ["--length-penalties", "-1"],
            "--length-penalties: expected numbers from 0 to 10, such as 0,0.5,1 (got '-1')",
        ),
        (["--length-penalties", "0,11"], "(got '0,11')"),
        (["--length-penalties", "much"], "(got 'much')"),
        (["--metric", "loss"], "no metric 'loss'"),
    ],
)
def test_wrong_options_are_refused(options: list[str], message: str) -> None:
    result = nmt("tune", ARTIFACTS / "interrupted", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_export_is_not_tuned() -> None:
    result = nmt("tune", ARTIFACTS / "onnx")
    assert result.exit_code == UsageError.exit_code
    assert "tune the run" in result.stderr
