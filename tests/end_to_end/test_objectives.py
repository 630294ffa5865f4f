"""Each thing that training can minimise, from a recipe to a run; stopped and gone on with, it is the same."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.toy import done, nmt, spelt, write_corpus, write_recipe
from tests.grid import mark_slow

SMALL = ("encoder.embedding=8", "encoder.hidden=8", "decoder.embedding=8", "decoder.hidden=16")
STEADY = ("training.learning_rate.schedule=constant", "training.learning_rate.warmup=0")
DROPOUT = ("encoder.dropout.embedding=0.2", "decoder.dropout.output=0.2")
SETTINGS: dict[str, tuple[str, ...]] = {
    "minimum-risk": ("training.objective=minimum-risk", "training.risk.likelihood=0.1", *DROPOUT),
    "minimum-risk by BLEU": (
        "training.objective=minimum-risk",
        "training.risk.metric=bleu",
        "training.risk.reference=false",
    ),
    "reinforce": ("training.objective=reinforce", "training.risk.likelihood=0.1", *DROPOUT),
    "reinforce against greedy": (
        "training.objective=reinforce",
        "training.risk.baseline=greedy",
        "training.risk.samples=1",
    ),
    "r_drop": ("training.r_drop=2.0", *DROPOUT),
    "switchout": ("training.switchout.source=1.0", "training.switchout.target=0.7"),
    "weight noise": ("training.weight_noise=0.05", "training.accumulate=2"),
    "coverage with input feeding": ("training.coverage=1.0", "decoder.input_feeding=true"),
}
QUICK = ("minimum-risk", "reinforce against greedy", "r_drop", "switchout", "weight noise")
REPORTED = {"minimum-risk": "risk", "reinforce": "risk", "r_drop": "divergence", "coverage": "coverage"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("objectives")
    return write_recipe(home / "toy.yaml", write_corpus(home / "corpus", spelt, train=40, held_out=4))


def train(recipe: Path, run: Path, *settings: str) -> list[dict[str, float]]:
    """The log of a run."""
    done(nmt("train", recipe, *SMALL, *STEADY, "training.batch.size=4", *settings, "-o", run))
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def same_end(run: Path, whole: Path) -> None:
    for file in ("model.safetensors", "trainer.safetensors"):
        last = Path("checkpoints/last", file)
        assert (run / last).read_bytes() == (whole / last).read_bytes()


@pytest.mark.parametrize("name", mark_slow(SETTINGS, default=QUICK))
def test_a_resumed_run_ends_like_an_uninterrupted_one(name: str, recipe: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe, whole, *SETTINGS[name], "training.stop_after=6u")
    train(recipe, parts, *SETTINGS[name], "training.stop_after=3u")
    train(recipe, parts, *SETTINGS[name], "training.stop_after=6u")
    same_end(parts, whole)


@pytest.mark.parametrize(
    "settings",
    [
        ("training.r_drop=1.0", "decoder.dropout.output=0.2"),
        ("training.chunk=7", "training.weight_noise=0.02"),
    ],
)
def test_a_resumed_language_model_ends_like_an_uninterrupted_one(
    settings: tuple[str, ...], recipe: Path, tmp_path: Path
) -> None:
    text, corpus = tmp_path / "text.yaml", recipe.parent / "corpus"
    text.write_text(
        f"task: language-model\ndata: {{root: {corpus}, train: train.src, valid: valid.src}}\n"
        "subwords: {kind: pretokenized}\ndecoder: {embedding: 8, hidden: 8}\n"
        "training: {batch: {size: 4}, validation: {every: 3u, samples: 0}, threads: 1}\n",
        encoding="utf-8",
    )
    for run, spans in {"whole": ["6u"], "parts": ["3u", "6u"]}.items():
        for span in spans:
            done(nmt("train", text, *settings, f"training.stop_after={span}", "-o", tmp_path / run))
    same_end(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize(
    "name",
    mark_slow(
        ["minimum-risk", "reinforce", "r_drop", "coverage with input feeding"],
        default=["coverage with input feeding"],
    ),
)
def test_other_terms_of_the_loss_are_logged(name: str, recipe: Path, tmp_path: Path) -> None:
    short = ("training.stop_after=50u", "training.risk.samples=2")
    events = train(recipe, tmp_path / "run", *SETTINGS[name], *short)
    updates = [event for event in events if event["event"] == "update"]
    assert updates[0][REPORTED[name.split(" ")[0]]] > 0


def test_every_validation_measures_the_model_on_its_own_words(recipe: Path, tmp_path: Path) -> None:
    events = train(recipe, tmp_path / "run", "training.stop_after=2u")
    assert [event["free_loss"] > 0 for event in events if event["event"] == "validation"] == [True]


@pytest.mark.slow
def test_risk_falls_where_it_is_minimised(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", spelt, train=2000)
    recipe, base = write_recipe(tmp_path / "toy.yaml", corpus), tmp_path / "base"
    done(
        nmt(
            "train",
            recipe,
            *STEADY,
            "training.learning_rate.peak=3e-3",
            "training.stop_after=100u",
            "-o",
            base,
        )
    )
    for objective in ("minimum-risk", "reinforce"):
        settings = (
            f"training.objective={objective}",
            f"training.start_from={base}",
            "training.risk.samples=4",
        )
        run = tmp_path / objective
        short = ("training.learning_rate.peak=1e-3", "training.stop_after=100u")
        done(nmt("train", recipe, *STEADY, *settings, *short, "-o", run))
        events = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        risks = [event["risk"] for event in events if event["event"] == "update"]
        assert risks[-1] < 0.8 * risks[0], objective
