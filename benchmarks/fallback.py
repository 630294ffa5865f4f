"""The cost of a machine without a C compiler: training and translation with and without compiled kernels.

    python -m benchmarks.fallback [--rounds N]

The model of the recipe multi30k-de-en-lstm with random weights, one thread: updates of 64 pairs and of 4, of
16 tokens, and a search that produces 30 tokens for each of 32 sentences (beam 5) and of one. Both ways are
timed in turn; the figures are medians. The ratios are those that `CBackend.cost_without` states.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch

from benchmarks.training import Pair, our_loss
from nmt.data.vocabulary import EOS
from nmt.decoding.beam import search
from nmt.decoding.options import Options, Request
from nmt.lab.cell_check import measure_seconds
from nmt.model.inference import InferenceModel
from nmt.recurrence.c import compiler

TOKENS, LENGTH = 16, 30  # of a source sentence, and of its translation


@contextmanager
def no_compiler() -> Iterator[None]:
    with mock.patch.object(compiler, "find_obstacle", return_value="there is no C compiler"):
        yield


def update(pair: Pair) -> Callable[[], object]:
    return pair.update(pair.ours, our_loss)


def translate(pair: Pair) -> Callable[[], object]:
    model = InferenceModel(pair.ours, eos=EOS)
    options = Options(beam=5, min_length=LENGTH, max_ratio=1, max_extra=LENGTH - TOKENS)

    def run() -> None:
        requests = (Request(number, list(range(4, 4 + TOKENS))) for number in range(len(pair.src)))
        for _ in search(model, requests, options):
            pass

    return run


def compare(name: str, build: Callable[[Pair], Callable[[], object]], batch: int, rounds: int) -> None:
    compiled = build(Pair(True, batch, TOKENS, TOKENS))
    with no_compiler():
        plain = no_compiler()(build(Pair(True, batch, TOKENS, TOKENS)))
    seconds = measure_seconds({"compiled": compiled, "plain": plain}, rounds=rounds)
    fast, slow = seconds["compiled"], seconds["plain"]
    print(
        f"{name:24} {fast * 1e3:8.0f} ms; without compiler {slow * 1e3:8.0f} ms: {slow / fast:.2f}x",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for pairs in (64, 4):
        compare(f"update, {pairs} pairs", update, pairs, rounds)
    for sentences in (32, 1):
        compare(f"search, {sentences} sentences", translate, sentences, rounds)


if __name__ == "__main__":
    main()
