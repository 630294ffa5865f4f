"""Every cell learns to copy and to reverse, from a recipe to translations of sentences it has not seen."""

from pathlib import Path

import pytest

from nmt.cells import CELLS
from tests.end_to_end.toy import Language, accuracy, copied, done, nmt, reversed_, write_corpus, write_recipe
from tests.grid import mark_slow

UPDATES = {"sru": 400, "ssru": 400}  # later than the others they tell `b b` from `b`


@pytest.mark.parametrize("cell", mark_slow(CELLS, default=["lstm"]))
@pytest.mark.parametrize("language", mark_slow([copied, reversed_], default=[copied]))
def test_a_cell_learns_a_toy_language(cell: str, language: Language, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", language)
    recipe, run = write_recipe(tmp_path / "toy.yaml", corpus, cell), tmp_path / "run"
    done(nmt("train", recipe, "-o", run, f"training.stop_after={UPDATES.get(cell, 200)}u"))
    translated = done(nmt("translate", run, "-q", "-i", corpus / "test.src"))
    assert accuracy(translated, corpus / "test.tgt") >= 0.9
