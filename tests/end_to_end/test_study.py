"""`nmt study run` from a file to its report; members run in this process, but for the slow test."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt.lab.processes import ChildProcesses
from tests.end_to_end.toy import copied, done, nmt, write_corpus, write_recipe

STUDY = """\
# Does a gate help?
recipe: toy.yaml
settings:
  encoder: {embedding: 8, hidden: 8}
  decoder: {embedding: 8, hidden: 8}
  training: {stop_after: 4u, learning_rate: {warmup: 1}, validation: {every: 2u}}
vary:
  cell:
    rnn: {encoder: {cell: rnn}, decoder: {cell: rnn}}
    gru: {encoder: {cell: gru}, decoder: {cell: gru}}
  pairs:
    40: {data: {first: 40}}
    80: {data: {first: 80}}
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_recipe(tmp_path / "toy.yaml", write_corpus(tmp_path / "corpus", copied, train=100, held_out=12))
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The members that were trained, each in this process."""
    names: list[str] = []

    def call(self: ChildProcesses, words: Sequence[str], log: int, **options: object) -> int:
        names.append(Path(words[4]).stem)
        result = nmt(*words[3:])
        os.write(log, result.output.encode())
        return result.exit_code

    monkeypatch.setattr(ChildProcesses, "run", call)
    return names


def test_a_study_is_trained_reported_and_resumed(study: Path, trained: list[str]) -> None:
    assert done(nmt("study", "run", "study.yaml")) == "studies/study/report.html\n"
    assert trained == ["rnn,40,seed1", "rnn,80,seed1", "gru,40,seed1", "gru,80,seed1"]
    report = (study / "studies/study/report.md").read_text("utf-8")
    assert report.startswith("# Does a gate help?\n")
    assert report.count("BLEU|nrefs:1|case:mixed") == 1
    assert "4 of 4 runs" in report
    assert "    nmt study run study.yaml\n" in report
    again = nmt("study", "run", "study.yaml")
    assert "4 of 4 members are finished" in again.stderr
    assert len(trained) == 4
    assert (study / "studies/study/report.md").read_text("utf-8") == report  # the same, to the last digit


def test_a_failed_member_is_reported_and_retried(study: Path, trained: list[str]) -> None:
    (study / "study.yaml").write_text(STUDY.replace("first: 40", "min_length: 90"), "utf-8")
    failed = nmt("study", "run", "study.yaml", "-o", "out")
    assert failed.exit_code == 1
    assert "2/4  rnn,80,seed1: done" in failed.stderr
    assert "failed (exit code 1): nmt: no pair is left" in failed.stderr
    assert "2 of 4 members failed; run the same command to retry them" in failed.stderr
    assert "| gru,40,seed1 | nmt: no pair is left" in (study / "out/report.md").read_text("utf-8")
    (study / "study.yaml").write_text(STUDY, "utf-8")
    assert nmt("study", "run", "study.yaml", "-o", "out").exit_code == 0
    assert trained[4:] == ["rnn,40,seed1", "gru,40,seed1"]


def test_a_plan_trains_nothing(study: Path, trained: list[str]) -> None:
    plan = done(nmt("study", "run", "study.yaml", "--plan"))
    assert "4 members: each with seed 1" in plan
    assert max(map(len, plan.splitlines())) <= 80
    assert not trained
    assert not (study / "studies").exists()


def test_one_study_is_named_and_the_list_fits_the_screen() -> None:
    assert nmt("study", "run", "a.yaml", "b.yaml").exit_code == 2
    listed = done(nmt("study", "ls")).splitlines()
    assert listed[0].startswith("depth")
    assert max(map(len, listed)) <= 80


@pytest.mark.slow
def test_members_are_processes_and_two_run_at_once(study: Path) -> None:
    command = [sys.executable, "-m", "nmt", "study", "run", "study.yaml", "--jobs", "2"]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert ran.stderr.count(": done") == 4
    assert (study / "studies/study/report.html").is_file()
