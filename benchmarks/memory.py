"""Memory in training does not grow with the corpus: peak resident memory on two corpora of one kind.

    python -m benchmarks.memory [--pairs 5000000]

Trains the Multi30k LSTM recipe's model for some updates on 29,000 pairs and on many, the phrasebook's
repeated with noise, each in a process of its own with the vocabulary and the encoded pairs made before, and
prints the peaks and their ratio.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.noise import phrasebook, write_noisy

SMALL = 29_000


def train(folder: Path, updates: int) -> None:
    """A run of the recipe on the pairs of a folder, for so many updates."""
    from nmt.recipe import training as experiment
    from nmt.recipe.reader import read_recipe

    settings = [
        f"data.root={folder}",
        *("data.src=src", "data.tgt=tgt", "data.train=train", "data.valid=valid"),
        "data.test=null",
        f"training.stop_after={updates}u",
        "training.threads=1",
        "training.learning_rate.schedule=constant",
        "training.validation.metric=loss",
        "training.batch.by=tokens",
        "training.batch.size=1000",
        "data.max_length=30",
    ]
    experiment.train(read_recipe(["multi30k-de-en-lstm"], settings), folder / "run")


def peak(folder: Path, updates: int) -> float:
    """Peak resident MiB of a process that goes on with a run, its vocabulary and store made by another."""
    command = [sys.executable, "-m", "benchmarks.memory", str(folder), "--child"]
    subprocess.run([*command, "1"], check=True, capture_output=True)
    done = subprocess.run([*command, str(updates)], check=True, capture_output=True, encoding="utf-8")
    return float(done.stdout.split()[-1])


def main(pairs: int, updates: int) -> None:
    """The two peaks and their ratio."""
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        for count in (SMALL, pairs):
            folder = Path(name) / str(count)
            folder.mkdir()
            write_noisy(folder, "train", phrasebook(), count)
            write_noisy(folder, "valid", phrasebook(), 10)
            peaks.append(peak(folder, updates))
            print(f"{count:>9,} pairs: peak {peaks[-1]:,.0f} MiB after {updates} updates", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=5_000_000)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        train(arguments.folder, arguments.child)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        main(arguments.pairs, arguments.updates)
