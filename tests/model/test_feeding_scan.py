"""The scan of a decoder with input feeding; test_translator.py compares its values and gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.model import translator
from nmt.model.decoder import BoundDecoder
from nmt.model.feeding_scan import supports_feeding_scan
from nmt.recurrence.c.bfloat16 import find_bfloat16_obstacle
from nmt.recurrence.engine import bfloat16_products
from tests.model.test_translator import batch, build

FEEDING = {"input_feeding": True}


@pytest.mark.parametrize(
    ("decoder", "supported"),
    [
        (FEEDING, True),
        ({**FEEDING, "attention": "dot"}, True),
        ({**FEEDING, "attention": "additive"}, False),
        ({**FEEDING, "attention": "multi-head"}, False),
        ({**FEEDING, "cell": "gru", "dropout": {"state": 0.1, "output": 0.1, "zoneout": 0.1}}, True),
        ({**FEEDING, "dropout": {"input": 0.1}}, False),
        ({**FEEDING, "layer_norm": True}, False),
        ({**FEEDING, "layers": 2}, False),
        ({**FEEDING, "conditional": True}, False),
        ({}, False),
    ],
)
def test_one_layer_with_products_as_attention_is_scanned(decoder: dict[str, Any], supported: bool) -> None:
    for engine in ("auto", "torch", "reference"):
        model = build(decoder=decoder, engine=engine).train()
        assert supports_feeding_scan(BoundDecoder(model.decoder, 2)) == (supported and engine == "auto")


def features(decoder: dict[str, Any], scanned: bool, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Features, last state and all gradients of two chunks, of which the second has a first state."""
    model, (src, tgt) = build(decoder=decoder).train(), batch()
    with monkeypatch.context() as patch:
        if not scanned:
            patch.setattr(translator, "supports_feeding_scan", lambda bound: False)
        torch.manual_seed(3)
        one = model.unroll(model.encode(src), tgt[:, :3])
        other = model.unroll(model.encode(src), tgt[:, 3:], state=one.state)
    assert other.state.feed is not None
    results = [one.features, other.features, *other.state.layers[0], other.state.feed]
    torch.manual_seed(4)
    sum((x * torch.randn(x.shape, dtype=x.dtype)).sum() for x in results).backward()
    return [*results, *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm-peephole"])
def test_dropout_and_the_first_state_are_those_of_the_steps(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draws for all positions together are those of one position after the other."""
    decoder = {**FEEDING, "cell": cell, "dropout": {"output": 0.4}}
    pairs = zip(*(features(decoder, scanned, monkeypatch) for scanned in (True, False)), strict=True)
    for given, expected in pairs:
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-10)


@pytest.mark.skipif(find_bfloat16_obstacle() is not None, reason="no bfloat16")
def test_products_in_bfloat16_do_not_depend_on_the_batch() -> None:
    model, (src, tgt) = build(decoder=FEEDING).float(), batch()
    with bfloat16_products():
        together = model.unroll(model.encode(src), tgt).features
        alone = model.unroll(model.encode(src[:1]), tgt[:1]).features
    assert torch.equal(together[:1], alone)
