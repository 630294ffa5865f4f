"""The gates of a model on disk: as a table, JSON and a picture, and in the log of its training."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt


def events(run: Path) -> list[dict[str, Any]]:
    """All of a run."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_gates_are_shown_as_a_table_as_json_and_as_a_picture(finished: Finished, tmp_path: Path) -> None:
    picture, command = tmp_path / "gates.svg", ("inspect", "gates", finished.run, "--positions", "4")
    table = done(nmt(*command, "--plot", picture)).splitlines()
    assert max(map(len, table)) <= 80
    assert table[1].split() == ["gate", "mean", "open", "closed"]
    assert table[-3].split() == ["norm", "at", "1", "2", "3", "5-"]
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    cells = json.loads(done(nmt(*command, "--json", "--data", finished.text / "test")))
    assert [(cell["side"], cell["layer"], cell["direction"]) for cell in cells] == [
        ("encoder", 1, "forward"), ("encoder", 1, "backward"), ("decoder", 1, "forward")
    ]  # fmt: skip
    for cell in cells:
        gru = cell["side"] == "encoder"
        assert [gate["name"] for gate in cell["gates"]] == [*("rzn" if gru else "ifgo")]
        gate, kept = cell["gates"][1], cell["state"][0 if gru else 1]["kept"]
        assert gate["mean"] == pytest.approx(kept["mean"])
        assert 0 < kept["time_scale"] <= kept["longest"]
        assert len(cell["state"][0]["norms"]) == 5


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--data", "nothing"), 1, "nothing.de"),
        (("--plot", "gates.txt"), 2, "the name of a picture must end in"),
        (("--positions", "0"), 2, "positions"),
    ],
)
def test_what_cannot_be_measured_or_drawn_is_refused(
    options: tuple[str, str], code: int, message: str, finished: Finished
) -> None:
    result = nmt("inspect", "gates", finished.run, *options)
    assert (result.exit_code, message in result.stderr) == (code, True)


def test_logging_gates_at_validations_changes_nothing_else(finished: Finished, tmp_path: Path) -> None:
    short = ("training.stop_after=6u", "training.validation.every=3u")
    plain, seen = tmp_path / "plain", tmp_path / "seen"
    done(nmt("train", finished.recipe, *short, "-o", plain))
    done(nmt("train", finished.recipe, *short, "training.validation.gates=true", "-o", seen))
    looks = [event for event in events(seen) if event["event"] == "gates"]
    assert [look["update"] for look in looks] == [3, 6]
    assert 0 < looks[0]["decoder.1.forward.f.mean"] < 1
    assert looks[0]["encoder.1.backward.h.updated"] != looks[1]["encoder.1.backward.h.updated"]
    assert [event for event in events(seen) if event["event"] != "gates"] == events(plain)
    for name in ("model.safetensors", "trainer.safetensors"):
        files = [run / "checkpoints" / "last" / name for run in (plain, seen)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_resumed_run_logs_gates_once_per_validation(finished: Finished, tmp_path: Path) -> None:
    settings = ("training.validation.gates=true", "training.validation.every=2u")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    done(nmt("train", finished.recipe, *settings, "training.stop_after=6u", "-o", whole))
    for updates in ("4u", "6u"):
        done(nmt("train", finished.recipe, *settings, f"training.stop_after={updates}", "-o", parts))
    assert events(parts) == events(whole)


def test_gate_logging_may_be_switched_on_when_a_run_is_resumed(finished: Finished, tmp_path: Path) -> None:
    run, settings = tmp_path / "run", ("training.validation.every=2u", "-o", tmp_path / "run")
    done(nmt("train", finished.recipe, *settings, "training.stop_after=2u"))
    done(nmt("train", finished.recipe, *settings, "training.stop_after=4u", "training.validation.gates=true"))
    assert [event["update"] for event in events(run) if event["event"] == "gates"] == [4]
    done(nmt("plot", run, "-m", "encoder.1.forward.z.mean", "-o", tmp_path / "z.svg"))


@pytest.mark.parametrize("chunk", ["null", "20"])
def test_the_gates_of_a_language_model(chunk: str, finished: Finished, tmp_path: Path) -> None:
    recipe, run = tmp_path / "lm.yaml", tmp_path / "run"
    recipe.write_text(
        f"task: language-model\ndata: {{root: {finished.text}, train: train.en, valid: valid.en}}\n"
        "subwords: {kind: char}\ndecoder: {cell: gru, embedding: 8, hidden: 8}\n"
        f"training: {{chunk: {chunk}, stop_after: 2u, threads: 1}}\n",
        encoding="utf-8",
    )
    looked_at = ("training.validation.gates=true", "training.validation.samples=0")
    done(nmt("train", recipe, *looked_at, "-o", run))
    look = next(event for event in events(run) if event["event"] == "gates")
    (cell,) = json.loads(done(nmt("inspect", "gates", run, "--json")))
    assert (cell["side"], cell["cell"], cell["state"][0]["name"]) == ("decoder", "gru", "h")
    lines = (finished.text / "valid.en").read_text(encoding="utf-8").splitlines()
    assert cell["pieces"] >= sum(map(len, lines))
    assert look["decoder.1.forward.z.mean"] == pytest.approx(cell["gates"][1]["mean"], abs=0.1)
