"""A text file translated by a Ray Data job: one translator in each of its actors.

    pip install 'nmt[ray]'
    python docs/examples/ray_data.py RUN in.txt out        # out/ holds JSON lines: text, translation

Ray reads, spreads and writes the lines, and starts as many actors as it is told; each loads the model once.
For one machine `nmt translate --workers` needs none of this.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

import nmt


class TranslatorActor:
    """Translates batches of a Ray dataset that has a column `text`."""

    def __init__(self, run: str) -> None:
        torch.set_num_threads(1)
        self.translator = nmt.Translator(run)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        found = self.translator.translate(str(line) for line in batch["text"])
        return {**batch, "translation": np.array([one.text for one in found], dtype=object)}


def main(run: str, source: str, output: str, actors: int = 1) -> None:
    """Translate the lines of a file; `actors` is how many translators work side by side."""
    lines = ray.data.read_text(source, drop_empty_lines=False)
    translated = lines.map_batches(
        TranslatorActor,
        fn_constructor_args=[str(Path(run).resolve())],
        concurrency=actors,
        batch_size=256,
    )
    translated.write_json(output)


if __name__ == "__main__":
    main(*sys.argv[1:4])
