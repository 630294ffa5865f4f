"""A decoder that computes pieces of its loop again learns the same, and keeps less till then."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nmt.model.attention import ATTENTIONS
from nmt.model.translator import TranslationModel
from nmt.recurrence.deferred import SUMMED_ROWS
from tests.grid import mark_slow
from tests.model.test_translator import batch, build

DROPOUT = {
    "embedding": 0.2, "word": 0.1, "layers": 0.2, "input": 0.2, "state": 0.2, "output": 0.2, "zoneout": 0.2
}  # fmt: skip
FEEDING = {"input_feeding": True, "layers": 2, "dropout": DROPOUT}
VARIANTS: dict[str, dict[str, Any]] = {
    **{f"feeding-{name}": {**FEEDING, "attention": name} for name in ATTENTIONS if name != "none"},
    "conditional": {"conditional": True, "cell": "gru", "dropout": DROPOUT},
    "layer-norm": {**FEEDING, "layer_norm": True},
}


def learn(
    recompute: int, decoder: dict[str, Any], engine: str, teacher_forced: Tensor | None = None
) -> dict[str, Tensor]:
    """The loss of a model in training, and all its gradients."""
    model, (src, tgt) = build(decoder=decoder, engine=engine, training={"recompute": recompute}), batch()
    model.train()
    torch.manual_seed(3)
    unrolled = model.unroll(
        model.encode(src), tgt, teacher_forced, sample=teacher_forced is not None, return_weights=True
    )
    loss = (model.output(unrolled.features) * torch.randn(3, 5, 11, dtype=torch.float64)).sum()
    if unrolled.weights is not None:
        loss += (unrolled.weights * torch.randn(3, 5, 5, dtype=torch.float64)).sum()
    loss.backward()
    return {"loss": loss.detach(), **{n: p.grad for n, p in model.named_parameters() if p.grad is not None}}


CASES = [(variant, engine) for variant in VARIANTS for engine in ("compiled", "torch", "reference")]
QUICK = [case for case in CASES if "compiled" in case or case[0] in ("conditional", "layer-norm")]


@pytest.mark.parametrize(("variant", "engine"), mark_slow(CASES, default=QUICK))
def test_what_is_computed_again_gives_the_same_loss_and_gradients(variant: str, engine: str) -> None:
    expected = learn(0, VARIANTS[variant], engine)
    for positions in (1, 2, 7):
        given = learn(positions, VARIANTS[variant], engine)
        assert given.keys() == expected.keys()
        for name, value in given.items():
            torch.testing.assert_close(
                value, expected[name], rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_gradients_summed_every_two_positions_are_those_of_the_reference(engine: str) -> None:
    rows = SUMMED_ROWS // 2  # of five positions
    src, tgt = (part.repeat(rows // 3 + 1, 1)[:rows] for part in batch())
    weights = torch.randn(rows, 5, 11, dtype=torch.float64) / rows
    gradients = []
    for name in (engine, "reference"):
        model = build(decoder={"attention": "general", "input_feeding": True}, engine=name)
        (model.output(model.unroll(model.encode(src), tgt).features) * weights).sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for given, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ["compiled", "torch", "reference"])
def test_the_decoders_own_words_are_the_same_when_computed_again(engine: str) -> None:
    teacher_forced = torch.tensor([[True, False, False, True, False]]).expand(3, 5)
    expected = learn(0, FEEDING, engine, teacher_forced)
    for name, value in learn(2, FEEDING, engine, teacher_forced).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-10)


class Alive(TorchDispatchMode):
    """Bytes that operations have made and that still are there."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for storage in (t.untyped_storage() for t in tree_leaves(result) if isinstance(t, Tensor)):
            self.made[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        return result

    def bytes(self) -> int:
        return sum(size for made, size in self.made.values() if not made.expired())


def kept(model: TranslationModel, src: Tensor, tgt: Tensor) -> int:
    """Bytes kept of the decoder's forward pass while its features are."""
    memory = model.encode(src)
    with Alive() as alive:
        features = model.unroll(memory, tgt).features
    assert features.requires_grad
    return alive.bytes()


@pytest.mark.parametrize("engine", ["compiled", "torch", "reference"])
def test_less_is_kept_the_fewer_states_are(engine: str) -> None:
    src, tgt = torch.randint(3, 11, (4, 6)), torch.randint(3, 11, (4, 48))  # packed weights are kept too
    everything, pieces_of_two, pieces_of_six = (
        kept(
            build(
                decoder={"hidden": 32, "input_feeding": True, "dropout": {"output": 0.2}},
                engine=engine,
                training={"recompute": positions},
            ).train(),
            src,
            tgt,
        )
        for positions in (0, 2, 6)
    )
    assert pieces_of_six < pieces_of_two < everything / 2
