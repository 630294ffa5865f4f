"""What a recipe can name beyond the built-in parts works: a cell of the user's own, every schedule."""

import json
import math
from pathlib import Path

import pytest

from nmt.training.teacher_forcing import FORCINGS
from tests.end_to_end.toy import accuracy, done, nmt, reversed_, write_corpus, write_recipe
from tests.grid import mark_slow

MGU = '''\
"""Minimal gated unit (Zhou et al., 2016)."""

from typing import NamedTuple

from torch import Tensor, sigmoid, tanh

from nmt.cells.cell import Cell


class MGU(Cell):
    gates = ("f", "n")

    class State(NamedTuple):
        h: Tensor

    def step(self, x, s, U):
        f = sigmoid(x.f + U.f(s.h))
        n = tanh(x.n + U.n(f * s.h))
        return self.State(h=(1 - f) * s.h + f * n)
'''


@pytest.mark.slow
def test_a_custom_cell_in_a_file_next_to_the_recipe_learns(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", reversed_)
    (tmp_path / "my_cells.py").write_text(MGU, encoding="utf-8")
    recipe, run = write_recipe(tmp_path / "mine.yaml", corpus, "my_cells.py:MGU"), tmp_path / "run"
    done(nmt("train", recipe, "-o", run))
    translated = done(nmt("translate", run, "-q", "-i", corpus / "test.src"))
    assert accuracy(translated, corpus / "test.tgt") >= 0.9


def test_cells_may_differ_by_layer_and_side_and_be_custom(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", reversed_, train=40, held_out=4)
    cells = tmp_path / "my_cells.py"
    cells.write_text(MGU, encoding="utf-8")
    recipe, run = write_recipe(tmp_path / "mixed.yaml", corpus), tmp_path / "run"
    layers = ("encoder.layers=2", f"encoder.cell=[lstm, '{cells}:MGU']")
    decoder = ("decoder.layers=2", f"decoder.cell=['{cells}:MGU', gru]", "decoder.conditional=true")
    short = ("training.stop_after=3u", "training.learning_rate.warmup=0")
    done(nmt("train", recipe, *layers, *decoder, *short, "-o", run))
    assert done(nmt("translate", run, "-q", stdin=b"a b\n\nc\n")).count("\n") == 3


SPAN = 40
RATIO_OF_UPDATE_50: dict[str, object] = {
    "always": 1.0,
    "fixed": 0.9,
    "linear": 0.9 - (0.9 - 0.1) * 39 / 40,  # 49 updates gone, 10 of them warm-up
    "exponential": 0.1 + (0.9 - 0.1) * math.exp(-39 / 40),
    "inverse-sigmoid": pytest.approx(0.5, abs=0.03),  # half-way a little later, at the 51st
}


def test_every_schedule_is_among_those_tested() -> None:
    assert set(RATIO_OF_UPDATE_50) == set(FORCINGS)


@pytest.mark.parametrize(
    ("schedule", "per", "feedback"),
    mark_slow(
        [
            ("always", "token", "argmax"),
            ("fixed", "sentence", "argmax"),
            ("linear", "token", "argmax"),
            ("exponential", "token", "sample"),
            ("inverse-sigmoid", "sentence", "sample"),
        ],
        default=[("linear", "token", "argmax"), ("inverse-sigmoid", "sentence", "sample")],
    ),
)
def test_a_schedule_of_teacher_forcing_runs_with_input_feeding(
    schedule: str, per: str, feedback: str, tmp_path: Path
) -> None:
    corpus = write_corpus(tmp_path / "corpus", reversed_, train=40, held_out=4, longest=4)
    recipe, run = write_recipe(tmp_path / "toy.yaml", corpus, "gru"), tmp_path / "run"
    forcing = {"schedule": schedule, "start": 0.9, "end": 0.1, "warmup": "10u", "span": f"{SPAN}u"}
    forcing |= {"per": per, "feedback": feedback}
    settings = [f"training.teacher_forcing.{name}={value}" for name, value in forcing.items()]
    small = ("training.stop_after=50u", "training.batch.size=4", "encoder.hidden=8", "decoder.hidden=8")
    done(nmt("train", recipe, *settings, *small, "decoder.input_feeding=true", "-o", run))
    entry = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert entry["forcing_ratio"] == pytest.approx(RATIO_OF_UPDATE_50[schedule])
    assert math.isfinite(entry["loss"])
    assert done(nmt("translate", run, "-q", stdin=b"a b\n\n")).count("\n") == 2
