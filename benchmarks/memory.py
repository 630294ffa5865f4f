"""Memory in training does not grow with the corpus: peak resident memory on two corpora of one kind.

    python -m benchmarks.memory DIR        (DIR holds train.de and train.en, the larger the better)

Trains the Multi30k LSTM recipe's model for some updates on the first 29,000 pairs and on all pairs, each in a
process of its own with the vocabulary made before, and prints the peaks and their ratio.
"""

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from nmt.data.pairs import Corpus, find_corpus, read_pairs

SMALL = 29_000


def write(corpus: Corpus, folder: Path, most: int | None) -> int:
    """The first pairs of a corpus as train and valid files of a folder; gives how many."""
    folder.mkdir()
    pairs = list(itertools.islice(read_pairs(corpus), most))
    for number, side in enumerate(("de", "en")):
        (folder / f"train.{side}").write_text("".join(f"{pair[number]}\n" for pair in pairs))
    for side in ("de", "en"):
        (folder / f"valid.{side}").write_text("ein Hund\n" if side == "de" else "a dog\n")
    return len(pairs)


def train(folder: Path, updates: int) -> None:
    """A run of the recipe on the pairs of a folder, for so many updates."""
    from nmt.recipe.assemble import experiment
    from nmt.recipe.reader import read_recipe

    settings = [
        f"data.root={folder}",
        "data.valid=valid",
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
    done = subprocess.run([*command, str(updates)], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main(corpus: Path, updates: int) -> None:
    """The two peaks and their ratio."""
    whole = find_corpus("train", root=corpus, src="de", tgt="en")
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        for label, most in (("small", SMALL), ("whole", None)):
            folder = Path(name) / label
            pairs = write(whole, folder, most)
            peaks.append(peak(folder, updates))
            print(f"{pairs:>9,} pairs: peak {peaks[-1]:,.0f} MiB after {updates} updates", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        train(arguments.corpus, arguments.child)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        main(arguments.corpus, arguments.updates)
