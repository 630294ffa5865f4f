"""A whole training update of the Multi30k LSTM recipe, beside the same model made of torch.nn.

    python -m benchmarks.training

Prints, for one thread and for two, the update's share of `torch.mm`'s rate of floating-point operations and
its speed against a model of torch.nn.LSTM, torch.nn.LSTMCell and F.cross_entropy with the same weights. The
three are timed in turn; the figures are medians. Before timing, the two models are shown to have equal loss.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.matrix_product import matrix_product
from nmt.model.translator import Translator
from nmt.recipe.assemble.model import build_translator
from nmt.recipe.reader import read_recipe
from nmt.recipe.schema import Recipe
from nmt.recurrence.laboratory import medians
from nmt.training.loss import cross_entropy

PIECES = 6000
SMOOTHING = 0.1


class TorchTranslator(nn.Module):
    """The recipe's model as one writes it with torch.nn: LSTM encoder, LSTMCell decoder, input feeding."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        size, hidden = recipe.encoder.embedding, recipe.encoder.hidden
        wide = recipe.decoder.hidden
        self.embedding = nn.Embedding(PIECES, size, padding_idx=0)
        self.encoder = nn.LSTM(size, hidden, bidirectional=True)
        self.decoder = nn.LSTMCell(2 * size, wide)
        self.bridge_h, self.bridge_c = nn.Linear(2 * hidden, wide), nn.Linear(2 * hidden, wide)
        self.key = nn.Linear(2 * hidden, wide, bias=False)
        self.combine = nn.Linear(wide + 2 * hidden, size)
        self.output = nn.Linear(size, PIECES)
        self.output.weight = self.embedding.weight
        self.dropout = (recipe.encoder.dropout.embedding, recipe.decoder.dropout.output)

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        embedded, late = self.dropout
        states, (h, c) = self.encoder(F.dropout(self.embedding(src.t()), embedded, self.training))
        states = states.transpose(0, 1)
        keys = self.key(states)
        h, c = torch.cat([h[0], h[1]], 1), torch.cat([c[0], c[1]], 1)
        h, c = torch.tanh(self.bridge_h(h)), torch.tanh(self.bridge_c(c))
        feed = h.new_zeros(len(src), self.combine.out_features)
        features = []
        for word in F.dropout(self.embedding(tgt_in.t()), embedded, self.training).unbind(0):
            h, c = self.decoder(torch.cat([word, feed], 1), (h, c))
            weights = torch.bmm(keys, h.unsqueeze(2)).softmax(1)
            context = torch.bmm(weights.transpose(1, 2), states).squeeze(1)
            feed = torch.tanh(self.combine(torch.cat([h, context], 1)))
            feed = F.dropout(feed, late, self.training)
            features.append(feed)
        return torch.stack(features, 1)

    @torch.no_grad()
    def take(self, ours: Translator) -> None:
        """Our model's weights; the second bias of torch.nn is zero."""
        forward, backward = ours.encoder.stack.layers[0].directions
        cell = ours.decoder.stack.layers[0].directions[0]
        for suffix, source in (("_l0", forward), ("_l0_reverse", backward)):
            getattr(self.encoder, "weight_ih" + suffix).copy_(source.W)
            getattr(self.encoder, "weight_hh" + suffix).copy_(source.U)
            getattr(self.encoder, "bias_ih" + suffix).copy_(source.b)
            getattr(self.encoder, "bias_hh" + suffix).zero_()
        self.decoder.weight_ih.copy_(cell.W)
        self.decoder.weight_hh.copy_(cell.U)
        self.decoder.bias_ih.copy_(cell.b)
        self.decoder.bias_hh.zero_()
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


def operations(recipe: Recipe, batch: int, src: int, tgt: int) -> float:
    """Floating-point operations of an update's products: a weight and position 2 forward, 4 back."""
    size, hidden, wide = recipe.encoder.embedding, recipe.encoder.hidden, recipe.decoder.hidden
    memory = 2 * hidden
    encoder = 2 * 4 * hidden * (size + hidden) + memory * wide
    decoder = 4 * wide * (2 * size + wide) + (wide + memory) * size + size * PIECES + src * (wide + memory)
    bridge = 2 * memory * wide
    return 6.0 * batch * (src * encoder + tgt * decoder + bridge)


def our_loss(model: Translator, src: Tensor, tgt: Tensor) -> Tensor:
    features = model.unroll(model.encode(src), tgt[:, :-1]).flatten(0, 1)
    output = model.decoder.output
    gold = tgt[:, 1:].flatten()
    return cross_entropy(features, output.weight, output.bias, gold, label_smoothing=SMOOTHING).smoothed


def torch_loss(model: TorchTranslator, src: Tensor, tgt: Tensor) -> Tensor:
    logits = model.output(model(src, tgt[:, :-1]).flatten(0, 1))
    return F.cross_entropy(logits, tgt[:, 1:].flatten(), label_smoothing=SMOOTHING, reduction="sum")


def compare(batch: int, src_length: int, tgt_length: int, rounds: int) -> None:
    """One table line for each number of threads."""
    recipe = read_recipe(["multi30k-de-en-lstm"])
    torch.manual_seed(1)
    ours, theirs = build_translator(recipe, PIECES, PIECES), TorchTranslator(recipe)
    theirs.take(ours)
    src = torch.randint(4, PIECES, (batch, src_length))
    tgt = torch.randint(4, PIECES, (batch, tgt_length + 1))
    losses = our_loss(ours.eval(), src, tgt).item(), torch_loss(theirs.eval(), src, tgt).item()
    assert abs(losses[0] - losses[1]) < 1e-4 * losses[1], losses
    ours.train()
    theirs.train()

    def update(model: nn.Module, loss: object) -> object:
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

        def thing() -> None:
            optimiser.zero_grad(set_to_none=True)
            (loss(model, src, tgt) / tgt_length / batch).backward()  # type: ignore[operator]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()

        return thing

    product, product_operations = matrix_product()
    things = {"nmt": update(ours, our_loss), "torch.nn": update(theirs, torch_loss), "torch.mm": product}
    work = operations(recipe, batch, src_length, tgt_length)
    print(f"batch {batch}, {src_length} -> {tgt_length} pieces, {work / 1e9:.1f} GFLOP an update")
    print(f"{'threads':>8} {'torch.mm':>14} {'nmt':>22} {'torch.nn':>22} {'torch.nn / nmt':>15}")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        seconds = medians(things, rounds=rounds)  # type: ignore[arg-type]
        rate = product_operations / seconds["torch.mm"]
        shares = {name: work / seconds[name] / rate for name in ("nmt", "torch.nn")}
        cells = [f"{seconds[name] * 1e3:9.0f} ms, {share:5.0%} of mm" for name, share in shares.items()]
        ratio = seconds["torch.nn"] / seconds["nmt"]
        print(f"{threads:>8} {rate / 1e9:>8.0f} GF/s {cells[0]} {cells[1]} {ratio:>14.2f}x", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--source", type=int, default=16, help="source pieces in a sentence")
    parser.add_argument("--target", type=int, default=16, help="target pieces in a sentence")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    compare(arguments.batch, arguments.source, arguments.target, arguments.rounds)
