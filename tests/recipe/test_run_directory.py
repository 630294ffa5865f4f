"""A run directory: whose it is, what may change when a run goes on, and what a failed start leaves."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nmt.cli.app import app
from nmt.files import temporary_file

RECIPE = """
data: {src: de, tgt: en, train: train, valid: valid, test: valid}
subwords: {kind: pretokenized}
encoder: {embedding: 4, hidden: 4}
decoder: {embedding: 4, hidden: 4, attention: none}
training: {stop_after: 2u, batch: {size: 4}, validation: {every: 2u, metric: loss}}
search: {beam: 1, max_extra: 1}
evaluation: {metrics: [bleu]}
"""
PAIRS = 3 * [
    ("ein Hund", "a dog"),
    ("eine Maus", "a mouse"),
    ("der Hund", "the dog"),
    ("die Katze", "the cat"),
]


def write(folder: Path, name: str, pairs: list[tuple[str, str]]) -> None:
    for place, side in enumerate(("de", "en")):
        (folder / f"{name}.{side}").write_text("".join(f"{pair[place]}\n" for pair in pairs), "utf-8")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a recipe that is trained at once, beside its pairs."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tiny.yaml"
    file.write_text(RECIPE, "utf-8")
    write(tmp_path, "train", PAIRS)
    write(tmp_path, "valid", PAIRS[:4])
    return file


def nmt(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def update(run: str | Path) -> str:
    return (Path(run) / "checkpoints" / "last").readlink().name


def test_a_finished_run_goes_on_when_it_is_made_longer(recipe: Path) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    longer = nmt("train", recipe, "training.stop_after=5u", "-o", "run")
    assert longer.exit_code == 0, longer.stderr
    assert "training.stop_after was 2u, is 5u" in longer.stderr
    assert update("run") == "u0000005"
    assert "stop_after: 5u" in Path("run/recipe.yaml").read_text("utf-8")
    resumed = nmt("train", "run/recipe.yaml", "training.stop_after=6u", "-o", "run")
    assert resumed.exit_code == 0, resumed.stderr
    assert update("run") == "u0000006"


def test_what_was_learnt_with_other_settings_is_not_gone_on_with(recipe: Path) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    other = nmt("train", recipe, "training.learning_rate.peak=1", "training.stop_after=5u", "-o", "run")
    assert other.exit_code == 2
    assert "training.learning_rate.peak was 0.001, is 1.0" in other.stderr
    assert "stop_after" not in other.stderr
    assert "peak: 0.001" in Path("run/recipe.yaml").read_text("utf-8")


@pytest.mark.parametrize("name", ["cosine", "one-cycle"])
def test_a_schedule_that_ends_with_the_run_keeps_its_end(recipe: Path, name: str) -> None:
    schedule = f"training.learning_rate.schedule={name}"
    assert nmt("train", recipe, schedule, "-o", "run").exit_code == 0
    longer = nmt("train", recipe, schedule, "training.stop_after=5u", "-o", "run")
    assert longer.exit_code == 2
    assert f"stop_after was 2u, is 5u (the {name} ends there too" in longer.stderr


PLATEAU = "training.learning_rate.schedule=plateau"
RATE = "training.learning_rate.peak=0.25"


@pytest.mark.parametrize(
    ("before", "setting", "line"),
    [
        ("", RATE, "training.learning_rate.peak was 0.001, is 0.25"),
        ("", "training.learning_rate={schedule: plateau}", "learning_rate.schedule was constant, is plateau"),
        (
            "training.learning_rate.schedule=plateau",
            "training.learning_rate.schedule=constant",
            "is constant",
        ),
        ("", "training.label_smoothing=0.3", "training.label_smoothing was 0.1, is 0.3"),
        ("", "training.clip_norm=null", "training.clip_norm was 1.0, is null"),
        ("", "encoder.dropout.embedding=0.5", "encoder.dropout.embedding was 0.0, is 0.5"),
    ],
)
def test_a_setting_is_changed_by_name(recipe: Path, before: str, setting: str, line: str) -> None:
    assert nmt("train", recipe, *before.split(), "-o", "run").exit_code == 0
    longer = ("train", recipe, *before.split(), "training.stop_after=5u", "-o", "run")
    refused = nmt(*longer, setting)
    assert (refused.exit_code, "ask for it with --change " in refused.stderr) == (2, True)
    resumed = nmt(*longer, "--change", setting)
    assert (resumed.exit_code, update("run")) == (0, "u0000005")
    assert f"changed since the run started: {line}"[-len(line) :] in Path("run/train.log").read_text("utf-8")
    assert "different recipe" in nmt(*longer).stderr  # the run has the new value
    assert nmt(*longer, setting).exit_code == 0


def test_the_rate_that_was_asked_for_is_used_and_recorded(recipe: Path) -> None:
    still = "training.learning_rate.peak=1e-30"
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    assert nmt("run", recipe, "training.stop_after=4u", "--change", still, "-o", "run").exit_code == 0
    assert "e-30" in Path("run/recipe.yaml").read_text("utf-8")
    weights = [Path(f"run/checkpoints/{name}/model.safetensors") for name in ("u0000002", "u0000004")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_end_of_a_schedule_is_changed_by_name(recipe: Path) -> None:
    cosine = ("train", recipe, "training.learning_rate.schedule=cosine", "-o", "run")
    assert nmt(*cosine).exit_code == 0
    refused = nmt(*cosine, "training.stop_after=5u")
    assert "--change training.stop_after=VALUE" in refused.stderr
    assert nmt(*cosine, "--change", "training.stop_after=5u").exit_code == 0
    assert update("run") == "u0000005"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("encoder.hidden=8", "--change: encoder.hidden cannot change in a run that resumes"),
        ("training={learning_rate: {peak: 0.5}}", "--change: training cannot change in a run that resumes"),
        ("subwords.kind=char", "--change: subwords.kind cannot change in a run that resumes"),
        ("training.learning_rat=1", "did you mean 'learning_rate'"),
        ("training.clip_norm", "write key=value"),
    ],
)
def test_other_settings_do_not_change_by_name(recipe: Path, setting: str, message: str) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    refused = nmt("train", recipe, "training.stop_after=5u", "--change", setting, "-o", "run")
    assert (refused.exit_code, message in refused.stderr) == (2, True), refused.stderr
    assert update("run") == "u0000002"


def test_when_to_stop_may_change_by_any_metric(recipe: Path) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    stop_on = "training.validation.stop_on={loss: 3, accuracy: 4}"
    changed = nmt("train", recipe, stop_on, "training.validation.stop_when=all", "-o", "run")
    assert changed.exit_code == 0, changed.output
    assert "training.validation.stop_on.loss was not given, is 3" in changed.stderr
    average = nmt("train", recipe, "training.ema=0.9", "-o", "run")
    assert average.exit_code == 2
    assert "training.ema was null, is 0.9" in average.stderr


@pytest.mark.parametrize("name", ["train.de", "train.en", "valid.en"])
def test_a_run_does_not_go_on_with_changed_pairs(recipe: Path, name: str) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    text = Path(name).read_text("utf-8")
    Path(name).write_text(text.replace("Hund", "Wolf").replace("dog", "wolf"), "utf-8")
    result = nmt("train", recipe, "training.stop_after=5u", "-o", "run")
    assert result.exit_code == 1
    assert "pairs changed since run started" in result.stderr
    Path(name).write_text(text, "utf-8")
    assert nmt("train", recipe, "training.stop_after=5u", "-o", "run").exit_code == 0


def test_the_same_pairs_may_lie_elsewhere(recipe: Path, tmp_path: Path) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    shutil.copytree(tmp_path, tmp_path / "moved", ignore=shutil.ignore_patterns("run"))
    assert nmt("train", recipe, "data.root=moved", "training.stop_after=3u", "-o", "run").exit_code == 0


def test_a_run_does_not_go_on_with_another_vocabulary(recipe: Path) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    vocabulary = Path("run/source.vocab")
    vocabulary.write_text(vocabulary.read_text("utf-8").replace("Hund", "Wolf"), "utf-8")
    result = nmt("train", recipe, "training.stop_after=5u", "-o", "run")
    assert result.exit_code == 1
    assert "run/source.vocab: refused: checksum mismatch" in result.stderr


def test_a_start_that_failed_can_be_mended_and_begun_again(recipe: Path) -> None:
    write(recipe.parent, "valid", [("", "")])
    assert nmt("train", recipe, "-o", "run").exit_code == 1
    write(recipe.parent, "valid", PAIRS[:4])
    write(recipe.parent, "train", [*PAIRS, ("der Wolf", "the wolf")])
    mended = nmt("train", recipe, "encoder.hidden=5", "-o", "run")
    assert mended.exit_code == 0, mended.stderr
    assert "Wolf" in Path("run/source.vocab").read_text("utf-8")
    assert "hidden: 5" in Path("run/recipe.yaml").read_text("utf-8")


def test_a_directory_with_only_its_recipe_is_a_run_that_begins(recipe: Path) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    for path in Path("run").iterdir():
        if path.name != "recipe.yaml":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert nmt("train", recipe, "-o", "run").exit_code == 0


def test_a_directory_with_only_a_torn_recipe_is_a_run_that_begins(recipe: Path) -> None:
    Path("run").mkdir()
    temporary_file(Path("run/recipe.yaml")).write_text("data: {", "utf-8")
    assert nmt("train", recipe, "-o", "run").exit_code == 0


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
file.truncate(0); file.write("4711"); file.flush()
print("held", flush=True); sys.stdin.read()
"""


def test_two_processes_do_not_work_in_one_run(recipe: Path) -> None:
    Path("run").mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, "run/.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        refused = nmt("train", recipe, "-o", "run")
        assert refused.exit_code == 2
        assert "another process (4711, or a child of it) is using run" in refused.stderr
        holder.communicate()
    assert nmt("train", recipe, "-o", "run").exit_code == 0


def test_the_checksums_of_all_that_a_run_is_made_of_are_kept(recipe: Path) -> None:
    assert nmt("train", recipe, "-o", "run").exit_code == 0
    assert len(json.loads(Path("run/material.json").read_text("utf-8"))) == 4


def test_joint_pieces_are_counted_once_when_a_run_goes_on_too(recipe: Path) -> None:
    first, second = (nmt("train", recipe, "-o", "run").stderr for _ in range(2))
    assert "16 joint tokens" in first
    assert "16 joint tokens" in second


CELL = """
from typing import NamedTuple
from torch import Tensor, tanh
from nmt.cells.cell import Cell

class Mine(Cell):
    gates = ("n",)
    class State(NamedTuple):
        h: Tensor
    def step(self, x, s, U):
        return self.State(h=tanh(x.n + U.n(s.h)))
"""


@pytest.fixture
def own(recipe: Path) -> Path:
    """The recipe with a cell of the user's own in a file beside it."""
    (recipe.parent / "my_cells.py").write_text(CELL, "utf-8")
    text = recipe.read_text("utf-8").replace("decoder: {", "decoder: {cell: my_cells.py:Mine, ")
    recipe.write_text(text, "utf-8")
    return recipe


def test_a_run_with_a_cell_of_ones_own_can_be_moved_to_where_the_file_is_not(own: Path) -> None:
    assert nmt("train", own, "-o", "run").exit_code == 0
    assert nmt("average", "run", "-o", "model").exit_code == 0
    (own.parent / "my_cells.py").unlink()
    for folder in ("run", "model"):
        away = (own.parent / folder).rename(own.parent / f"{folder}-away")
        translated = CliRunner().invoke(app, ["translate", str(away), "-q"], input="ein Hund\n")
        assert translated.exit_code == 0, translated.stderr
        assert translated.stdout.count("\n") == 1


def test_a_run_goes_on_with_its_cell_and_not_with_changed_equations(own: Path) -> None:
    assert nmt("train", own, "-o", "run").exit_code == 0
    longer = nmt("train", own, "training.stop_after=3u", "-o", "run")
    assert longer.exit_code == 0, longer.stderr
    (own.parent / "my_cells.py").write_text(CELL.replace("x.n +", "x.n -"), "utf-8")
    changed = nmt("train", own, "training.stop_after=4u", "-o", "run")
    assert changed.exit_code == 2
    assert "a new cell needs a new run" in changed.stderr
    assert update("run") == "u0000003"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_of_runs_and_models_have_the_permissions_of_the_umask(recipe: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        translate = ("translate", "model", "-i", "valid.de", "-o", "run/out")
        for words in (("train", recipe, "-o", "run"), ("average", "run", "-o", "model"), translate):
            assert nmt(*words).exit_code == 0
    finally:
        os.umask(before)
    for path in (path for name in ("run", "model") for path in (Path(name), *Path(name).rglob("*"))):
        expected = (0o777 if path.is_dir() else 0o666) & ~mask
        assert path.is_symlink() or stat.S_IMODE(path.stat().st_mode) == expected, path


def test_a_run_inside_the_model_that_it_started_from_is_refused_but_resumed(recipe: Path) -> None:
    assert nmt("train", recipe, "-o", "base").exit_code == 0
    words = ("train", recipe, "training.start_from=base")
    refused = nmt(*words, "-o", "base/fine")
    assert refused.exit_code == 2
    assert "--output base/fine lies in the input" in refused.stderr
    assert nmt(*words, "-o", "fine").exit_code == 0
    Path("fine").rename("base/fine")
    assert nmt(*words, "training.stop_after=3u", "-o", "base/fine").exit_code == 0
    assert update("base/fine") == "u0000003"
