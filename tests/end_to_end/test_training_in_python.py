"""`nmt.train`, `nmt.Run` and `nmt.load_recipe`: what `nmt train` does, from Python."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmt
from nmt.errors import MissingPackage, UsageError
from nmt.training.logging import MetricsLog
from tests.api.test_cell_source import CELL, IMPORTS, SQUASH, run_cells
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done
from tests.end_to_end.toy import nmt as command

SHORT = {"training.stop_after": "12u", "training.validation.every": "10u"}


def test_a_run_from_python_is_that_of_the_command(finished: Finished, tmp_path: Path) -> None:
    run = nmt.train(finished.recipe, overrides=SHORT, output=tmp_path / "python")
    settings = [f"{name}={value}" for name, value in SHORT.items()]
    done(command("train", finished.recipe, *settings, "-o", tmp_path / "command"))
    for name in ("recipe.yaml", "metrics.jsonl"):
        assert (run.path / name).read_bytes() == (tmp_path / "command" / name).read_bytes()


def test_a_run_knows_its_validations_and_its_best_checkpoint(finished: Finished) -> None:
    run = nmt.Run(str(finished.run))
    assert [one["update"] for one in run.validation] == [50, 100]
    assert {"event", "update", "epoch", "loss", "bleu", "best"} <= run.validation[0].keys()
    best = run.best
    assert best is not None
    assert best.checkpoint.resolve() == (finished.run / "checkpoints" / "best").resolve()
    assert (best.metric, best.score) == ("chrf", max(one["chrf"] for one in run.validation))
    assert run.recipe.encoder.cell == "gru"
    assert [event["event"] for event in run.metrics].count("update") == 2
    assert repr(run) == f"Run({str(finished.run)!r}, best chrf {best.score:.2f} at update {best.update})"
    line = "Der alte Hund sucht einen Stein."
    assert run.translator()(line) == nmt.Translator(best.checkpoint)(line)
    with pytest.raises(UsageError, match="is a translator; expected a language model"):
        run.language_model()


def test_a_run_draws_its_learning_curves(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    run = nmt.Run(finished.run)
    figure: Any = run.plot("loss", "bleu")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "bleu"]
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="no metric 'blue' in these runs, did you mean 'bleu'"):
        run.plot("blue")
    with pytest.raises(UsageError, match="each of metrics must be a string"):
        run.plot(None)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackage, match=r"pip install 'recurrent-nmt\[plot\]'"):
        run.plot()


def test_an_interrupted_run_is_resumed_by_the_same_call(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGINT is what a notebook's stop button sends."""
    whole = nmt.train(finished.recipe, overrides=SHORT, output=tmp_path / "whole")
    write, output = MetricsLog.write, tmp_path / "cut"

    def write_and_interrupt(log: MetricsLog, event: Any, seconds: float | None = None) -> None:
        write(log, event, seconds)
        if event["event"] == "validation":
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", write_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            nmt.train(finished.recipe, overrides=SHORT, output=output)
    assert [one["update"] for one in nmt.Run(output).validation] == [10]
    run = nmt.train(finished.recipe, overrides=SHORT, output=output)
    assert run.metrics == whole.metrics
    assert "resuming from" in (output / "train.log").read_text(encoding="utf-8")


def test_a_cell_of_a_notebook_trains_and_is_loaded_like_any_other(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kind = run_cells(IMPORTS, SQUASH, CELL)["Slow"]
    overrides = {"encoder.cell": kind, "decoder.cell": [kind], "training.stop_after": "1u"}
    run = nmt.train(finished.recipe, overrides=overrides, output=tmp_path / "run")
    assert run.recipe.encoder.cell == f"{run.path / 'slow.py'}:Slow"
    assert isinstance(run.translator()("Hund"), str)
    nmt.train(finished.recipe, overrides=overrides, output=tmp_path / "run")  # complete
    changed = run_cells(IMPORTS, SQUASH.replace("0.25", "0.5"), CELL)["Slow"]
    overrides |= {"encoder.cell": changed, "decoder.cell": [changed]}
    with pytest.raises(UsageError, match="a new cell needs a new run"):
        nmt.train(finished.recipe, overrides=overrides, output=tmp_path / "run")


def test_overrides_have_the_types_of_python(finished: Finished) -> None:
    overrides = {
        **{"encoder.layers": np.int64(2), "encoder.dropout.layers": 0.25, "decoder.tie": "none"},
        **{"training.start_from": None, "training.ema": None, "data.root": finished.text},
        **{"subwords.symbols": ("<br>", "a:b", "다"), "evaluation": {"lowercase": True}},
    }
    recipe = nmt.load_recipe(finished.recipe, overrides)
    assert recipe.encoder.layers == 2
    assert recipe.encoder.dropout.layers == 0.25
    assert recipe.subwords.symbols == ["<br>", "a:b", "다"]
    assert recipe.evaluation.lowercase is True
    assert recipe.data.root == str(finished.text)
    assert nmt.load_recipe([finished.recipe, str(finished.recipe)]).encoder.cell == "gru"


def test_the_run_directory_is_named_after_the_recipe(
    finished: Finished, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = {"training.stop_after": "1u", "training.validation.metric": "loss"}
    assert nmt.train(str(finished.recipe), overrides=overrides).path == Path("runs/small")
    recipe = nmt.load_recipe(finished.recipe, overrides)
    assert nmt.train(recipe, output="runs/small").validation[0]["update"] == 1  # complete
    with pytest.raises(UsageError, match="give --output"):
        nmt.train(recipe)
    with pytest.raises(UsageError, match="give overrides to load_recipe"):
        nmt.train(recipe, overrides=overrides, output="runs/other")


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (lambda _: nmt.load_recipe("quickstart-lstn"), "no recipe 'quickstart-lstn', did you mean"),
    (lambda _: nmt.load_recipe(3), "a recipe is a .yaml file or a shipped name (got 3)"),  # type: ignore[arg-type]
    (lambda _: nmt.load_recipe([]), "(got [])"),
    (lambda _: nmt.load_recipe("quickstart-lstm", {"encoder.cell": "ltsm"}), "did you mean 'lstm'?"),
    (lambda _: nmt.load_recipe("quickstart-lstm", {"encoder.layers": "2"}), "overrides: encoder.layers: "),
    (lambda _: nmt.load_recipe("quickstart-lstm", {"encoder.layer": 2}), "encoder.layer: no such setting"),
    (lambda _: nmt.load_recipe("quickstart-lstm", {"encoder layers": 2}), "'encoder layers' is not the name"),
    (lambda _: nmt.load_recipe("quickstart-lstm", {1: 2}), "1 is not the name of a setting"),  # type: ignore[dict-item]
    (lambda _: nmt.load_recipe("quickstart-lstm", {"encoder.layers": {1, 2}}), "expected text, a number"),
    (lambda _: nmt.load_recipe("hello", ["encoder.layers=2"]), "overrides must map settings"),  # type: ignore[arg-type]
    (lambda home: nmt.train("hello", output=home / "a" / "b.txt" / "\0"), "output must be a path"),
    (lambda home: nmt.train("hello", output=home), "is not empty and is not a run"),
    (lambda home: nmt.Run(home), "is not a run: it has no recipe.yaml; nmt.train makes one"),
    (lambda _: nmt.Run(3), "a run is the path of its directory (got 3)"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_what_is_wrong_is_a_message(call: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as refused:
        call(tmp_path)
    assert message in str(refused.value)


def test_a_run_without_a_validation_has_no_best_checkpoint(tmp_path: Path, finished: Finished) -> None:
    (tmp_path / "recipe.yaml").write_bytes((finished.run / "recipe.yaml").read_bytes())
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"event": "update", "update": 1}) + "\n", "utf-8")
    assert nmt.Run(tmp_path).best is None
    assert repr(nmt.Run(tmp_path)).endswith("not validated)")
