"""A batch in parts: what is carried on goes with its rows, and all of them together are the batch."""

import gc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.data.batches import Batch
from nmt.data.pairs import find_text_file
from nmt.data.store.builder import prepare_store
from nmt.data.streams import StreamLayout, read_chunks
from nmt.data.vocabulary import WordVocabulary
from nmt.model.decoder import DecoderState
from nmt.recipe.schema import LanguageModelRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.language_model import build_language_model
from nmt.recurrence import deferred as product
from nmt.training import hardware as memory
from nmt.training.objectives.likelihood import Likelihood, LikelihoodSettings
from tests.training.runs import make_batch, make_learner
from tests.training.test_guards import Cramped
from tests.training.test_snapshot import real_model

WORDS = WordVocabulary([str(number) for number in range(10)])


def reader() -> Any:
    """A small language model of two layers, without dropout."""
    data = {"train": "t", "valid": "v"}
    decoder = {"cell": "lstm", "layers": 2, "embedding": 5, "hidden": 6}
    torch.manual_seed(3)
    recipe = validate(LanguageModelRecipe, {"task": "language-model", "data": data, "decoder": decoder})
    return build_language_model(recipe, len(WORDS)).double()


def text(folder: Path) -> list[Batch]:
    """A text in five streams of different lengths, chunk by chunk."""
    lines = [" ".join(str((line + word) % 10) for word in range(1 + line % 7)) for line in range(23)]
    (folder / "text").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    store = prepare_store(
        folder / "store", find_text_file("text", root=folder), tgt=WORDS, keep=None, with_ends=True
    )
    return list(read_chunks(store, StreamLayout(5, 4)))


def flat(state: DecoderState | None) -> list[torch.Tensor]:
    assert state is not None
    return [tensor for layer in state.layers for tensor in layer]


def test_streams_go_on_from_their_own_states_when_they_are_read_in_parts(tmp_path: Path) -> None:
    batches = text(tmp_path)
    found = []
    for objective in (
        Likelihood(settings=LikelihoodSettings(label_smoothing=0.1)),
        Cramped(2, MemoryError()),
    ):
        learner = make_learner(model=reader(), objective=objective, clip_norm=None, optimiser="sgd")
        carried, outcomes = None, []
        for batch in batches:
            outcome = learner.update([batch], rate=0.01, ratio=1.0, carried=carried)
            carried = outcome.carried
            outcomes.append(outcome)
        found.append(outcomes)
    for whole, split in zip(*found, strict=True):
        assert (whole.parts, split.parts) == (1, 4)
        assert split.totals.tokens == whole.totals.tokens
        assert split.totals.nll == pytest.approx(whole.totals.nll, rel=1e-10)
        assert split.norm == pytest.approx(whole.norm, rel=1e-8)
    torch.testing.assert_close(flat(found[0][3].carried), flat(found[1][3].carried))
    assert (found[0][-1].carried, found[1][-1].carried) == (None, None)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 99])
def test_the_parts_of_a_batch_are_all_of_its_rows_in_order(count: int) -> None:
    batch = make_batch(5)
    parts = [part for part, _ in memory.split_batch(batch, None, count)]
    assert len(parts) == min(count, 3)
    assert torch.equal(torch.cat([part.pairs for part in parts]), batch.pairs)
    assert sum(int(part.tgt_lengths.sum()) for part in parts) == int(batch.tgt_lengths.sum())


def test_where_nothing_is_carried_on_nothing_is_joined() -> None:
    assert memory.join_states([None]) is None
    assert memory.join_states([None, None]) is None


def test_what_a_backward_pass_that_fails_leaves_behind_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or what did not fit would lie beside what is tried next."""

    def fail(notes: object) -> None:
        raise MemoryError

    monkeypatch.setattr(product.WeightGradient, "flush", fail)
    learner, alive = make_learner(model=real_model(input_feeding=True)), []
    gc.freeze()  # only what is made from here on is looked through
    for _ in range(4):
        with suppress(MemoryError):  # pytest.raises would hold the traceback, and that the graph
            learner.compute_in_parts(1, [make_batch(0)], 1.0, None)
        gc.collect()
        alive.append(sum(type(thing).__name__ == "_ProductFunctionBackward" for thing in gc.get_objects()))
    gc.unfreeze()
    assert alive[1:] == [alive[0]] * 3
