"""What saving beside training costs: updates a second with checkpoints and without, in one process.

    python -m benchmarks.saving

Stretches of updates of the Multi30k LSTM recipe's model on one batch, in turn without a checkpoint, with one
that a thread writes meanwhile, and with one that is waited for; figures are medians, and each stretch ends
when its checkpoint is on the disk. The cost of a checkpoint is a share of the time between two of them: the
recipe makes some 450 updates in an epoch, a stretch as long as `--updates` says.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from nmt.data.batches import Batch
from nmt.lab.cell_check import measure_seconds
from nmt.recipe.reader import read_recipe
from nmt.recipe.tasks.translation import build_likelihood, build_translator
from nmt.recipe.training import build_learner, single_process
from nmt.training.checkpoint import CheckpointSaver
from nmt.training.snapshot import collect_generator_tensors, collect_model_tensors, collect_optimiser_tensors
from nmt.training.update import Learner

PIECES = 6000


def made(batch: int, length: int) -> tuple[Learner, Batch]:
    """The recipe's learner and a batch for it."""
    recipe = read_recipe(["multi30k-de-en-lstm"])
    torch.manual_seed(1)
    model = build_translator(recipe, PIECES, PIECES).train()
    of = build_learner(recipe, model, build_likelihood(recipe), 1, single_process(recipe))
    lengths = torch.full((batch,), length)
    src, tgt = (torch.randint(4, PIECES, (batch, size)) for size in (length, length + 1))
    return of, Batch(src, lengths, tgt, lengths, torch.arange(batch))


class Stretch:
    """So many updates, and in their midst a checkpoint or none."""

    def __init__(self, updates: int, batch: int, length: int, folder: Path) -> None:
        self.updates = updates
        self.learner, self.batch = made(batch, length)
        self.saver = CheckpointSaver(folder, 2, lambda: None)
        self.saved = 0

    def plain(self) -> None:
        """Without a checkpoint."""
        for _ in range(self.updates):
            self.learner.update([self.batch], rate=1e-4, ratio=1.0)

    def beside(self) -> None:
        """With one that is written meanwhile."""
        self.save()
        self.plain()
        self.saver.wait()

    def waited_for(self) -> None:
        """With one that training stands still for."""
        self.save()
        self.saver.wait()
        self.plain()

    def save(self) -> None:
        self.saved += 1
        model, optimiser = self.learner.model, self.learner.optimiser
        trainer = collect_optimiser_tensors(model, optimiser) | collect_generator_tensors()
        self.saver.save(self.saved, collect_model_tensors(model), trainer, {}, best=None, good=None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=50, help="updates from checkpoint to checkpoint")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=16, help="pieces in a sentence")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        stretch = Stretch(arguments.updates, arguments.batch, arguments.length, Path(folder))
        ways = {"none": stretch.plain, "beside": stretch.beside, "waited for": stretch.waited_for}
        seconds = measure_seconds(ways, rounds=arguments.rounds)
        size = sum(file.stat().st_size for file in Path(folder).glob("u*/*")) / 2 / 2**20
    print(f"a checkpoint of {size:.0f} MiB every {arguments.updates} updates, {arguments.threads} thread(s)")
    for name, taken in seconds.items():
        rate, share = arguments.updates / taken, seconds["none"] / taken
        print(f"{name:>12} {rate:8.2f} updates/s   {share:7.2%} of the throughput without", flush=True)


if __name__ == "__main__":
    main()
