"""A snapshot: all that decides how training goes on, as tensors and plain values, and back again."""

import random
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nmt.errors import DataError
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.recurrence.state import map_tensors
from nmt.training.checkpoint import Tensors, pack_tensors, unpack_tensors
from nmt.training.distributed import Processes


def model_tensors(model: nn.Module) -> Tensors:
    """The weights by name; a tensor that several names share stands under the first."""
    seen: set[int] = set()
    tensors: Tensors = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


def load_model_tensors(model: nn.Module, tensors: Tensors) -> None:
    """Copy weights into a model of the same names and shapes; DataError names the first that differs."""
    mine = model_tensors(model)
    if odd := sorted(mine.keys() ^ tensors.keys()):
        where = "the checkpoint" if odd[0] in mine else "the model"
        raise DataError(
            f"these weights are of another model: {where} has no {odd[0]} ({len(odd)} names differ)"
        )
    for name, tensor in mine.items():
        if tensor.shape != tensors[name].shape:
            raise DataError(
                f"these weights are of another model: {name} is {tuple(tensors[name].shape)}, "
                f"the model has {tuple(tensor.shape)}"
            )
        tensor.copy_(tensors[name])


def optimiser_tensors(model: nn.Module, optimiser: Optimizer) -> Tensors:
    """The optimiser's moments as `optimiser/KEY/PARAMETER`; its settings are the recipe's, not kept."""
    return {
        f"optimiser/{key}/{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def load_optimiser_tensors(model: nn.Module, optimiser: Optimizer, tensors: Tensors) -> None:
    """Give the optimiser the moments that `optimiser_tensors` took."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    places = {names[id(p)]: place for place, p in enumerate(_parameters(optimiser))}
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        if full_name.startswith("optimiser/"):
            _, key, name = full_name.split("/", 2)
            if name not in places:
                raise DataError(f"this trainer state is of another model: there is no parameter {name}")
            state.setdefault(places[name], {})[key] = tensor.clone()  # not a view of a file that may go
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _parameters(optimiser: Optimizer) -> Iterator[nn.Parameter]:
    groups: Iterable[dict[str, Any]] = optimiser.param_groups
    return (parameter for group in groups for parameter in group["params"])


def carried_tensors(carried: DecoderState | None) -> Tensors:
    """The state that the next batch goes on from as `carried/NUMBER`, in the order of its parts."""
    tensors: Tensors = {}

    def take(tensor: Tensor) -> Tensor:
        tensors[f"carried/{len(tensors)}"] = tensor
        return tensor

    map_tensors(take, carried)
    return tensors


def carried_state(model: Translator, tensors: Tensors) -> DecoderState | None:
    """What `carried_tensors` took, for the model that it was taken from."""
    if "carried/0" not in tensors:
        return None
    device = next(model.parameters()).device
    numbers = count()
    like = model.start(model.encode(torch.zeros(1, 1, dtype=torch.int64, device=device)))
    return map_tensors(lambda _: tensors[f"carried/{next(numbers)}"].to(device), like)


def seed_generators(seed: int, rank: int = 0) -> None:
    """Start every generator that a model or a user's cell may draw from; in each process differently."""
    if rank:
        seed = int(np.random.SeedSequence((seed, rank)).generate_state(1)[0])
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def generator_tensors() -> Tensors:
    """The states of the generators that a model or a user's cell may draw from."""
    _, numbers, *rest = np.random.get_state(legacy=True)
    version, words, gauss = random.getstate()
    return torch_generator_tensors() | {
        "generator/numpy": torch.from_numpy(np.asarray(numbers).astype(np.int64)),
        "generator/numpy-rest": torch.tensor([float(value) for value in rest], dtype=torch.float64),
        "generator/python": torch.tensor([version, *words]),
        "generator/python-rest": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
    }


def torch_generator_tensors() -> Tensors:
    """The states of torch's generators, from which dropout and samples are drawn."""
    tensors = {"generator/torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["generator/cuda"] = torch.cuda.get_rng_state()
    return tensors


def load_generator_tensors(tensors: Tensors) -> None:
    """Put the generators back to where `generator_tensors` saw them, if it did."""
    if "generator/torch" not in tensors:
        return
    load_torch_generator_tensors(tensors)
    position, has_gauss, gauss = tensors["generator/numpy-rest"].tolist()
    numbers = tensors["generator/numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", numbers, int(position), int(has_gauss), gauss))
    version, *words = tensors["generator/python"].tolist()
    rest = tensors["generator/python-rest"].tolist()
    random.setstate((version, tuple(words), rest[0] if rest else None))


def load_torch_generator_tensors(tensors: Tensors) -> None:
    """Put torch's generators back to where `torch_generator_tensors` saw them."""
    torch.set_rng_state(tensors["generator/torch"])
    if torch.cuda.is_available() and "generator/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator/cuda"])


GENERATOR, CARRIED = "generator/", "carried/"


def gather_state(processes: Processes, mine: Tensors) -> Tensors:
    """The generators' states of every process, and the carried state with the rows of all.

    Those of process r > 0 are called `process/r/generator/…`; rows stand as in a batch of the whole run.
    """
    if processes.count == 1:
        return mine
    everyones = [unpack_tensors(content) for content in processes.gather(pack_tensors(mine))]
    tensors = {
        (name if rank == 0 else f"process/{rank}/{name}"): tensor
        for rank, theirs in enumerate(everyones)
        for name, tensor in theirs.items()
        if name.startswith(GENERATOR)
    }
    for name in everyones[0]:
        if name.startswith(CARRIED):
            tensors[name] = _interleaved([theirs[name] for theirs in everyones if name in theirs])
    return tensors


def scatter_state(processes: Processes, tensors: Tensors) -> Tensors:
    """What is this process's of what `gather_state` gave, under the names that it had.

    A process that the checkpoint does not know of finds no generators; rows are dealt to any number.
    """
    mine = f"process/{processes.rank}/" if processes.rank else ""
    own = {name.removeprefix(mine): t for name, t in tensors.items() if name.startswith(mine + GENERATOR)}
    rows = slice(processes.rank, None, processes.count)
    return own | {name: t[rows] for name, t in tensors.items() if name.startswith(CARRIED) and len(t[rows])}


def process_count_note(before: int, now: int) -> Iterator[str]:
    """What it means that a run goes on with another number of processes."""
    if before != now:
        yield (
            f"so far this run had {before} process{'es' * (before > 1)}, now it has {now}: batches stay the "
            "same, but dropout and other draws are others, so it ends near where it would have, not there"
        )


def _interleaved(parts: list[Tensor]) -> Tensor:
    """Row i of the whole is row i // n of part i % n."""
    whole = torch.cat(parts)
    for rank, part in enumerate(parts):
        whole[rank :: len(parts)] = part
    return whole


class TransferredTensors(NamedTuple):
    """The names of the tensors that were taken over, and of those that were not."""

    taken: list[str]
    fresh: list[str]  # in the model alone
    misfits: list[str]  # of another shape
    left: list[str]  # without a place in the model


def transfer_tensors(model: nn.Module, other: nn.Module) -> TransferredTensors:
    """Copy what fits into a model, whose other weights stay as they are."""
    mine, tensors = model_tensors(model), other.state_dict()
    shared = [name for name in mine if name in tensors]
    taken = [name for name in shared if mine[name].shape == tensors[name].shape]
    for name in taken:
        mine[name].copy_(tensors[name])
    return TransferredTensors(
        taken,
        [name for name in mine if name not in tensors],
        [name for name in shared if name not in taken],
        [name for name in model_tensors(other) if name not in model.state_dict()],
    )
