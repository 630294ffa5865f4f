"""The loop: exact resume, stopping, best and last, accumulation, and what it says when numbers go bad."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.data.batches import Batch
from nmt.errors import DataError
from nmt.training import checkpoint
from nmt.training.loop import Trainer
from nmt.training.optimisers import OPTIMISERS
from nmt.training.validation import ValidationResult
from tests.training.runs import (
    Duration,
    TenBatches,
    Tiny,
    make_batch,
    make_forcing,
    make_learner,
    make_schedule,
    make_training,
)


class Interrupted(TenBatches):
    """Ten batches, and a signal while the one after `after` is fetched."""

    def __init__(self, after: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.left, self.number = after, number

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        for batch in super().batches(epoch, start):
            if self.left == 0:
                os.kill(os.getpid(), self.number)
            self.left -= 1
            yield batch


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def same(one: Trainer, other: Trainer) -> bool:
    """Whether two runs ended bit for bit alike: weights, moments, and what they remember but for the time."""
    a, b = (checkpoint.find_latest(run.checkpoints).checkpoint for run in (one, other))
    assert a is not None
    assert b is not None
    for mine, its in ((a.model, b.model), (a.trainer, b.trainer)):
        assert mine.keys() == its.keys()
        assert [name for name in mine if not torch.equal(mine[name], its[name])] == []
    for facts in (a.metadata, b.metadata):
        del facts["run"]["seconds"]
    assert a.metadata == b.metadata
    assert one.metrics.path.read_bytes() == other.metrics.path.read_bytes()
    return True


VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"optimiser": name} for name in OPTIMISERS},
    "plateau": {"settings": {"metric": "bleu", "every": Duration(4, "u")}},
    "accumulation": {"settings": {"accumulate": 4}},
    "moving average": {"settings": {"ema": 0.9, "every": Duration(4, "u")}},
    "sampled feedback": {"settings": {"every": Duration(7, "u")}},
}


def parts_of(variant: str) -> dict[str, Any]:
    parts = dict(VARIANTS[variant])
    if variant == "plateau":
        parts["schedule"] = make_schedule("plateau", peak=0.05)
    if variant == "sampled feedback":
        parts["forcing"] = make_forcing("linear", span=20.0, feedback="sample")
    return parts


@pytest.mark.parametrize(
    ("variant", "stop"),
    [
        *((variant, 13) for variant in ("adam", "muon", "plateau", "moving average", "sampled feedback")),
        ("accumulation", 9),
        ("adam", 10),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("adamw", 13),
                ("nadam", 13),
                ("adafactor", 13),
                ("sgd", 13),
                ("adam", 1),
                ("plateau", 25),
            ]
        ),
    ],
)
def test_a_run_stopped_anywhere_and_resumed_equals_one_never_stopped(
    tmp_path: Path, variant: str, stop: int
) -> None:
    straight = make_training(tmp_path / "straight", **parts_of(variant))
    straight.train()

    first = make_training(tmp_path / "stopped", **parts_of(variant), epochs=Interrupted(stop))
    assert first.train().stop.exit_code == 143
    torch.manual_seed(999)  # a new process knows nothing of the old one's generators
    second = make_training(tmp_path / "stopped", **parts_of(variant))
    second.train()
    assert same(straight, second)


def test_a_run_killed_outright_goes_on_from_its_last_checkpoint_to_the_same_end(tmp_path: Path) -> None:
    straight = make_training(tmp_path / "straight")
    straight.train()

    class Dies(TenBatches):
        def batches(self, epoch: int, start: int) -> Iterator[Batch]:
            for position, batch in enumerate(super().batches(epoch, start)):
                if (epoch, position) == (2, 7):
                    raise MemoryError
                yield batch

    with pytest.raises(MemoryError):
        make_training(tmp_path / "killed", epochs=Dies()).train()
    with (tmp_path / "killed" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "upd')  # torn by the crash
    resumed = make_training(tmp_path / "killed")
    resumed.train()
    assert same(straight, resumed)


def test_a_torn_checkpoint_is_set_aside_and_the_run_goes_on_from_the_one_before(tmp_path: Path) -> None:
    straight = make_training(tmp_path / "straight")
    straight.train()
    make_training(tmp_path / "torn").train()
    checkpoints = tmp_path / "torn" / "checkpoints"
    os.truncate(checkpoints / "u0000030" / "trainer.safetensors", 10)
    resumed = make_training(tmp_path / "torn")
    resumed.train()
    assert same(straight, resumed)
    assert (checkpoints / "u0000030.refused").is_dir()
    assert "trainer.safetensors: refused" in (tmp_path / "torn" / "train.log").read_text(encoding="utf-8")


def test_a_complete_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    make_training(tmp_path).train()
    before = (tmp_path / "metrics.jsonl").read_bytes()
    result = make_training(tmp_path).train()
    assert (result.update, result.stop) == (30, ("the run is complete", 0))
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_update_finish_saves_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    before = signal.getsignal(number)
    result = make_training(tmp_path, epochs=Interrupted(4, number)).train()
    assert result.stop.exit_code == code
    assert "run the same command again" in result.stop.reason
    assert os.readlink(tmp_path / "checkpoints" / "last") == "u0000005"
    assert signal.getsignal(number) == before


def test_a_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where pytest is in the background

    class Twice(Interrupted):
        def batches(self, epoch: int, start: int) -> Iterator[Batch]:
            signal.raise_signal(signal.SIGINT)  # in this thread: two that wait together would be one
            signal.raise_signal(signal.SIGINT)
            return super().batches(epoch, start)

    try:
        with pytest.raises(KeyboardInterrupt):
            make_training(tmp_path, epochs=Twice(99)).train()
    finally:
        signal.signal(signal.SIGINT, before)


def scores(values: list[float]) -> Any:
    """A validation that finds these scores, one after another."""
    left = iter(values)
    return lambda model, name: ValidationResult({"loss": 1.0, "bleu": next(left)}, [])


def test_patience_counts_validations_that_bring_nothing_better(tmp_path: Path) -> None:
    training = make_training(
        tmp_path,
        validator=scores([1, 3, 2, 3, 9]),
        settings={"metric": "bleu", "stop_on": {"bleu": 2}, "every": Duration(2, "u")},
    )
    result = training.train()
    assert (result.update, result.best.update, result.best.score) == (8, 4, 3)
    assert result.stop == ("bleu has not improved in 2 validations", 0)
    links = {name: os.readlink(tmp_path / "checkpoints" / name) for name in ("best", "last")}
    assert links == {"best": "u0000004", "last": "u0000008"}


def test_patience_survives_a_stop(tmp_path: Path) -> None:
    settings = {"metric": "bleu", "stop_on": {"bleu": 3}, "every": Duration(2, "u")}
    make_training(tmp_path, validator=scores([5, 4]), epochs=Interrupted(4), settings=settings).train()
    result = make_training(tmp_path, validator=scores([3, 2, 1]), settings=settings).train()
    assert (result.update, result.best.update) == (8, 2)


def test_the_best_checkpoint_and_the_latest_are_kept_and_no_others(tmp_path: Path) -> None:
    settings = {"metric": "bleu", "every": Duration(5, "u"), "keep": 2}
    make_training(tmp_path, validator=scores([1, 9, 2, 3, 4, 5]), settings=settings).train()
    left = [path.name for path in checkpoint.list_checkpoints(tmp_path / "checkpoints")]
    assert left == ["u0000010", "u0000025", "u0000030"]


def test_checkpoints_come_between_validations_where_asked_for(tmp_path: Path) -> None:
    settings = {"checkpoint_every": Duration(4, "u"), "keep": 9, "stop_after": Duration(1, "e")}
    make_training(tmp_path, settings=settings).train()
    left = [path.name for path in checkpoint.list_checkpoints(tmp_path / "checkpoints")]
    assert left == ["u0000004", "u0000008", "u0000010"]
    assert [event["update"] for event in events(tmp_path, "validation")] == [10]


def test_a_run_ends_with_a_validation_wherever_it_ends(tmp_path: Path) -> None:
    make_training(tmp_path, settings={"stop_after": Duration(12, "u")}).train()
    assert [event["update"] for event in events(tmp_path, "validation")] == [10, 12]


def test_parts_of_epochs_are_validated_at_the_right_updates(tmp_path: Path) -> None:
    make_training(tmp_path, settings={"every": Duration(0.5, "e"), "accumulate": 4}).train()
    updates = [(event["update"], event["epoch"]) for event in events(tmp_path, "validation")]
    assert updates == [(2, 0.8), (3, 1.0), (5, 1.8), (6, 2.0), (8, 2.8), (9, 3.0)]


def test_the_loss_falls(tmp_path: Path) -> None:
    make_training(tmp_path).train()
    losses = [event["loss"] for event in events(tmp_path, "update")]
    assert losses[-1] < losses[0] - 0.2


def test_accumulated_batches_give_the_gradient_of_all_their_words_together() -> None:
    torch.manual_seed(1)
    model = Tiny().double().eval()
    group = [make_batch(0), make_batch(1)]
    made = Batch(*(torch.cat(parts) for parts in zip(*(batch[:5] for batch in group), strict=True)))
    norms = []
    for batches in (group, [made]):
        learner = make_learner(model=model, optimiser="sgd", clip_norm=None)
        outcome = learner.update(batches, rate=0.0, ratio=1.0)
        norms.append((outcome.norm, outcome.totals.loss, outcome.totals.tokens))
    assert norms[0] == pytest.approx(norms[1], rel=1e-12)


def test_gradients_are_clipped_to_the_norm_and_the_norm_before_is_told() -> None:
    model = Tiny().eval()
    outcome = make_learner(model=model, clip_norm=0.01).update([make_batch(0)], rate=0.0, ratio=1.0)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert torch.nn.utils.get_total_norm(grads).item() == pytest.approx(0.01, rel=1e-4)
    assert outcome.norm > 0.1


def test_fewer_batches_than_announced_are_an_error_and_not_an_endless_loop(tmp_path: Path) -> None:
    class Short(TenBatches):
        def count(self, epoch: int) -> int:
            return 11

    with pytest.raises(DataError, match="epoch 1 ended after 10 batches, but 11 were expected"):
        make_training(tmp_path, epochs=Short()).train()


def test_weights_of_another_model_are_not_resumed_from(tmp_path: Path) -> None:
    make_training(tmp_path).train()
    other = Tiny()
    other.extra = torch.nn.Linear(2, 2)
    with pytest.raises(DataError, match="a different model: the checkpoint has no extra.bias"):
        make_training(tmp_path, model=other).train()


def test_the_rate_and_the_ratio_of_every_entry_are_logged(tmp_path: Path) -> None:
    make_training(
        tmp_path,
        schedule=make_schedule(peak=1e-3, warmup=6),
        forcing=make_forcing("linear", span=20.0),
        settings={"stop_after": Duration(6, "u")},
    ).train()
    logged = [(event["learning_rate"], event["forcing_ratio"]) for event in events(tmp_path, "update")]
    assert logged == [pytest.approx((5e-4, 0.9)), pytest.approx((1e-3, 0.75))]


def test_checkpoint_json_tells_update_epoch_and_scores(tmp_path: Path) -> None:
    make_training(tmp_path, settings={"stop_after": Duration(1, "e")}).train()
    facts = checkpoint.read(tmp_path / "checkpoints" / "best").metadata
    assert (facts["run"]["update"], facts["run"]["epoch"], facts["run"]["position"]) == (10, 1, 0)
    assert set(facts["scores"]) == {"loss", "perplexity", "accuracy", "bleu"}
