"""One translator, made from raw text by `nmt run` once, that many of these tests only read."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.end_to_end.toy import done, nmt, write_phrases

RECIPE = """\
data: {root: text, src: de, tgt: en, train: train, valid: valid, test: test}
subwords: {size: 60}
encoder: {cell: gru, embedding: 32, hidden: 32}
decoder: {cell: lstm, embedding: 32, hidden: 64, attention: additive, tie: all}
training:
  learning_rate: {peak: 1e-2}
  label_smoothing: 0.0
  batch: {size: 32}
  stop_after: 100u
  validation: {every: 50u}
  threads: 1
search: {beam: 2, max_ratio: 1.5, max_extra: 5}
"""


class Finished(NamedTuple):
    """A run that was made, the text it was made from, and what `nmt run` printed."""

    run: Path
    text: Path
    recipe: Path
    printed: str


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Tests must not change it; those that break things break a copy."""
    home = tmp_path_factory.mktemp("finished")
    text = write_phrases(home / "text", {"train": 300, "valid": 20, "test": 20})
    recipe, run = home / "small.yaml", home / "run"
    recipe.write_text(RECIPE, encoding="utf-8")
    return Finished(run, text, recipe, done(nmt("run", recipe, "-o", run)))
