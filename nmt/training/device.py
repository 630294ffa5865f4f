"""The device that a process trains on, and what it can compute in."""

import torch

from nmt.errors import UsageError
from nmt.training.processes import Place


def find_device(name: str, place: Place) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device; without a number each process of a machine has its own.

    Raises UsageError where there is no such device, or not one for every process.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not found:
        raise UsageError(f"training.device: {name}: torch finds no GPU here; `auto` or `cpu` does without")
    _, _, number = name.partition(":")
    if number and place.local_count > 1:
        raise UsageError(
            f"training.device: {name} is one GPU for {place.local_count} processes; `cuda` gives each its own"
        )
    index = place.rank % found if place.local_rank is None else place.local_rank
    index = int(number or index)
    if index >= found:
        raise UsageError(
            f"training.device: {name}: process {place.rank} needs GPU {index}, but torch finds {found} here, "
            f"counted from 0; start as many processes as there are GPUs, or train on the CPU (cpu)"
        )
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device
