"""Translate a text file with a Ray Data job, with one translator per actor.

    pip install 'recurrent-nmt[ray]'
    python docs/examples/ray_data.py RUN in.txt out 4      # out/ holds JSON lines: text, translation

Ray reads, distributes and writes the lines, and starts the given number of actors (1 by default), which load
the model once and have a CPU each; reading and writing reserve none, so that a single CPU is enough. It was
run with Ray 2.60.0. On a single machine `nmt translate --workers` does the same without Ray. For a model with
a custom cell, the actors need consent to run its file:
ray.init(runtime_env={"env_vars": {"NMT_TRUST_CODE": "<sha256>"}}).
"""

import sys
from pathlib import Path

import ray

import nmt


def main(run: str, source: str, output: str, actors: int = 1) -> None:
    """Translate the lines of a file with a number of actors in parallel."""
    lines = ray.data.read_text(source, drop_empty_lines=False, num_cpus=0)
    translated = lines.map_batches(
        nmt.Translator,  # called with a batch, it adds a column to it
        fn_constructor_args=[str(Path(run).resolve())],
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_cpus=1,
        batch_size=256,
    )
    translated.write_json(output, ray_remote_args={"num_cpus": 0})


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
