"""Exposure bias by target position: the loss on references and on the model's own output."""

import pytest
import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.lab.inspect.exposure import average_exposure, measure_exposure
from nmt.model.translator import TranslationModel
from nmt.training.validation import evaluation_mode, sum_losses
from tests.model.test_translator import build


def make_batch() -> Batch:
    src = torch.tensor([[5, 6, EOS], [7, EOS, PAD]])
    tgt = torch.tensor([[BOS, 4, 5, 6, EOS], [BOS, 9, EOS, PAD, PAD]])
    return Batch(src, torch.tensor([3, 2]), tgt, torch.tensor([4, 2]), torch.arange(2))


def by_hand(model: TranslationModel, batch: Batch, row: int) -> tuple[list[float], list[float]]:
    """-log p of a row's words where the truth and where the model's own words are read, step by step."""
    src, length = batch.src[row : row + 1, : batch.src_lengths[row]], int(batch.tgt_lengths[row])
    gold = batch.tgt[row, 1 : length + 1].tolist()
    return (
        losses(model, src, gold, lambda t, _: gold[t]),
        losses(model, src, gold, lambda _, logits: int(logits.argmax())),
    )


def losses(model: TranslationModel, src: Tensor, gold: list[int], following) -> list[float]:  # type: ignore[no-untyped-def]
    read, found = [BOS], []
    for t, word in enumerate(gold):
        logits = model.output(model.unroll(model.encode(src), torch.tensor([read])).features[0, -1])
        found.append(-logits.log_softmax(-1)[word].item())
        read.append(following(t, logits))
    return found


@pytest.mark.parametrize("decoder", [{}, {"input_feeding": True}])
def test_losses_are_those_of_reading_word_by_word(decoder: dict[str, bool]) -> None:
    model, batch = build(decoder=decoder), make_batch()
    found = measure_exposure(model, [batch], positions=20)
    assert [(part.position, part.last, part.words) for part in found] == [
        (1, 1, 2), (2, 2, 2), (3, 3, 1), (4, 4, 1)
    ]  # fmt: skip
    with torch.no_grad():
        rows = [by_hand(model, batch, row) for row in range(2)]
    for part in found:
        for way, given in enumerate((part.forced, part.free)):
            own = [row[way][part.position - 1] for row in rows if len(row[way]) >= part.position]
            assert given == pytest.approx(sum(own) / len(own), rel=1e-9)
    assert found[0].gap == pytest.approx(0.0, abs=1e-12)
    assert abs(found[-1].gap) > 1e-6


def test_what_lies_beyond_the_positions_is_put_together() -> None:
    model, batch = build(), make_batch()
    one_by_one, together = (measure_exposure(model, [batch, batch], positions=n) for n in (9, 2))
    assert [(part.position, part.last, part.words) for part in together] == [(1, 1, 4), (2, 2, 4), (3, 4, 4)]
    rest = one_by_one[2:]
    assert together[2].free == pytest.approx(sum(part.free * part.words for part in rest) / 4)
    assert average_exposure(one_by_one).forced == pytest.approx(average_exposure(together).forced)


def test_all_positions_together_are_the_losses_of_a_validation() -> None:
    model, batch = build(decoder={"input_feeding": True}), make_batch()
    found = average_exposure(measure_exposure(model, [batch], positions=3))
    with evaluation_mode(model):
        forced, free = (
            sum_losses(model, [batch], free_running=free_running).means()["loss"]
            for free_running in (False, True)
        )
    assert (found.forced, found.free) == pytest.approx((forced, free))
    assert (found.words, found.last) == (6, 4)
