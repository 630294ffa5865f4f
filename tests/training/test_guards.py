"""Guards: what is skipped, split or gone back from, by faults that are put in; and all of it under a stop."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from nmt.data.batches import Batch
from nmt.errors import DataError
from nmt.training import checkpoint, guards
from nmt.training.guards import DivergenceError
from nmt.training.objectives.likelihood import Likelihood, LikelihoodSettings, LossOutput
from nmt.training.snapshot import collect_model_tensors
from tests.training.runs import (
    Duration,
    TenBatches,
    Tiny,
    make_batch,
    make_guards,
    make_learner,
    make_training,
)
from tests.training.test_loop import Interrupted, events, same

NAN = float("nan")


class Poisoned(Likelihood):
    """The loss times a factor in some batches, each known by its first pair; all else is left alone."""

    def __init__(self, factors: dict[int, float]) -> None:
        super().__init__(settings=LikelihoodSettings(label_smoothing=0.1))
        self.factors = factors

    def __call__(self, model: Any, batch: Batch, teacher_forced: Any, state: Any) -> LossOutput:
        learnt = super().__call__(model, batch, teacher_forced, state)
        factor = self.factors.get(int(batch.pairs[0]), 1.0)
        return learnt._replace(loss=learnt.loss._replace(smoothed=learnt.loss.smoothed * factor))


class Cramped(Likelihood):
    """Has memory for so many rows only: more fail at the end of the forward or of the backward pass."""

    def __init__(self, rows: int, error: Exception, *, backward: bool = False) -> None:
        super().__init__(settings=LikelihoodSettings(label_smoothing=0.1))
        self.rows, self.error, self.backward = rows, error, backward

    def __call__(self, model: Any, batch: Batch, teacher_forced: Any, state: Any) -> LossOutput:
        learnt = super().__call__(model, batch, teacher_forced, state)
        if len(batch.src) <= self.rows:
            return learnt
        if not self.backward:
            raise self.error
        model.embedding.weight.register_post_accumulate_grad_hook(self.fail)
        return learnt

    def fail(self, parameter: Tensor) -> None:
        if self.backward:
            self.backward = False
            raise self.error


def guarded(run: Any) -> dict[str, Any]:
    """What the last checkpoint says of the guards."""
    saved = checkpoint.find_latest(run.checkpoints).checkpoint
    assert saved is not None
    found: dict[str, Any] = saved.metadata["run"]["guarded"]
    return found


def test_a_loss_that_is_no_number_is_skipped_and_counted_and_leaves_the_weights_alone(tmp_path: Path) -> None:
    training = make_training(
        tmp_path, objective=Poisoned({6: NAN, 21: NAN}), settings={"guards": make_guards(skip=1)}
    )
    result = training.train()
    assert result.update == 30
    skips = events(tmp_path, "skip")
    assert [event["why"] for event in skips] == ["the loss became NaN"] * 6
    counts = guarded(training)
    assert (counts["skipped"], counts["in_a_row"], counts["rolled_back"]) == (6, 0, 0)
    assert all(weight.isfinite().all() for weight in training.learner.model.parameters())
    assert "update 3 skipped: the loss became NaN (1 in a row, 1 so far)" in (
        tmp_path / "train.log"
    ).read_text(encoding="utf-8")


def test_a_skipped_update_changes_neither_weights_nor_moments() -> None:
    learner = make_learner(objective=Poisoned({0: NAN}))
    learner.update([make_batch(1)], rate=0.1, ratio=1.0)
    weights = {name: tensor.clone() for name, tensor in collect_model_tensors(learner.model).items()}
    moments = {key: value.clone() for p in learner.optimiser.state.values() for key, value in p.items()}
    outcome = learner.update([make_batch(1), make_batch(0)], rate=0.1, ratio=1.0)
    assert outcome.bad_update == ("the loss became NaN", False)
    assert all(torch.equal(weights[name], now) for name, now in collect_model_tensors(learner.model).items())
    after = {key: value for p in learner.optimiser.state.values() for key, value in p.items()}
    assert all(torch.equal(moments[key], now) for key, now in after.items())


def test_a_gradient_that_is_no_number_is_a_fault_too(tmp_path: Path) -> None:
    training = make_training(tmp_path)
    training.learner.model.embedding.weight.register_hook(  # type: ignore[union-attr]
        lambda grad: grad * float("inf")
    )
    with pytest.raises(
        DivergenceError, match=r"the gradient norm became (NaN|infinite) at update 1(.|\n)*none yet"
    ):
        training.train()


def test_too_many_in_a_row_end_the_run_with_the_batch_kept(tmp_path: Path) -> None:
    class Same(TenBatches):
        def batches(self, epoch: int, start: int) -> Iterator[Batch]:
            return (make_batch(index) for index in [1, 2, 3, 4, 5, 6, 7, 7, 7, 7][start:])

    training = make_training(
        tmp_path,
        epochs=Same(),
        objective=Poisoned({21: NAN}),
        settings={"guards": make_guards(skip=2), "checkpoint_every": Duration(4, "u")},
    )
    with pytest.raises(DivergenceError) as raised:
        training.train()
    said = str(raised.value)
    assert "the loss became NaN at update 9, in 3 updates in a row" in said
    assert f"are saved in {tmp_path}/bad-batch" in said
    assert f"last good checkpoint is {tmp_path}/checkpoints/u0000008" in said
    facts = json.loads((tmp_path / "bad-batch" / "batch.json").read_text(encoding="utf-8"))["facts"]
    assert (facts["update"], facts["epoch"], facts["first_batch"]) == (9, 1, 9)
    assert (facts["pairs"], facts["lines"]) == ([[21, 22, 23]], [[22, 23, 24]])
    kept = load_file(tmp_path / "bad-batch" / "batch.safetensors")
    assert torch.equal(kept["0/src"], make_batch(7).src)
    assert torch.equal(kept["0/tgt"], make_batch(7).tgt)


def test_the_checkpoint_that_is_named_last_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run gives up in the update after its last checkpoint, which is still being written."""

    def slowly(directory: Path, *content: Any) -> None:
        kept.wait()
        write(directory, *content)

    def keep(*content: Any) -> None:
        keep_for_inspection(*content)
        kept.set()

    kept, write, keep_for_inspection = threading.Event(), checkpoint.write, guards.save_bad_batch
    monkeypatch.setattr(checkpoint, "write", slowly)
    monkeypatch.setattr(guards, "save_bad_batch", keep)
    poisoned = Poisoned({batch_at(5): NAN})
    training = make_training(tmp_path, objective=poisoned, settings={"checkpoint_every": Duration(4, "u")})
    with pytest.raises(DivergenceError, match=r"the last good checkpoint is \S+/u0000004"):
        training.train()


def batch_at(update: int) -> int:
    """The first pair of the batch that an update of the first epoch learns from."""
    [batch] = list(TenBatches().batches(0, update - 1))[:1]
    return int(batch.pairs[0])


def spiky(update: int, **changes: Any) -> dict[str, Any]:
    """A run with a spike at this update of the first epoch, one in each later epoch, and few checkpoints."""
    return {
        "objective": Poisoned({batch_at(update): 50.0}),
        "settings": {
            "guards": make_guards(spike=3.0, rollbacks=3),
            "checkpoint_every": Duration(3, "u"),
            **changes,
        },
    }


def test_a_spike_takes_weights_and_moments_back_and_the_data_go_on(tmp_path: Path) -> None:
    make_training(tmp_path, **spiky(8, stop_after=Duration(8, "u"), keep=9)).train()
    good, after = (checkpoint.read(tmp_path / "checkpoints" / name) for name in ("u0000006", "last"))
    assert all(torch.equal(tensor, after.model[name]) for name, tensor in good.model.items())
    moments = [name for name in good.trainer if name.startswith("optimiser/")]
    assert all(torch.equal(good.trainer[name], after.trainer[name]) for name in moments)
    assert (after.metadata["run"]["update"], after.metadata["run"]["position"]) == (8, 8)
    [event] = events(tmp_path, "roll-back")
    assert event["update"] == 8
    assert "above the limit of" in event["why"]
    assert "weights rolled back to update 6 (roll-back 1)" in (tmp_path / "train.log").read_text(
        encoding="utf-8"
    )


def test_a_spike_is_not_learnt_from_where_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    training = make_training(tmp_path, **spiky(8, checkpoint_every=None, stop_after=Duration(9, "u")))
    training.train()
    assert guarded(training)["rolled_back"] == 1
    assert "there is no checkpoint to roll back to" in (tmp_path / "train.log").read_text(encoding="utf-8")


def test_a_checkpoint_that_is_gone_is_not_gone_back_to(tmp_path: Path) -> None:
    """As where the guard is set when a run is gone on with, and the checkpoint was deleted before that."""
    settings = spiky(8)["settings"] | {
        "keep": 1,
        "guards": make_guards(),
        "checkpoint_every": Duration(3, "u"),
    }
    make_training(tmp_path, settings=settings, epochs=Interrupted(6)).train()
    training = make_training(tmp_path, **spiky(8, stop_after=Duration(8, "u"), checkpoint_every=None))
    training.train()
    assert "there is no checkpoint to roll back to" in (tmp_path / "train.log").read_text(encoding="utf-8")


def test_a_run_does_not_go_back_for_ever(tmp_path: Path) -> None:
    class Rising(Likelihood):
        factor = 1.0

        def __call__(self, *given: Any, **named: Any) -> LossOutput:
            learnt = super().__call__(*given, **named)
            self.factor *= 1.5
            return learnt._replace(loss=learnt.loss._replace(smoothed=learnt.loss.smoothed * self.factor))

    objective = Rising(settings=LikelihoodSettings(label_smoothing=0.1))
    guards = make_guards(spike=3.0, rollbacks=2)
    with pytest.raises(
        DivergenceError,
        match=r"above the limit of \S+ at update \d+, after 2 roll-backs. The batches",
    ):
        make_training(tmp_path, objective=objective, settings={"guards": guards}).train()
    assert len(events(tmp_path, "roll-back")) == 2
    assert (tmp_path / "bad-batch" / "batch.json").exists()


def test_the_checkpoint_to_go_back_to_outlives_those_that_stops_have_made(tmp_path: Path) -> None:
    """Stops leave checkpoints where none is in a run never stopped: no roll-back may go to them."""
    parts = spiky(8, keep=1)
    straight = make_training(tmp_path / "straight", **parts)
    straight.train()
    make_training(tmp_path / "stopped", **parts, epochs=Interrupted(6)).train()
    names = [path.name for path in checkpoint.list_checkpoints(tmp_path / "stopped" / "checkpoints")]
    assert names == ["u0000006", "u0000007"]
    resumed = make_training(tmp_path / "stopped", **parts)
    resumed.train()
    assert same(straight, resumed)


@pytest.mark.parametrize("stop", [2, 7, 8, 9, 15])
def test_what_guards_have_done_and_remember_survives_a_stop(tmp_path: Path, stop: int) -> None:
    parts: dict[str, Any] = {
        "objective": Poisoned({batch_at(3): NAN, batch_at(9): 50.0}),
        "settings": {"guards": make_guards(skip=2, spike=3.0, window=3, rollbacks=99), "keep": 9},
    }
    straight = make_training(tmp_path / "straight", **parts)
    straight.train()
    counts = guarded(straight)
    assert min(counts["skipped"], counts["rolled_back"]) > 1
    make_training(tmp_path / "stopped", **parts, epochs=Interrupted(stop)).train()
    resumed = make_training(tmp_path / "stopped", **parts)
    resumed.train()
    assert same(straight, resumed)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"
    ),
    MemoryError(),
]


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_a_batch_that_does_not_fit_is_learnt_in_parts_with_the_same_gradient(
    error: Exception, backward: bool
) -> None:
    found = []
    for objective in (
        Likelihood(settings=LikelihoodSettings(label_smoothing=0.1)),
        Cramped(2, error, backward=backward),
    ):
        model = Tiny().double().eval()
        torch.manual_seed(3)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        learner = make_learner(model=model, objective=objective, clip_norm=None, optimiser="sgd")
        outcome = learner.update([make_batch(0), make_batch(1)], rate=0.0, ratio=1.0)
        grads = [parameter.grad for parameter in model.parameters()]
        found.append((outcome, grads))
    (whole, grads), (split, its) = found
    assert (whole.parts, split.parts) == (1, 2)
    assert split.totals.tokens == whole.totals.tokens
    assert split.totals.loss == pytest.approx(whole.totals.loss, rel=1e-12)
    for mine, other in zip(grads, its, strict=True):
        assert mine is not None
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_running_out_of_memory_is_counted_and_told(tmp_path: Path) -> None:
    objective = Cramped(1, torch.OutOfMemoryError("CUDA out of memory"))
    training = make_training(tmp_path, objective=objective, settings={"stop_after": Duration(4, "u")})
    training.train()
    assert guarded(training)["split"] == 4
    assert [event["parts"] for event in events(tmp_path, "split")] == [4] * 4
    assert "update 4: out of memory, batches were split into 4 parts (4 updates so far)" in (
        tmp_path / "train.log"
    ).read_text(encoding="utf-8")


def test_what_is_drawn_hangs_on_the_parts_and_not_on_where_memory_ran_out() -> None:
    states = []
    for backward in (False, True):
        learner = make_learner(objective=Cramped(2, MemoryError(), backward=backward))
        torch.manual_seed(5)
        learner.update([make_batch(0)], rate=0.1, ratio=1.0)
        states.append((torch.get_rng_state(), collect_model_tensors(learner.model)))
    (one, mine), (other, its) = states
    assert torch.equal(one, other)
    assert all(torch.equal(tensor, its[name]) for name, tensor in mine.items())


def test_one_pair_that_does_not_fit_is_an_error_that_says_how_long_it_is() -> None:
    learner = make_learner(objective=Cramped(0, MemoryError()))
    with pytest.raises(DataError, match="even with one pair at a time: the longest have 6 and 6 tokens"):
        learner.update([make_batch(2)], rate=0.1, ratio=1.0)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    learner = make_learner(objective=Cramped(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied")))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        learner.update([make_batch(2)], rate=0.1, ratio=1.0)
