"""How fast batches come, beside what the model consumes; on one thread.

    python -m benchmarks.data [--pairs 300000] [--updates 20]

Target words a second: of the data pipeline alone (an epoch's order, rows out of the shards, padding), and of
updates of the Multi30k LSTM recipe's model, which read the same batches. The pairs are the phrasebook's,
repeated with noise. Subword sampling is timed, too. Memory by size of corpus: `python -m benchmarks.memory`.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch

from benchmarks.noise import phrasebook, write_noisy
from nmt.data.batches import Batch
from nmt.recipe import training as experiment
from nmt.recipe.reader import read_recipe
from nmt.recipe.training import find_task
from nmt.training.update import Learner

SETTINGS = ("data.src=src", "data.tgt=tgt", "data.train=train", "data.valid=valid", "data.test=null")


def words_a_second(batches: Iterable[Batch], learner: Learner | None = None) -> float:
    """Target words a second, read alone or learnt."""
    started, words = time.perf_counter(), 0
    for batch in batches:
        words += int(batch.tgt_lengths.sum())
        if learner is not None:
            learner.update([batch], rate=1e-4, ratio=1.0, carried=None)
    return words / (time.perf_counter() - started)


def main(pairs: int, updates: int) -> None:
    """The two rates and their ratio, with and without subword sampling."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_noisy(folder, "train", phrasebook(), pairs)
        write_noisy(folder, "valid", phrasebook(), 10)
        for sampling in (0.0, 0.2):
            settings = [*SETTINGS, f"data.root={folder}", f"subwords.sampling={sampling}"]
            recipe, run = read_recipe(["multi30k-de-en-lstm"], settings), folder / f"run-{sampling}"
            run.mkdir()
            means = experiment.single_process(recipe)
            task = find_task(recipe).prepare(run, means.processes)
            learner = experiment.build_learner(recipe, task.model, task.objective, 1, means)
            words_a_second(islice(task.epochs.batches(0, 0), 3), learner)  # compiles
            learnt = words_a_second(islice(task.epochs.batches(0, 0), updates), learner)
            read = words_a_second(islice(task.epochs.batches(0, 0), 100 * updates))
            kind = f"sampled pieces ({sampling})" if sampling else "stored pieces"
            print(
                f"{kind}: {read:,.0f} words/s read, {learnt:,.0f} learnt: {read / learnt:.0f} times as fast"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=300_000)
    parser.add_argument("--updates", type=int, default=20)
    arguments = parser.parse_args()
    main(arguments.pairs, arguments.updates)
