"""`nmt train` in several processes: what they make together, and who writes it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nmt.recipe import training as experiment
from nmt.recipe.reader import read_any_recipe
from nmt.training.distributed import Processes
from tests.end_to_end.toy import done, nmt, write_phrases
from tests.training.process_group import in_processes, values

PAIRS = """\
data: {root: text, src: de, tgt: en, train: train, valid: valid}
subwords: {size: 60, sampling: 0.2}
encoder: {cell: gru, embedding: 16, hidden: 16}
decoder: {cell: lstm, embedding: 16, hidden: 16}
training:
  learning_rate: {peak: 1e-2}
  batch: {by: tokens, size: 200}
  accumulate: 2
  stop_after: 12u
  validation: {every: 6u}
  threads: 1
search: {max_ratio: 1.0, max_extra: 2}
"""

TEXT = """\
task: language-model
data: {root: text, train: train.de, valid: valid.de}
subwords: {kind: char, size: 60}
decoder: {cell: gru, embedding: 16, hidden: 16}
training:
  learning_rate: {peak: 1e-2}
  batch: {size: 3}
  chunk: 40
  stop_after: 12u
  checkpoint_every: 5u
  keep: 9
  validation: {every: 12u, samples: 1}
  threads: 1
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_phrases(tmp_path / "text", {"train": 200, "valid": 15, "test": 3})
    return tmp_path


def train(recipe: Path, run: Path, count: int, *settings: str) -> None:
    """The recipe in so many processes."""

    def work(_: Processes) -> None:
        experiment.train(read_any_recipe([str(recipe)], settings), run)

    values(in_processes(count, work))


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def close(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert len(one) == len(other) > 0
    for mine, theirs in zip(one, other, strict=True):
        for name, value in mine.items():
            expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-4)
            assert theirs[name] == expected, name


def test_two_processes_train_and_validate_as_one_does(home: Path) -> None:
    recipe = home / "pairs.yaml"
    recipe.write_text(PAIRS, encoding="utf-8")
    done(nmt("train", recipe, "-o", "one"))
    train(recipe, Path("two"), 2)
    close(events(home / "one"), events(home / "two"))
    for name in ("u0000006", "u0000012"):
        one, two = (home / run / "validation" / f"{name}.hyp" for run in ("one", "two"))
        assert two.read_text(encoding="utf-8").count("\n") == 15
        assert one.read_text(encoding="utf-8") == two.read_text(encoding="utf-8")
    assert sorted(os.listdir("one")) == sorted(os.listdir("two"))
    assert "2 processes share every batch" in Path("two/train.log").read_text(encoding="utf-8")


def test_streams_of_a_text_are_shared_and_resumed_by_another_number_of_processes(home: Path) -> None:
    """Three streams: two processes have two and one of them, of four processes one has none."""
    recipe = home / "text.yaml"
    recipe.write_text(TEXT, encoding="utf-8")
    done(nmt("train", recipe, "-o", "one"))
    train(recipe, Path("two"), 2, "training.stop_after=5u")
    train(recipe, Path("two"), 4)
    one, two = events(home / "one"), [e for e in events(home / "two") if e["update"] > 5]
    close(one[-1:], two[-1:])


ONCE = """
import os, signal, sys
from nmt.training.update import Learner
from nmt.cli.app import main

made, update = [], Learner.update

def make(*arguments, **settings):
    if len(made) == 7 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    made.append(None)
    return update(*arguments, **settings)

Learner.update = make
main()
"""


@pytest.mark.slow
def test_torchrun_restarts_a_run_after_a_kill_with_the_same_result(home: Path) -> None:
    recipe, program = home / "pairs.yaml", home / "once.py"
    recipe.write_text(
        PAIRS.replace("hidden: 16}", "hidden: 16, dropout: {embedding: 0.2}}"), encoding="utf-8"
    )
    program.write_text(ONCE, encoding="utf-8")
    train(recipe, Path("whole"), 2, "training.checkpoint_every=3u", "training.keep=9")
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launched, "--max-restarts", "1", str(program), "train", str(recipe), "-o", "killed"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(
        [*command, "training.checkpoint_every=3u", "training.keep=9"],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "killed\n"
    assert "resuming from killed/checkpoints/u0000006" in ran.stderr
    for name in ("last/model.safetensors", "last/trainer.safetensors"):
        assert (home / "killed/checkpoints" / name).read_bytes() == (
            home / "whole/checkpoints" / name
        ).read_bytes()
    assert (home / "killed/metrics.jsonl").read_bytes() == (home / "whole/metrics.jsonl").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed (recurrent-nmt[ray])"
)
def test_the_example_for_ray_train_gives_what_torchrun_would(home: Path) -> None:
    recipe = home / "pairs.yaml"
    recipe.write_text(PAIRS, encoding="utf-8")
    train(recipe, Path("forked"), 2)
    example = Path(__file__).parents[2] / "docs" / "examples" / "ray_train.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, example, recipe, home / "ray-run", "2"], env=environment, check=True)
    for name in ("checkpoints/last/model.safetensors", "metrics.jsonl"):
        assert (home / "ray-run" / name).read_bytes() == (home / "forked" / name).read_bytes()


def test_the_examples_for_clusters_can_be_read() -> None:
    examples = Path(__file__).parents[2] / "docs" / "examples"
    subprocess.run(["bash", "-n", examples / "slurm.sh"], check=True)
    job = yaml.safe_load((examples / "kubernetes.yaml").read_text(encoding="utf-8"))
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert replicas["Worker"]["template"] == replicas["Master"]["template"]
    [container] = replicas["Worker"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["nmt", "train"]
