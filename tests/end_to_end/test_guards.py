"""A run that goes wrong ends with what it could not learn; `--verify-resume` sees what does not go on."""

import json
import multiprocessing
from pathlib import Path

import pytest
from safetensors.torch import load_file

from nmt.errors import DataError
from nmt.lab import verify_resume as verify
from nmt.recipe.reader import read_any_recipe
from nmt.training import snapshot
from tests.end_to_end.toy import done, nmt, reversed_, write_corpus

RECIPE = """\
data: {root: corpus, src: src, tgt: tgt, train: train, valid: valid}
subwords: {kind: pretokenized}
encoder: {cell: gru, embedding: 8, hidden: 8, dropout: {state: 0.1}}
decoder: {cell: gru, embedding: 8, hidden: 8, attention: general, dropout: {output: 0.2}}
training:
  learning_rate: {peak: 1e-2, schedule: cosine}
  batch: {size: 8}
  stop_after: 100u
  validation: {every: 8u, samples: 1}
  threads: 1
search: {max_ratio: 1.0, max_extra: 2}
"""
TEXT = """\
task: language-model
data: {root: corpus, train: train.src, valid: valid.src}
subwords: {kind: char}
decoder: {cell: gru, embedding: 8, hidden: 8}
training:
  learning_rate: {peak: 1e38}
  clip_norm: null
  batch: {size: 4}
  chunk: 20
  validation: {every: 1e, samples: 0}
  guards: {skip: 2}
  threads: 1
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "corpus", reversed_, train=100, held_out=6)
    file = tmp_path / "run.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


@pytest.fixture
def _quick_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forked, so that each has torch already."""
    monkeypatch.setattr(verify, "get_context", lambda _: multiprocessing.get_context("fork"))


@pytest.mark.usefixtures("_quick_processes")
def test_exact_resume_is_verified(recipe: Path, tmp_path: Path) -> None:
    found = nmt("train", recipe, "--verify-resume", "--kill-at", "6")
    assert done(found).startswith(
        "exact: 12 updates with a kill -9 after 6 equal uninterrupted ones bit for bit"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_exact_resume_is_verified_with_spawned_processes(recipe: Path) -> None:
    assert done(nmt("train", recipe, "--verify-resume", "--kill-at", "6")).startswith("exact: 12 updates")


@pytest.mark.usefixtures("_quick_processes")
@pytest.mark.parametrize(
    ("forgotten", "named"),
    [("load_generator_tensors", "weights "), ("load_optimiser_tensors", "weights ")],
)
def test_an_inexact_resume_is_detected(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str, named: str
) -> None:
    monkeypatch.setattr(snapshot, forgotten, lambda *_: None)
    found = nmt("train", recipe, "--verify-resume", "--kill-at", "6")
    assert (found.exit_code, found.stdout) == (1, "")
    assert f"nmt: resuming did not reproduce the uninterrupted run: {named}" in found.stderr


@pytest.mark.slow
def test_obstacles_to_the_verification_are_reported(recipe: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = nmt("train", recipe, "data.train=nix", "--verify-resume")
    assert found.exit_code == 1
    assert "the training ended with exit code 1 instead of 0; see its output above" in found.stderr
    said = capfd.readouterr().err
    assert "no file" in said
    assert "Traceback" not in said


def test_the_rates_of_a_run_that_is_verified_are_those_of_the_whole_run(recipe: Path) -> None:
    short = verify.shorten_recipe(read_any_recipe([str(recipe)]), 6).training
    assert [str(span) for span in (short.stop_after, short.learning_rate.span, short.checkpoint_every)] == [
        *("12u", "100u", "3u")
    ]


def test_the_first_difference_is_reported() -> None:
    one = {"weights w": b"\x00\xff", "metrics.jsonl, line 1": b'{"loss": 1}'}
    assert verify.compare_results(one, dict(one)) == 2
    with pytest.raises(DataError, match="weights w is 01ff instead of 00ff"):
        verify.compare_results(one, {**one, "weights w": b"\x01\xff"})
    with pytest.raises(DataError, match=r"line 1 is missing instead of \{.loss.: 1\}"):
        verify.compare_results(one, {"weights w": b"\x00\xff"})
    with pytest.raises(DataError, match="line 2 is x instead of missing"):
        verify.compare_results(one, {**one, "metrics.jsonl, line 2": b"x"})


def test_a_diverged_run_ends_with_the_lines_of_its_bad_batches(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = ("training.learning_rate.peak=1e38", "training.clip_norm=null", "training.guards.skip=2")
    ended = nmt("train", recipe, *settings, "-o", run)
    assert ended.exit_code == 1
    assert "became" in ended.stderr
    assert "update 2" in ended.stderr
    assert "in 3 updates in a row. The batches of this update are saved in" in ended.stderr
    assert "Traceback" not in ended.stderr
    facts = json.loads((run / "bad-batch" / "batch.json").read_text(encoding="utf-8"))["facts"]
    kept = load_file(run / "bad-batch" / "batch.safetensors")
    [lines] = facts["lines"]
    words = [
        line.split() for line in (tmp_path / "corpus" / "train.src").read_text(encoding="utf-8").splitlines()
    ]
    assert [len(words[line - 1]) + 1 for line in lines] == kept["0/src_lengths"].tolist()
    assert (run / "metrics.jsonl").read_text(encoding="utf-8").count('"event": "skip"') == 2


def test_of_a_text_it_names_the_lines_that_its_streams_were_in(recipe: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.yaml"
    file.write_text(TEXT, encoding="utf-8")
    assert nmt("train", file, "-o", tmp_path / "text").exit_code == 1
    facts = json.loads((tmp_path / "text" / "bad-batch" / "batch.json").read_text(encoding="utf-8"))["facts"]
    [lines], [places] = facts["lines"], facts["pairs"]
    assert len(lines) == len(places) == 4
    assert 5 < lines[0] < 10  # the third chunk of the text's first quarter
    assert 50 < lines[2] < lines[3] < 90


def test_a_run_by_the_minute_ends(recipe: Path, tmp_path: Path) -> None:
    settings = ("training.stop_after=0.001m", "training.checkpoint_every=0.0005m")
    settings = (*settings, "training.learning_rate.schedule=constant")
    assert done(nmt("train", recipe, *settings, "-o", tmp_path / "run"))
    assert (tmp_path / "run" / "checkpoints" / "last").is_dir()
