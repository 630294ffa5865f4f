"""What looking inside costs: at a validation, and where nobody looks.

    python -m benchmarks.gates

The look that a validation takes with `training.validation.gates` (eight sentences of middle length) stands
against updates of the Multi30k LSTM recipe's model. The share is of a stretch of `--every` updates, without
the validation itself, so that the true one is less; the recipe validates after each epoch of some 450. Then a
forward pass of a model that was looked at before against one of a model that never was, and a search whose
positions are noted, as `nmt inspect sentence` does, against one of which nothing is. Figures are medians.
"""

import argparse

import torch

from benchmarks.saving import made
from nmt.data.batches import Batch
from nmt.data.vocabulary import EOS
from nmt.decoding.beam import TraceCallback, search
from nmt.decoding.options import Options, Request
from nmt.lab.cell_check import measure_seconds
from nmt.model.inference import InferenceModel
from nmt.model.translator import TranslationModel
from nmt.training.gate_logging import SENTENCES, measure_gates


def read(model: TranslationModel, batch: Batch) -> None:
    """A forward pass under teacher forcing, as a validation makes it."""
    with torch.no_grad():
        model.unroll(model.encode(batch.src), batch.tgt[:, :-1])


def searched(model: TranslationModel, batch: Batch, record: TraceCallback | None) -> None:
    """The sentences of a batch searched with a beam of five."""
    requests = [Request(number, row) for number, row in enumerate(batch.src.tolist())]
    options = Options(beam=5, max_ratio=1.0, max_extra=0)
    for _ in search(InferenceModel(model, eos=EOS), requests, options, record):
        pass


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=14)
    parser.add_argument("--every", type=int, default=450)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    learner, batch = made(asked.batch, asked.length)
    few = batch.select_rows(slice(SENTENCES))
    seconds = measure_seconds(
        {
            "update": lambda: learner.update([batch], rate=1e-4, ratio=1.0),
            "look": lambda: measure_gates(learner.model, [few], positions=1),
        },
        rounds=asked.rounds,
    )
    share = seconds["look"] / (asked.every * seconds["update"])
    print(f"an update {seconds['update']:.3f} s, a look {seconds['look']:.3f} s")
    print(f"a look every {asked.every} updates: {share:.2%} of the time")
    (seen, _), (never, _) = made(asked.batch, asked.length), made(asked.batch, asked.length)
    measure_gates(seen.model, [few], positions=1)
    seconds = measure_seconds(
        {
            "seen": lambda: read(seen.model, batch),
            "never": lambda: read(never.model, batch),
            "noted": lambda: searched(never.model, batch, lambda _: None),
            "searched": lambda: searched(never.model, batch, None),
        },
        rounds=asked.rounds,
    )
    print(f"a forward pass of a model once looked at: {seconds['seen'] / seconds['never']:.3f} of one never")
    print(f"a search whose positions are noted: {seconds['noted'] / seconds['searched']:.3f} of one unseen")


if __name__ == "__main__":
    main()
