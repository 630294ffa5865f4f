"""Which device a process trains on, and what is refused."""

import pytest
import torch

from nmt.errors import UsageError
from nmt.training.distributed import LaunchInfo
from nmt.training.hardware import select_device

ALONE, SECOND, TOLD_NOTHING = LaunchInfo(0, 1), LaunchInfo(3, 4, 1, 2), LaunchInfo(4, 5)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A machine with two GPUs, and which of them were made the current one."""
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.mark.parametrize(
    ("name", "place", "found"),
    [
        ("auto", ALONE, "cuda:0"),
        ("cuda", SECOND, "cuda:1"),
        ("auto", TOLD_NOTHING, "cuda:0"),
        ("cuda:1", ALONE, "cuda:1"),
        ("cpu", SECOND, "cpu"),
    ],
)
def test_each_process_of_a_machine_has_a_gpu_of_its_own(
    gpus: list[torch.device], name: str, place: LaunchInfo, found: str
) -> None:
    assert select_device(name, place) == torch.device(found)
    assert [str(device) for device in gpus] == ([] if found == "cpu" else [found])


@pytest.mark.parametrize(
    ("name", "place", "said"),
    [
        ("cuda:2", ALONE, "needs GPU 2, but torch finds 2"),
        ("auto", LaunchInfo(2, 3, 2, 3), "process 2 needs GPU 2, but torch finds 2"),
        ("cuda:0", SECOND, "is one GPU for 2 processes"),
    ],
)
@pytest.mark.usefixtures("gpus")
def test_more_processes_than_gpus_are_refused(name: str, place: LaunchInfo, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        select_device(name, place)


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert select_device("auto", SECOND) == torch.device("cpu")
    with pytest.raises(UsageError, match="cuda: torch finds no GPU"):
        select_device("cuda", ALONE)
