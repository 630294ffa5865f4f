"""Translate a text file with a Ray Data job, with one translator per actor.

    pip install 'recurrent-nmt[ray]'
    python docs/examples/ray_data.py RUN in.txt out        # out/ holds JSON lines: text, translation

Ray reads, distributes and writes the lines, and starts the given number of actors; each loads the model once.
On a single machine `nmt translate --workers` does the same without Ray. For a model with a custom cell, the
actors need consent to run its file: ray.init(runtime_env={"env_vars": {"NMT_TRUST_CODE": "<sha256>"}}).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

import nmt


class TranslatorActor:
    """Actor that translates batches of a Ray dataset with a column `text`."""

    def __init__(self, run: str) -> None:
        torch.set_num_threads(1)
        self.translator = nmt.Translator(run)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        translations = self.translator.translate(str(line) for line in batch["text"])
        return {**batch, "translation": np.array([t.text for t in translations], dtype=object)}


def main(run: str, source: str, output: str, actors: int = 1) -> None:
    """Translate the lines of a file with a number of actors in parallel."""
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
