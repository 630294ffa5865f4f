"""The memory that a model takes, known from its settings before it is built, and the memory there is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.errors import DataError, NmtError, UsageError
from nmt.model.translator import TranslationModel
from nmt.operating_system import list_free_memory
from nmt.recipe.schema import Recipe, find_stack_settings
from nmt.training.checkpoint import CheckHeader
from nmt.training.optimisers import count_moments
from nmt.training.snapshot import check_shapes, collect_model_tensors
from nmt.untrusted_files import RefusedFile, TensorHeader

BuildModel = Callable[[], TranslationModel]
FLOAT = 4  # bytes
LOADED = 2  # copies of the weights while a model is loaded: from the file, and in the model


class SkipInitialisation(TorchFunctionMode):
    """A context in which new weights stay as they were allocated, because a file overwrites them all."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if (
            function in (Tensor.normal_, Tensor.uniform_)
            or getattr(function, "__module__", None) == nn.init.__name__
        ):
            return arguments[0] if arguments else keywords["tensor"]
        if function is torch.linalg.qr:  # of an orthogonal matrix
            return arguments[0], arguments[0]
        return function(*arguments, **(keywords or {}))


def outline_model(build: BuildModel) -> TranslationModel:
    """Build a model whose weights have shapes but no memory."""
    with torch.device("meta"), SkipInitialisation():  # random numbers without memory load half of PyTorch
        return build()


def build_header_check(model: TranslationModel) -> CheckHeader:
    """Build a check that a file contains the weights of a model: names, types and shapes."""
    expected = {name: tuple(tensor.shape) for name, tensor in collect_model_tensors(model).items()}

    def check(path: Path, header: TensorHeader) -> None:
        if problem := check_shapes(expected, {name: tuple(t.shape) for name, t in header.tensors.items()}):
            raise RefusedFile(path, problem, "use the recipe and the weights of one run")
        for name, entry in header.tensors.items():
            if entry.dtype != "F32":
                raise RefusedFile(path, f"{name} has the type {entry.dtype} instead of F32")

    return check


def check_training_memory(recipe: Recipe, model: TranslationModel, device: torch.device) -> None:
    """Raise UsageError if weights, gradients and the optimiser's state do not fit into memory.

    Weights that are frozen have neither gradients nor moments.
    """
    total, trained = (
        sum(parameter.numel() for parameter in model.parameters() if counts_all or parameter.requires_grad)
        for counts_all in (True, False)
    )
    share = trained / max(1, total)
    copies = 1 + share * (1 + count_moments(recipe.training)) + (recipe.training.ema is not None)
    purpose = "for weights, gradients and optimiser"
    _check_memory(recipe, model, copies, purpose, available_memory(device), UsageError)


def build_within_memory(recipe: Recipe, build: BuildModel) -> TranslationModel:
    """Build a model with initial weights; UsageError if these do not fit into memory."""
    if torch.get_default_device().type == "meta":  # this is an outline itself
        return build()
    available = available_memory(torch.device("cpu"))
    _check_memory(recipe, outline_model(build), 1, "for its weights", available, UsageError)
    return build()


def check_loading_memory(recipe: Recipe, model: TranslationModel) -> None:
    """Raise DataError if the weights of a trained model do not fit into memory."""
    _check_memory(recipe, model, LOADED, "to load it", available_memory(torch.device("cpu")), DataError)


def _check_memory(
    recipe: Recipe,
    model: TranslationModel,
    copies: float,
    purpose: str,
    available: int | None,
    error: type[NmtError],
) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    needed = count * copies * FLOAT
    if available is None or needed <= available:
        return
    sizes = ", ".join(_sizes(recipe))
    raise error(
        f"the model has {count:,} parameters and needs {needed / 1e9:,.1f} GB of memory {purpose}, but "
        f"{available / 1e9:,.1f} GB are available; reduce its sizes ({sizes})"
    )


def _sizes(recipe: Recipe) -> Iterator[str]:
    for section, stack in find_stack_settings(recipe).items():
        for name in ("hidden", "layers", "embedding"):
            yield f"{section}.{name}={getattr(stack, name)}"
    yield f"subwords.size={recipe.subwords.size}"


def available_memory(device: torch.device) -> int | None:
    """Return the bytes of memory that this process can still use on a device; None if that is unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(list_free_memory(), default=None)
