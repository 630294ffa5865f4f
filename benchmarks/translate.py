"""Translating with a trained model, beside the same search written with torch.nn.

    python -m benchmarks.translate RUN LINES [--exported DIR ...] [--lines N] [--rounds N]

RUN is a run of the recipe multi30k-de-en-lstm (or of another whose decoder is one LSTM with `general`
attention), LINES a file of source lines. With one thread, for beams of 1 and 5 and batches of 64 and 1,
prints sentences and target pieces a second: the model as it is, in int8, with its shortlist if it has one,
each exported directory, and a plain search over torch.nn.LSTM and LSTMCell with the same weights. They are
timed in turn; the figures are medians. How many lines differ from the first one's is printed beside them.

Then, for batches of 1, the share of the processor time outside C (in Python, numpy and torch): of all, and of
the search without the encoder; and the time of a beam of 20 compared with one of 10.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.training import TorchTranslator
from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.decoding.beam import search
from nmt.decoding.model import Model
from nmt.decoding.options import Options, Request
from nmt.export import directory
from nmt.lab.cell_check import measure_seconds
from nmt.model.beam_loop import BeamLoop
from nmt.model.inference import InferenceModel
from nmt.recipe.artifact import SHORTLIST
from nmt.recipe.tasks.translation import (
    LoadedTranslator,
    build_job,
    build_search_model,
    load_translator,
    load_with_shortlist,
)
from nmt.recurrence.c.int8 import Int8Backend
from nmt.recurrence.c.native import CStep, CSteps, PackedMatrix

SETTINGS = ((1, 64), (5, 64), (1, 1), (5, 1))  # beam, batch
C_CALLS: Sequence[tuple[type, str, str]] = (
    (CSteps, "__call__", "C"),
    (CStep, "__call__", "C"),
    (PackedMatrix, "__call__", "C"),
    (BeamLoop, "run", "C"),
    (InferenceModel, "encode", "encoder"),
)


class PlainSearch:
    """Beam search as one writes it: a padded batch, every beam of every sentence until the last is done."""

    def __init__(self, loaded: LoadedTranslator) -> None:
        pieces = len(loaded.target)
        self.loaded, self.model = loaded, TorchTranslator(loaded.recipe, pieces).eval()
        self.model.take(loaded.model)

    def __call__(self, sources: Sequence[list[int]], beam: int, batch: int) -> list[list[int]]:
        order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
        found: dict[int, list[int]] = {}
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                chosen = order[start : start + batch]
                rows = [torch.tensor([*sources[i], EOS]) for i in chosen]
                src = pad_sequence(rows, batch_first=True, padding_value=PAD)
                found.update(zip(chosen, self.search(src, beam), strict=True))
        return [found[i] for i in range(len(sources))]

    def read(self, src: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Keys, states and first state of the decoder for a padded batch."""
        packed = pack_padded_sequence(self.model.embedding(src.t()), lengths, enforce_sorted=False)
        given, last = self.model.encoder(packed)
        states = pad_packed_sequence(given)[0].transpose(0, 1)
        return self.model.key(states), states, *self.model.start(*last)

    def search(self, src: Tensor, beam: int) -> list[list[int]]:
        search, count = self.loaded.recipe.search, len(src)
        lengths = (src != PAD).sum(1)
        keys, states, h, c = (t.repeat_interleave(beam, 0) for t in self.read(src, lengths))
        hidden = (src == PAD).repeat_interleave(beam, 0).unsqueeze(1)
        limit = int(search.max_ratio * (int(lengths.max()) - 1)) + search.max_extra
        feed = h.new_zeros(len(h), self.model.combine.out_features)
        totals = torch.full((count, beam), -torch.inf)
        totals[:, 0] = 0
        ids = torch.full((count * beam, 1), BOS)
        ended = torch.zeros(count, beam, dtype=torch.bool)
        spread = len(self.model.output.bias)
        for _ in range(limit):
            word = self.model.embedding(ids[:, -1])
            h, c = self.model.decoder(torch.cat([word, feed], 1), (h, c))
            feed = self.model.features(h.unsqueeze(1), keys, states, hidden).squeeze(1)
            log_probs = self.model.output(feed).log_softmax(1).view(count, beam, -1)
            log_probs[..., [PAD, BOS]] = -torch.inf
            stay = log_probs.new_full((spread,), -torch.inf)
            stay[PAD] = 0
            log_probs = torch.where(ended.unsqueeze(2), stay, log_probs)
            totals, flat = (totals.unsqueeze(2) + log_probs).flatten(1).topk(beam, 1)
            rows = (torch.arange(count).unsqueeze(1) * beam + flat // spread).flatten()
            piece = (flat % spread).flatten()
            ids = torch.cat([ids[rows], piece.unsqueeze(1)], 1)
            h, c, feed = h[rows], c[rows], feed[rows]
            ended = ended.flatten()[rows].view(count, beam) | (piece.view(count, beam) == EOS)
            if ended.all():
                break
        own = (ids[:, 1:] != PAD).sum(1).view(count, beam)
        best = (totals / ((5 + own) / 6) ** search.length_penalty).argmax(1)
        chosen = ids.view(count, beam, -1)[torch.arange(count), best, 1:]
        return [[piece for piece in row if piece not in (PAD, EOS)] for row in chosen.tolist()]


class TimeShare(NamedTuple):
    """The processor time of a translation in seconds, and its share that is not spent in calls into C."""

    seconds: float
    outside: float
    outside_search: float  # of the time without the encoder


def measure_share(translate: Callable[[], object]) -> TimeShare:
    """Measure the share of the processor time outside C: in Python, numpy and torch."""
    spent = defaultdict[str, float](float)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            start, before = time.thread_time(), spent["C"]
            result = function(*arguments)
            spent[part] += time.thread_time() - start
            spent[f"C of {part}"] += spent["C"] - before
            return result

        return run

    with ExitStack() as patches:
        for kind, name, part in C_CALLS:
            patches.enter_context(patch.object(kind, name, timed(part, getattr(kind, name))))
        start = time.thread_time()
        translate()
        seconds = time.thread_time() - start
    search, in_search = seconds - spent["encoder"], spent["C"] - spent["C of encoder"]
    return TimeShare(seconds, 1 - spent["C"] / seconds, 1 - in_search / search)


Translate = Callable[[Sequence[list[int]], int, int], list[list[int]]]


def ours(model: Model, base: Options) -> Translate:
    """Our search over a model."""

    def translate(sources: Sequence[list[int]], beam: int, batch: int) -> list[list[int]]:
        options = replace(base, beam=beam, batch=batch)
        requests = (Request(number, ids) for number, ids in enumerate(sources))
        found = dict(search(model, requests, options))
        return [found[number][0].ids for number in range(len(sources))]

    return translate


def compare(ways: dict[str, Translate], sources: list[list[int]], beam: int, batch: int, rounds: int) -> None:
    """One table line for each way of translating."""
    found = {name: way(sources, beam, batch) for name, way in ways.items()}
    things = {name: partial(way, sources, beam, batch) for name, way in ways.items()}
    seconds = measure_seconds(things, rounds=rounds)
    first = next(iter(found.values()))
    print(f"\nbeam {beam}, batch {batch}: {len(sources)} lines, {sum(map(len, first))} pieces")
    for name, outputs in found.items():
        took, pieces = seconds[name], sum(map(len, outputs))
        differ = sum(a != b for a, b in zip(first, outputs, strict=True))
        ratio = seconds["torch.nn"] / took
        print(
            f"  {name:20} {len(sources) / took:7.1f} sentences/s {pieces / took:8.0f} pieces/s "
            f"{ratio:5.2f}x torch.nn, {differ} lines differ",
            flush=True,
        )


def print_shares(ways: dict[str, Translate], sources: list[list[int]], rounds: int) -> None:
    """Print the share outside C for batches of 1: in the fastest of some rounds, in turn."""
    print("\nprocessor time outside C, batch 1: all, search without the encoder")
    for beam in (1, 5):
        measured = [
            {name: measure_share(partial(way, sources, beam, 1)) for name, way in ways.items()}
            for _ in range(rounds)
        ]
        for name in ways:
            best = min(shares[name] for shares in measured)
            print(f"  {name:20} beam {beam}: {best.outside:6.1%} {best.outside_search:6.1%}", flush=True)


def print_widths(ways: dict[str, Translate], sources: list[list[int]], rounds: int) -> None:
    """Print the processor time of a beam of 20 compared with one of 10."""
    for name, way in ways.items():
        seconds = dict.fromkeys((10, 20), math.inf)
        for _, beam in product(range(rounds), seconds):
            start = time.thread_time()
            way(sources, beam, 64)
            seconds[beam] = min(seconds[beam], time.thread_time() - start)
        print(f"  {name:20} beam 20: {seconds[20] / seconds[10]:.2f}x the time of beam 10", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("lines", type=Path)
    parser.add_argument("--exported", type=Path, nargs="*", default=[], help="what nmt export has written")
    parser.add_argument("--lines-alone", type=int, default=100, help="lines that batches of 1 translate")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_translator(arguments.run)
    lines = arguments.lines.read_text(encoding="utf-8").splitlines()
    sources = [loaded.source.encode(line) for line in lines]
    options = build_job(loaded).options
    ways: dict[str, Translate] = {"nmt": ours(build_search_model(loaded), options)}
    if Int8Backend.find_obstacle(loaded.model.decoder.output.weight) is None:
        ways["nmt, int8"] = ours(build_search_model(loaded, int8=True), options)
    if (arguments.run / SHORTLIST).exists():
        ways["nmt, shortlist"] = ours(build_search_model(load_with_shortlist(arguments.run)), options)
    for path in arguments.exported:
        ways[f"onnx {path.name}"] = ours(directory.load_export(path).model, options)
    ways["torch.nn"] = PlainSearch(loaded)
    parameters = sum(parameter.numel() for parameter in loaded.model.parameters())
    print(f"{arguments.run}: {parameters / 1e6:.1f} M parameters, one thread")
    for beam, batch in SETTINGS:
        compare(
            ways, sources if batch > 1 else sources[: arguments.lines_alone], beam, batch, arguments.rounds
        )
    compiled = {name: way for name, way in ways.items() if name.startswith("nmt")}
    print_shares(compiled, sources[: arguments.lines_alone], arguments.rounds)
    print_widths(compiled, sources, arguments.rounds)


if __name__ == "__main__":
    main()
