"""Which device a process trains on, and what is refused."""

import pytest
import torch

from nmt.errors import UsageError
from nmt.training.distributed import Place
from nmt.training.hardware import find_device

ALONE, SECOND, TOLD_NOTHING = Place(0, 1), Place(3, 4, 1, 2), Place(4, 5)


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
    gpus: list[torch.device], name: str, place: Place, found: str
) -> None:
    assert find_device(name, place) == torch.device(found)
    assert [str(device) for device in gpus] == ([] if found == "cpu" else [found])


@pytest.mark.parametrize(
    ("name", "place", "said"),
    [
        ("cuda:2", ALONE, "needs GPU 2, but torch finds 2 here"),
        ("auto", Place(2, 3, 2, 3), "process 2 needs GPU 2, but torch finds 2 here"),
        ("cuda:0", SECOND, "is one GPU for 2 processes"),
    ],
)
@pytest.mark.usefixtures("gpus")
def test_more_processes_than_gpus_are_refused(name: str, place: Place, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_device(name, place)


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto", SECOND) == torch.device("cpu")
    with pytest.raises(UsageError, match="cuda: torch finds no GPU here"):
        find_device("cuda", ALONE)
