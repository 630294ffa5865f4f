"""The card of a model that is passed on: front matter for hubs, and what a reader should know."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from nmt.data.corpora import list_corpus_names, read_card
from nmt.evaluation.metrics import Score
from nmt.recipe.artifact import average_checkpoints
from nmt.recipe.model_card import LICENCES, CardScores, find_corpus, format_card
from nmt.recipe.reader import read_any_recipe

ARTIFACTS = Path(__file__).parents[1] / "compatibility" / "v0.1"
SCORES = [Score("BLEU", 34.567, "nrefs:1|case:mixed"), Score("chrF2", 60.0, "nrefs:1")]


def front_matter(card: str) -> dict[str, Any]:
    start, front, _ = card.split("---\n", 2)
    assert start == ""
    values: dict[str, Any] = yaml.safe_load(front)
    return values


def test_a_card_names_languages_licence_scores_and_data() -> None:
    recipe = read_any_recipe(["quickstart-lstm"])
    corpus = find_corpus(recipe, Path("no-run"))
    scores = CardScores("On the test set:", SCORES, "phrasebook")
    card = format_card("mine", recipe, corpus, what="the best", scores=scores)
    front = front_matter(card)
    assert front["language"] == ["en", "ko"]
    assert front["license"] == "apache-2.0"
    assert (front["library_name"], front["pipeline_tag"]) == ("recurrent-nmt", "translation")
    assert {"translation", "lstm"} <= {*front["tags"]}
    [result] = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == "phrasebook"
    assert [(score["type"], score["value"]) for score in result["metrics"]] == [("bleu", 34.57), ("chrf", 60)]
    for text in (
        "nrefs:1|case:mixed",
        "Korean sentences",
        "nmt translate mine",
        "## Intended use and limits",
    ):
        assert text in card


def test_the_licence_of_other_data_is_to_be_added() -> None:
    recipe = read_any_recipe(["quickstart-lstm"], ["data.root=."])
    card = format_card("mine", recipe, find_corpus(recipe, Path("no-run")), what="the best")
    assert "license" not in front_matter(card)
    assert "licence of this text is not recorded" in card


def test_a_corpus_is_known_by_the_checksums_of_a_run(tmp_path: Path) -> None:
    recipe = read_any_recipe(["quickstart-lstm"], ["data.root=."])
    sums = [file.sha256 for file in read_card("bible-ko-en").files[:2]]
    (tmp_path / "material.json").write_text(json.dumps({"the training pairs": sums}), encoding="utf-8")
    corpus = find_corpus(recipe, tmp_path)
    assert corpus is not None
    assert corpus.name == "bible-ko-en"


@pytest.mark.parametrize("name", list_corpus_names())
def test_every_corpus_has_a_licence_that_hubs_accept(name: str) -> None:
    recipe = read_any_recipe(["quickstart-lstm"], [f"data.root=corpus:{name}"])
    front = front_matter(format_card("mine", recipe, read_card(name), what="the best"))
    assert front["license"] in LICENCES or (front["license"] == "other" and front["license_name"])


def test_names_forge_no_front_matter() -> None:
    recipe = read_any_recipe(["quickstart-lstm"], ['data.src="ko\\nlicense: mit"', "data.root=."])
    front = front_matter(format_card("a\n---\nlicense: mit", recipe, None, what="the best"))
    assert front["language"] == ["en"]
    assert "license" not in front


def run_with_scores(folder: Path) -> Path:
    run = folder / "run"
    shutil.copytree(ARTIFACTS / "interrupted", run, symlinks=True)
    scores = [score._asdict() for score in SCORES]
    (run / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    return run


def test_scores_are_of_the_checkpoint_that_was_tested(tmp_path: Path) -> None:
    run = run_with_scores(tmp_path)
    average_checkpoints(run, ["best"], tmp_path / "best")
    average_checkpoints(run, ["best", "last"], tmp_path / "mean")
    best, mean = ((tmp_path / name / "README.md").read_text(encoding="utf-8") for name in ("best", "mean"))
    assert "34.57" in best
    assert "not of this mean" not in best
    assert "34.57" in mean
    assert "not of this mean" in mean
    assert "model-index" not in front_matter(mean)


def test_a_model_directory_describes_itself_to_other_programs(tmp_path: Path) -> None:
    average_checkpoints(run_with_scores(tmp_path), [], tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_bytes())
    assert config["languages"] == ["de", "en"]
    assert config["parameters"] > 1000
    sums = json.loads((tmp_path / "model/model.json").read_bytes())["sha256"]
    assert {*sums} == {path.name for path in (tmp_path / "model").iterdir()} - {"README.md", "model.json"}
    assert len({path.stat().st_mode for path in (tmp_path / "model").iterdir()}) == 1
