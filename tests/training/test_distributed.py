"""Several processes of one run: the same updates as one, the same end after a stop, and clear ends."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from nmt.data.batches import Batch
from nmt.errors import UsageError
from nmt.model.decoder import DecoderOutput
from nmt.training import checkpoint
from nmt.training.console import Progress
from nmt.training.distributed import BUCKET, SINGLE_PROCESS, Processes, ProcessLostError, read_launch_info
from nmt.training.hardware import seed_generators
from nmt.training.logging import MetricsLog
from nmt.training.loop import Trainer
from nmt.training.loss import LossTotals
from nmt.training.snapshot import collect_model_tensors, gather_state, scatter_state
from nmt.training.validation import sum_losses
from tests.training.process_group import in_processes, values
from tests.training.runs import (
    Duration,
    TenBatches,
    Tiny,
    make_batch,
    make_forcing,
    make_learner,
    make_training,
)
from tests.training.test_loop import Interrupted, same


def member(run: Path, processes: Processes, **parts: Any) -> Trainer:
    """A process's part of a run, as a new process would make it."""
    quiet = Progress(run / "train.log" if processes.is_first else None, Console(quiet=True))
    metrics = MetricsLog(run / "metrics.jsonl" if processes.is_first else None)
    training = make_training(run, processes=processes, metrics=metrics, progress=quiet, **parts)
    seed_generators(7, processes.rank)
    return training


def without_dropout() -> Tiny:
    torch.manual_seed(7)
    model = Tiny()
    model.dropout = nn.Dropout(0.0)
    return model


TWELVE = {"stop_after": Duration(12, "u"), "every": Duration(6, "u")}


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("count", "accumulate"),
    [(4, 2), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(2, 1), (3, 2)])],
)
def test_several_processes_give_the_losses_of_one(tmp_path: Path, count: int, accumulate: int) -> None:
    """Batches have three rows: of four processes the last has none, and takes part all the same."""
    settings = {**TWELVE, "accumulate": accumulate}
    make_training(tmp_path / "one", model=without_dropout(), settings=settings, log_every=1).train()

    def train(processes: Processes) -> str:
        training = member(
            tmp_path / "many", processes, model=without_dropout(), settings=settings, log_every=1
        )
        training.train()
        return checkpoint.save_tensors(
            tmp_path / f"{processes.rank}.safetensors", collect_model_tensors(training.learner.model)
        )

    weights = values(in_processes(count, train))
    assert len(set(weights)) == 1
    one, many = events(tmp_path / "one"), events(tmp_path / "many")
    assert len(one) == len(many) == 14
    for mine, theirs in zip(one, many, strict=True):
        assert mine.keys() == theirs.keys()
        assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-6)
        assert theirs.get("tokens") == mine.get("tokens")


class InterruptedAtRankOne(Interrupted):
    def __init__(self, processes: Processes, after: int) -> None:
        super().__init__(after if processes.rank == 1 else 10**9)


@pytest.mark.parametrize("stop", [pytest.param(3, marks=pytest.mark.slow), 14])
def test_a_signal_at_any_rank_stops_all_and_the_run_goes_on_to_the_same_end(
    tmp_path: Path, stop: int
) -> None:
    parts: dict[str, Any] = {"forcing": make_forcing("linear", span=20.0, feedback="sample")}

    def straight(processes: Processes) -> None:
        member(tmp_path / "straight", processes, **parts).train()

    def stopped(processes: Processes) -> tuple[int, int]:
        epochs = InterruptedAtRankOne(processes, stop)
        result = member(tmp_path / "stopped", processes, epochs=epochs, **parts).train()
        return result.update, result.stop.exit_code

    def resumed(processes: Processes) -> None:
        training = member(tmp_path / "stopped", processes, **parts)
        seed_generators(999)  # a new process knows nothing of the old one's generators
        training.train()

    values(in_processes(2, straight))
    assert values(in_processes(2, stopped)) == [(stop + 1, 143)] * 2
    saved = checkpoint.read(tmp_path / "stopped" / "checkpoints" / "last")
    assert saved.metadata["processes"] == 2
    own, others = saved.trainer["generator/torch"], saved.trainer["process/1/generator/torch"]
    assert not torch.equal(own, others)
    values(in_processes(2, resumed))
    assert same(*(make_training(tmp_path / run) for run in ("straight", "stopped")))


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_going_on_with_another_number_of_processes_is_said(tmp_path: Path, before: int, after: int) -> None:
    for count, updates in ((before, 5), (after, 8)):
        settings = {"stop_after": Duration(updates, "u")}

        def train(processes: Processes, settings: dict[str, Any] = settings) -> int:
            return member(tmp_path, processes, settings=settings).train().update

        assert values(in_processes(count, train)) == [updates] * count
    said = " ".join((tmp_path / "train.log").read_text(encoding="utf-8").split())
    assert f"this run had {before} process" in said
    assert f"now it has {after}" in said


def test_when_a_process_is_killed_the_others_end_and_say_so(tmp_path: Path) -> None:
    class Killed(TenBatches):
        def batches(self, epoch: int, start: int) -> Iterator[Batch]:
            for position, batch in enumerate(super().batches(epoch, start)):
                if (epoch, position) == (1, 4):
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

    def train(processes: Processes) -> None:
        epochs = Killed() if processes.rank == 1 else TenBatches()
        member(tmp_path, processes, epochs=epochs).train()

    first, killed, third = in_processes(3, train)
    assert killed.exit_code == -signal.SIGKILL
    for left in (first, third):
        assert isinstance(left.error, ProcessLostError)
        assert "another process has ended or does not respond" in str(left.error)
        assert "resumes from the last checkpoint" in str(left.error)
        assert "third_party" not in str(left.error)
    assert os.readlink(tmp_path / "checkpoints" / "last") == "u0000010"


def test_what_the_first_process_refuses_stops_all_with_its_exit_code() -> None:
    def work(processes: Processes) -> None:
        def refuse() -> None:
            raise UsageError("no such thing")

        processes.run_on_first(refuse)

    first, other = in_processes(2, work)
    assert str(first.error) == "no such thing"
    assert isinstance(other.error, ProcessLostError)
    assert other.error.exit_code == 2


def test_the_others_find_what_the_first_has_made(tmp_path: Path) -> None:
    file = tmp_path / "made"

    def work(processes: Processes) -> list[Any]:
        def make() -> str:
            if not file.exists():
                file.write_text(f"by {processes.rank}", encoding="utf-8")
            return file.read_text(encoding="utf-8")

        made = processes.run_first_then_others(make)
        spread = processes.map_shared(
            ["a", "b", "c", "d"], lambda items: [f"{i} {processes.rank}" for i in items]
        )
        return [
            made,
            processes.run_on_first(lambda: processes.rank),
            processes.maximum(processes.rank),
            [part.decode() for part in processes.gather(b"x" * processes.rank)],
            spread,
        ]

    expected = ["by 0", 0, 2.0, ["", "x", "xx"], ["a 0", "b 1", "c 2", "d 0"]]
    assert values(in_processes(3, work)) == [expected] * 3


def test_a_gradient_that_no_process_has_is_none_and_one_that_some_have_is_the_sum() -> None:
    def work(processes: Processes) -> list[Any]:
        sizes = (2, BUCKET + 1, 3, 1)
        parameters = [nn.Parameter(torch.zeros(size)) for size in sizes]
        parameters[3].requires_grad_(False)
        parameters[0].grad = torch.full((2,), 1.0 + processes.rank)
        if processes.rank == 1:
            parameters[1].grad = torch.ones(BUCKET + 1)
        processes.sum_gradients(parameters)
        return [None if p.grad is None else float(p.grad.mean()) for p in parameters]

    assert values(in_processes(2, work)) == [[3.0, 1.0, None, None]] * 2


def test_a_loss_that_is_no_number_in_one_process_is_noticed_by_all() -> None:
    class NoNumber(Tiny):
        def unroll(self, memory: Tensor, *arguments: Any, **settings: Any) -> DecoderOutput:
            whole = super().unroll(memory, *arguments, **settings)
            return whole._replace(features=whole.features * (torch.nan if self.bad else 1.0))

    def work(processes: Processes) -> str:
        model = NoNumber()
        model.bad = processes.rank == 1
        learner = make_learner(model=model, processes=processes)
        bad_update = learner.update([make_batch(0)], rate=0.1, ratio=1.0).bad_update
        return bad_update.reason if bad_update else ""

    assert values(in_processes(2, work)) == ["the loss became NaN"] * 2


def test_the_validation_loss_is_that_of_all_rows() -> None:
    batches = [make_batch(index) for index in range(4)]
    alone = sum_losses(without_dropout(), batches)  # type: ignore[arg-type]

    def work(processes: Processes) -> LossTotals:
        return sum_losses(without_dropout(), batches, processes)  # type: ignore[arg-type]

    for found in values(in_processes(2, work)):
        assert (found.tokens, found.correct) == (alone.tokens, alone.correct)
        assert found.nll == pytest.approx(alone.nll, rel=1e-6)


def test_carried_rows_are_kept_in_the_order_of_the_whole_batch_and_dealt_to_any_number() -> None:
    whole = torch.arange(5 * 2.0).view(5, 2)

    class Described(Processes):
        def __init__(self, rank: int, count: int) -> None:
            self.rank, self.count = rank, count

    def work(processes: Processes) -> list[Any]:
        mine = {"carried/0": whole[processes.rank :: processes.count]}
        kept = gather_state(processes, mine if processes.rank < 5 else {})
        return kept["carried/0"].tolist()

    assert values(in_processes(2, work)) == [whole.tolist()] * 2
    for count in (1, 2, 7):
        for rank in range(count):
            mine = scatter_state(Described(rank, count), {"carried/0": whole}).get("carried/0", whole[:0])
            assert mine.tolist() == whole[rank::count].tolist()


def test_alone_nothing_is_shared() -> None:
    batch = make_batch(0)
    assert SINGLE_PROCESS.local_rows(batch) is batch
    assert gather_state(SINGLE_PROCESS, {"carried/0": batch.src}) == {"carried/0": batch.src}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORLD_SIZE": "2"}, "RANK and MASTER_ADDR and MASTER_PORT are not set: start them with torchrun"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "here"}, "MASTER_PORT is not set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two"),
    ],
)
def test_half_of_a_launcher_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=said):
        read_launch_info()
