"""docs/python.md: its code runs from top to bottom; only the runs are shorter."""

import linecache
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import nmt

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
SHORT = {
    **{"training.stop_after": "2u", "training.validation.every": "2u", "training.threads": 1},
    "training.learning_rate.warmup": 0,
}


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = nmt.train

    def train_briefly(recipe: str, overrides: Mapping[str, Any], output: str) -> nmt.Run:
        return train(recipe, overrides={**overrides, **SHORT}, output=output)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(nmt, "train", train_briefly)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) > 12
    scope: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks):
        file = f"<{PAGE.name}, block {number}>"  # for the message of an error, and for the source of a cell
        linecache.cache[file] = (len(block), None, block.splitlines(keepends=True), file)
        exec(compile(block, file, "exec"), scope)
    for written in ("runs/first", "runs/mgu/mgu.py", "curves.svg", "sentence.html", "gru.pt"):
        assert (tmp_path / written).exists()
