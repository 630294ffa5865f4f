"""A whole training update of the Multi30k LSTM recipe, beside the same model made of torch.nn.

    python -m benchmarks.training [--only-fixed]

First the cost of an update that does not depend on the batch: the constant of a line through the least
processor times of several batch sizes, for that model and for the one of benchmarks.peers.

With and without input feeding, for one thread and for two, prints the update's share of `torch.mm`'s rate of
floating-point operations and its speed, in float32 and (where the processor has it) with products in
bfloat16, against a model of torch.nn.LSTM, torch.nn.LSTMCell and F.cross_entropy with the same weights. All
are timed in turn; the figures are medians. Before timing, the two models are shown to have equal loss. Then
the memory that an update of 8,000 target words takes over that of the model, each in a process of its own (on
Linux).
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.matrix_product import matrix_product
from nmt.lab.cell_check import measure_seconds
from nmt.model.translator import TranslationModel
from nmt.recipe.reader import read_recipe
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.tasks.translation import build_translator
from nmt.recurrence.c.bfloat16 import find_bfloat16_obstacle
from nmt.recurrence.engine import bfloat16_products
from nmt.training.hardware import keep_freed_memory
from nmt.training.loss import cross_entropy

PIECES = 6000
SMOOTHING = 0.1
LENGTH = 16
BATCHES = (8, 16, 32, 64)
MODELS = {  # settings of multi30k-de-en-lstm, tokens in the vocabulary
    "multi30k-de-en-lstm": ([], PIECES),
    "the model of benchmarks.peers": (
        [
            *("encoder.embedding=256", "encoder.hidden=256", "decoder.embedding=256", "decoder.hidden=512"),
            *("decoder.features=512", "decoder.tie=none", "decoder.bridge=copy"),
        ],
        8004,
    ),
}
NAME = {True: "with input feeding", False: "without input feeding"}


class TorchTranslator(nn.Module):
    """The recipe's model as one writes it with torch.nn: with input feeding the decoder is an LSTMCell."""

    def __init__(self, recipe: TranslationRecipe, pieces: int = PIECES) -> None:
        super().__init__()
        size, hidden = recipe.encoder.embedding, recipe.encoder.hidden
        wide = recipe.decoder.hidden
        self.embedding = nn.Embedding(pieces, size, padding_idx=0)
        self.encoder = nn.LSTM(size, hidden, bidirectional=True)
        self.feeding = recipe.decoder.input_feeding
        self.decoder = nn.LSTMCell(2 * size, wide) if self.feeding else nn.LSTM(size, wide)
        self.bridge_h, self.bridge_c = nn.Linear(2 * hidden, wide), nn.Linear(2 * hidden, wide)
        self.key = nn.Linear(2 * hidden, wide, bias=False)
        self.combine = nn.Linear(wide + 2 * hidden, size)
        self.output = nn.Linear(size, pieces)
        self.output.weight = self.embedding.weight
        self.dropout = (recipe.encoder.dropout.embedding, recipe.decoder.dropout.output)

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        embedded = self.dropout[0]
        states, last = self.encoder(F.dropout(self.embedding(src.t()), embedded, self.training))
        states = states.transpose(0, 1)
        keys, (h, c) = self.key(states), self.start(*last)
        words = F.dropout(self.embedding(tgt_in.t()), embedded, self.training)
        if not self.feeding:
            hs = self.decoder(words, (h.unsqueeze(0), c.unsqueeze(0)))[0]
            return self.features(hs.transpose(0, 1), keys, states)
        feed = h.new_zeros(len(src), self.combine.out_features)
        features = []
        for word in words.unbind(0):
            h, c = self.decoder(torch.cat([word, feed], 1), (h, c))
            feed = self.features(h.unsqueeze(1), keys, states).squeeze(1)
            features.append(feed)
        return torch.stack(features, 1)

    def start(self, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The decoder's first state from the encoder's last [2, B, H]."""
        h, c = torch.cat([h[0], h[1]], 1), torch.cat([c[0], c[1]], 1)
        return torch.tanh(self.bridge_h(h)), torch.tanh(self.bridge_c(c))

    def features(self, h: Tensor, keys: Tensor, states: Tensor, hidden: Tensor | None = None) -> Tensor:
        """h [B, T, H] to tanh(W [h; context] + b), with dropout; `hidden` [B, 1, S] is not looked at."""
        scores = torch.bmm(h, keys.transpose(1, 2))
        weights = (scores if hidden is None else scores.masked_fill(hidden, -torch.inf)).softmax(2)
        feature = torch.tanh(self.combine(torch.cat([h, torch.bmm(weights, states)], 2)))
        return F.dropout(feature, self.dropout[1], self.training)

    @torch.no_grad()
    def take(self, ours: TranslationModel) -> None:
        """Our model's weights; the second bias of torch.nn is zero."""
        forward, backward = ours.encoder.stack.layers[0].directions
        cell = ours.decoder.stack.layers[0].directions[0]
        for suffix, source in (("_l0", forward), ("_l0_reverse", backward)):
            getattr(self.encoder, "weight_ih" + suffix).copy_(source.W)
            getattr(self.encoder, "weight_hh" + suffix).copy_(source.U)
            getattr(self.encoder, "bias_ih" + suffix).copy_(source.b)
            getattr(self.encoder, "bias_hh" + suffix).zero_()
        suffix = "" if self.feeding else "_l0"
        getattr(self.decoder, "weight_ih" + suffix).copy_(cell.W)
        getattr(self.decoder, "weight_hh" + suffix).copy_(cell.U)
        getattr(self.decoder, "bias_ih" + suffix).copy_(cell.b)
        getattr(self.decoder, "bias_hh" + suffix).zero_()
        bridge = ours.decoder.bridge.get_submodule("linear")
        pairs = [
            (self.bridge_h, bridge.get_submodule("0_h")),
            (self.bridge_c, bridge.get_submodule("0_c")),
            (self.key, ours.decoder.attention.get_submodule("key")),
            (self.combine, ours.decoder.combine),
            (self.output, ours.decoder.output),
        ]
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())


def operations(recipe: TranslationRecipe, batch: int, src: int, tgt: int) -> float:
    """Floating-point operations of an update's products: a weight and position 2 forward, 4 back."""
    size, hidden, wide = recipe.encoder.embedding, recipe.encoder.hidden, recipe.decoder.hidden
    memory = 2 * hidden
    read = size * (2 if recipe.decoder.input_feeding else 1)
    encoder = 2 * 4 * hidden * (size + hidden) + memory * wide
    decoder = 4 * wide * (read + wide) + (wide + memory) * size + size * PIECES + src * (wide + memory)
    bridge = 2 * memory * wide
    return 6.0 * batch * (src * encoder + tgt * decoder + bridge)


def our_loss(model: TranslationModel, src: Tensor, tgt: Tensor) -> Tensor:
    features = model.unroll(model.encode(src), tgt[:, :-1]).features.flatten(0, 1)
    output = model.decoder.output
    gold = tgt[:, 1:].flatten()
    return cross_entropy(features, output.weight, output.bias, gold, label_smoothing=SMOOTHING).smoothed


def torch_loss(model: TorchTranslator, src: Tensor, tgt: Tensor) -> Tensor:
    logits = model.output(model(src, tgt[:, :-1]).flatten(0, 1))
    return F.cross_entropy(logits, tgt[:, 1:].flatten(), label_smoothing=SMOOTHING, reduction="sum")


class Pair:
    """The two models with equal weights, and one batch."""

    def __init__(self, feeding: bool, batch: int, src_length: int, tgt_length: int) -> None:
        self.recipe = read_recipe(["multi30k-de-en-lstm"], [f"decoder.input_feeding={str(feeding).lower()}"])
        torch.manual_seed(1)
        self.ours = build_translator(self.recipe, PIECES, PIECES)
        self.theirs = TorchTranslator(self.recipe)
        self.theirs.take(self.ours)
        self.src = torch.randint(4, PIECES, (batch, src_length))
        self.tgt = torch.randint(4, PIECES, (batch, tgt_length + 1))

    def check(self) -> None:
        mine = our_loss(self.ours.eval(), self.src, self.tgt).item()
        other = torch_loss(self.theirs.eval(), self.src, self.tgt).item()
        assert abs(mine - other) < 1e-4 * other, (mine, other)
        self.ours.train()
        self.theirs.train()

    def updates(self) -> dict[str, Callable[[], object]]:
        """An update of each model, of ours in both precisions."""
        update = self.update(self.ours, our_loss)

        def rounded() -> None:
            with bfloat16_products():
                update()

        found = {"nmt": update, "torch.nn": self.update(self.theirs, torch_loss)}
        return found if find_bfloat16_obstacle() else found | {"bfloat16": rounded}

    def update(self, model: Any, loss: Callable[[Any, Tensor, Tensor], Tensor]) -> Callable[[], object]:
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

        def thing() -> None:
            optimiser.zero_grad(set_to_none=True)
            (loss(model, self.src, self.tgt) / self.tgt[:, 1:].numel()).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()

        return thing


def compare(feeding: bool, batch: int, src_length: int, tgt_length: int, rounds: int) -> None:
    """One table line for each number of threads."""
    pair = Pair(feeding, batch, src_length, tgt_length)
    pair.check()
    product, product_operations = matrix_product()
    work = operations(pair.recipe, batch, src_length, tgt_length)
    print(f"\n{batch} pairs, {src_length} -> {tgt_length}, {NAME[feeding]}: {work / 1e9:.1f} GFLOP an update")
    things = pair.updates()
    heads = " ".join(f"{name:>22}" for name in things)
    print(f"{'threads':>8} {'torch.mm':>14} {heads}  torch.nn / nmt")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        seconds = measure_seconds({**things, "torch.mm": product}, rounds=rounds)
        rate = product_operations / seconds["torch.mm"]
        shares = {name: work / seconds[name] / rate for name in things}
        cells = [f"{seconds[name] * 1e3:9.0f} ms, {share:5.0%} of mm" for name, share in shares.items()]
        ratios = [f"{seconds['torch.nn'] / seconds[name]:.2f}x" for name in things if name != "torch.nn"]
        print(f"{threads:>8} {rate / 1e9:>8.0f} GF/s {' '.join(cells)}  {', '.join(ratios)}", flush=True)


def measure_fixed_cost(name: str, rounds: int) -> None:
    """Print the fixed cost of an update in each precision, on one thread."""
    torch.set_num_threads(1)
    settings, pieces = MODELS[name]
    recipe = read_recipe(["multi30k-de-en-lstm"], settings)
    model = build_translator(recipe, pieces, pieces).train()
    optimiser: Any = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    sentences = torch.randint(4, pieces, (max(BATCHES), LENGTH + 1))

    def update(batch: int) -> float:
        start = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        loss = our_loss(model, sentences[:batch, 1:], sentences[:batch])
        (loss / (batch * LENGTH)).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        optimiser.grad_scale = nn.utils.get_total_norm(gradients)
        optimiser.step()
        return time.process_time() - start

    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"\nfixed cost of an update of {name}, {parameters:.1f} M parameters, {LENGTH} tokens a side")
    precisions: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "float32": nullcontext,
        "bfloat16": bfloat16_products,
    }
    times = {precision: np.full(len(BATCHES), np.inf) for precision in precisions}
    if find_bfloat16_obstacle():
        del times["bfloat16"]
    for _ in range(rounds):
        for precision, least in times.items():
            with precisions[precision]():
                least[:] = np.minimum(least, [update(batch) for batch in BATCHES])
    for precision, least in times.items():
        slope, constant = np.polyfit(BATCHES, least, 1, w=1 / least)
        shares = ", ".join(
            f"{constant / seconds:.0%} of {seconds * 1e3:.0f} ms at {batch}"
            for batch, seconds in zip(BATCHES, least, strict=True)
        )
        print(f"{precision:9} {constant * 1e3:.0f} ms + {slope * 1e3:.2f} ms a pair: {shares}", flush=True)


def growth(name: str, feeding: bool, batch: int, length: int) -> float:
    """MiB that the process grows by at the peak of an update, after one of two pairs."""
    torch.set_num_threads(1)
    Pair(feeding, 2, length, length).updates()[name]()
    thing = Pair(feeding, batch, length, length).updates()[name]
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak from here on
    before = resident("VmRSS")
    thing()
    return resident("VmHWM") - before


def resident(what: str) -> float:
    """MiB of memory that the process holds now (VmRSS), or has held (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


def compare_memory(words: int, length: int) -> None:
    """One table line with and one without input feeding."""
    print(f"\nmemory of an update of {words:,} target words, sentences of {length}")
    for feeding in (True, False):
        grown = {}
        for name in ("nmt", "torch.nn"):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
                grown[name] = apart.submit(growth, name, feeding, words // length, length).result()
        ours, theirs = grown["nmt"], grown["torch.nn"]
        print(f"{NAME[feeding]:22} nmt {ours:.0f} MiB, torch.nn {theirs:.0f} MiB: {ours / theirs:.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--source", type=int, default=16, help="source pieces in a sentence")
    parser.add_argument("--target", type=int, default=16, help="target pieces in a sentence")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only-fixed", action="store_true", help="measure only the fixed cost of an update")
    arguments = parser.parse_args()
    keep_freed_memory()
    for name in MODELS:
        measure_fixed_cost(name, arguments.rounds)
    if arguments.only_fixed:
        return
    for feeding in (True, False):
        compare(feeding, arguments.batch, arguments.source, arguments.target, arguments.rounds)
    compare_memory(8000, arguments.target)


if __name__ == "__main__":
    main()
