"""Conversion of weights, moments and random generators to named tensors, and back."""

import random
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nmt.data.vocabulary import SPECIALS
from nmt.errors import DataError
from nmt.model.decoder import DecoderState
from nmt.model.translator import TranslationModel
from nmt.recurrence.state import map_tensors
from nmt.training.checkpoint import Tensors, pack_tensors, unpack_tensors
from nmt.training.distributed import Processes


def collect_model_tensors(model: nn.Module) -> Tensors:
    """Return the weights by name; a tensor shared by several names is listed under the first."""
    seen: set[int] = set()
    tensors: Tensors = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


def load_model_tensors(model: nn.Module, tensors: Tensors) -> None:
    """Copy weights into a model with the same names and shapes; DataError names the first that differs."""
    own = collect_model_tensors(model)
    shapes, given = ({name: tuple(t.shape) for name, t in part.items()} for part in (own, tensors))
    if problem := check_shapes(shapes, given):
        raise DataError(problem)
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def check_shapes(own: Mapping[str, Sequence[int]], given: Mapping[str, Sequence[int]]) -> str | None:
    """Describe the first difference between the names and shapes of a model and of given weights."""
    if names := sorted(own.keys() ^ given.keys()):
        side = "the checkpoint" if names[0] in own else "the model"
        return (
            f"these weights belong to a different model: {side} has no {names[0]} ({len(names)} names differ)"
        )
    for name, shape in own.items():
        if shape != given[name]:
            difference = f"{name} has shape {given[name]}, in the model {shape}"
            return f"these weights belong to a different model: {difference}"
    return None


def collect_optimiser_tensors(model: nn.Module, optimiser: Optimizer) -> Tensors:
    """Return the optimiser's moments as `optimiser/KEY/PARAMETER`; its settings come from the recipe."""
    return {
        f"optimiser/{key}/{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


FACTORS = ("row_var", "col_var")
"""Moments of Adafactor, which are smaller than the weights."""


def load_optimiser_tensors(model: nn.Module, optimiser: Optimizer, tensors: Tensors) -> None:
    """Restore the moments that `collect_optimiser_tensors` returned."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    parameters = (p for group in optimiser.param_groups for p in group["params"])
    indices = {names[id(p)]: index for index, p in enumerate(parameters)}
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        if full_name.startswith("optimiser/"):
            _, key, name = full_name.split("/", 2)
            if name not in indices:
                raise DataError(f"this trainer state belongs to a different model: no parameter {name}")
            if tensor.dim() and key not in FACTORS and tensor.shape != shapes[name]:
                raise DataError(
                    f"this trainer state belongs to a different model: wrong shape of {full_name}"
                )
            state.setdefault(indices[name], {})[key] = tensor.clone()  # not a view of a file
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def collect_carried_tensors(carried: DecoderState | None) -> Tensors:
    """Return the state carried over to the next batch as `carried/NUMBER`, in the order of its parts."""
    tensors: Tensors = {}

    def add(tensor: Tensor) -> Tensor:
        tensors[f"carried/{len(tensors)}"] = tensor
        return tensor

    map_tensors(add, carried)
    return tensors


def restore_carried_state(model: TranslationModel, tensors: Tensors) -> DecoderState | None:
    """Restore the state that `collect_carried_tensors` returned, if there is one."""
    if "carried/0" not in tensors:
        return None
    device = next(model.parameters()).device
    numbers = count()
    structure = model.decoder.start(model.encode(torch.zeros(1, 1, dtype=torch.int64, device=device)))
    return map_tensors(lambda _: tensors[f"carried/{next(numbers)}"].to(device), structure)


def collect_generator_tensors() -> Tensors:
    """Return the states of the generators of torch, numpy and Python."""
    _, numbers, *rest = np.random.get_state(legacy=True)
    version, words, gauss = random.getstate()
    return collect_torch_generator_tensors() | {
        "generator/numpy": torch.from_numpy(np.asarray(numbers).astype(np.int64)),
        "generator/numpy-rest": torch.tensor([float(value) for value in rest], dtype=torch.float64),
        "generator/python": torch.tensor([version, *words]),
        "generator/python-rest": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
    }


def collect_torch_generator_tensors() -> Tensors:
    """Return the states of torch's generators."""
    tensors = {"generator/torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["generator/cuda"] = torch.cuda.get_rng_state()
    return tensors


def load_generator_tensors(tensors: Tensors) -> None:
    """Restore the states that `collect_generator_tensors` returned, if there are any."""
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
    """Restore the states that `collect_torch_generator_tensors` returned."""
    torch.set_rng_state(tensors["generator/torch"])
    if torch.cuda.is_available() and "generator/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator/cuda"])


GENERATOR, CARRIED = "generator/", "carried/"


def gather_state(processes: Processes, own: Tensors) -> Tensors:
    """Gather the generator states of all processes, and the carried state with the rows of all.

    The generators of process r > 0 are named `process/r/generator/…`; rows are in the order of the batch.
    """
    if processes.count == 1:
        return own
    by_rank = [unpack_tensors(message) for message in processes.gather(pack_tensors(own))]
    tensors = {
        (name if rank == 0 else f"process/{rank}/{name}"): tensor
        for rank, state in enumerate(by_rank)
        for name, tensor in state.items()
        if name.startswith(GENERATOR)
    }
    for name in by_rank[0]:
        if name.startswith(CARRIED):
            parts = [state[name] for state in by_rank if name in state]
            tensors[name] = torch.cat(parts)
            for rank, part in enumerate(parts):  # row i of the batch is row i // n of process i % n
                tensors[name][rank :: len(parts)] = part
    return tensors


def scatter_state(processes: Processes, tensors: Tensors) -> Tensors:
    """Return this process's part of what `gather_state` returned, under the original names.

    The number of processes may differ: new ones get no generator states, and rows are redistributed.
    """
    prefix = f"process/{processes.rank}/" if processes.rank else ""
    own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix + GENERATOR)}
    rows = slice(processes.rank, None, processes.count)
    return own | {name: t[rows] for name, t in tensors.items() if name.startswith(CARRIED) and len(t[rows])}


def transfer_tensors(
    model: nn.Module, other: nn.Module, rows: Mapping[str, Sequence[Sequence[int]]] | None = None
) -> dict[str, list[str]]:
    """Copy all weights of `other` that fit into a model, and keep the rest of the model.

    A tensor in `rows` gets in each row the mean of these rows of the other one. Returns the names of those
    `copied`, of those of the model that are `new here` or `of another shape`, and of those of `other` that
    are `not used here`.
    """
    own, tensors = collect_model_tensors(model), other.state_dict()
    shared = [name for name in own if name in tensors]
    for name, parts in (rows or {}).items():
        if name in shared:
            tensors[name] = average_rows(tensors[name], parts)
    copied = [name for name in shared if own[name].shape == tensors[name].shape]
    for name in copied:
        own[name].copy_(tensors[name])
    return {
        "copied": copied,
        "new here": [name for name in own if name not in tensors],
        "of another shape": [name for name in shared if name not in copied],
        "not used here": [name for name in collect_model_tensors(other) if name not in model.state_dict()],
    }


def average_rows(table: Tensor, parts: Sequence[Sequence[int]]) -> Tensor:
    """Return a table whose row i is the mean of the rows parts[i]; the mean of all tokens, if it is empty."""
    new = table.new_empty(len(parts), *table.shape[1:])
    mean = table[len(SPECIALS) :].mean(0)
    for row, part in zip(new, parts, strict=True):
        row.copy_(mean if not part else table[part[0]] if len(part) == 1 else table[part].mean(0))
    return new
