"""Parameters that are not trained."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from nmt.errors import UsageError, suggestion


def freeze_parameters(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Exclude parameters from training, by name, part or pattern; return their names.

    A parameter with several names (tied matrices) is frozen by any of them. UsageError for a pattern that
    matches none, and if nothing is left to train.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    parts = [".".join(name.split(".")[:depth]) for name in parameters for depth in range(1, 9)]
    for pattern in patterns:
        found = [name for name in parameters if _is_part(name, pattern)]
        if not found:
            names = list(dict.fromkeys([*parts, *parameters]))
            raise UsageError(f"training.freeze: no parameter '{pattern}', {suggestion(pattern, names)}")
        for name in found:
            parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise UsageError("training.freeze: nothing is left to train")
    return [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


def _is_part(name: str, pattern: str) -> bool:
    """Return True if a pattern is that of a parameter, or of a part of the model that contains it."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[: depth + 1]), pattern) for depth in range(len(parts)))
