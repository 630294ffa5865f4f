"""Optimisers, built from torch's, and parameters that are not trained."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nmt.errors import UsageError, suggestion
from nmt.model.translator import TranslationModel
from nmt.settings import OneOf, Probability, Settings, Weight

# One kernel over each parameter: for 7 million of them on one CPU core an Adam update takes 9 ms with
# `fused=True`, 42 ms without, 46 ms with `foreach=True`.
FUSED = True

ParameterGroup = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings(Settings):
    """The update rule."""

    optimiser: Annotated[str, OneOf(lambda: OPTIMISERS)] = "adam"
    """Update rule; muon applies Muon to matrices, and AdamW to embeddings, the output layer and vectors."""
    betas: tuple[Probability, Probability] = (0.9, 0.999)
    """adam, adamw, nadam: decay of the two moments; muon: of its momentum, and of AdamW's moments."""
    momentum: Probability = 0.0
    """sgd: momentum."""
    weight_decay: Weight = 0.0
    """Decay of matrices, not of vectors: decoupled for adamw, adafactor and muon, otherwise an L2 penalty."""


class ParameterGroups(NamedTuple):
    """The trainable parameters by kind.

    Vectors (biases, gains, peepholes) have no weight decay: it would pull the bias of a forget gate to 0.
    """

    matrices: ParameterGroup  # that map one vector to another
    tables: ParameterGroup  # with a row per token: the embeddings and the output layer
    vectors: ParameterGroup


def _without_compiler(kind: type[Optimizer]) -> Callable[..., Optimizer]:
    """Return a subclass whose methods are not hidden from torch's compiler.

    To hide them, torch imports the compiler at the first call, which takes a second and 70 MB.
    """
    members = inspect.getmembers(kind, inspect.isfunction)
    plain = {name: inspect.unwrap(method) for name, method in members if hasattr(method, "__wrapped__")}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(plain["step"])})


_Adam, _AdamW, _SGD = map(_without_compiler, (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD))


def _adamw(groups: Sequence[ParameterGroup], settings: OptimiserSettings) -> Optimizer:
    return _AdamW(groups, lr=0.0, betas=settings.betas, fused=FUSED)


class MuonAndAdamW(Optimizer):
    """Muon for the matrices and AdamW for everything else, as one optimiser.

    Muon's step is scaled to the size of AdamW's (Liu et al., 2025), so that one learning rate suits both.
    """

    def __init__(self, groups: ParameterGroups, settings: OptimiserSettings) -> None:
        matrices, *rest = groups
        muon = torch.optim.Muon(
            [matrices], lr=0.0, momentum=settings.betas[0], adjust_lr_fn="match_rms_adamw"
        )
        self.optimisers = (muon, _adamw(rest, settings))
        super().__init__([group for one in self.optimisers for group in one.param_groups], {})
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Share the groups and the state of this optimiser with both."""
        muon, adamw = self.optimisers
        muon.param_groups, adamw.param_groups = self.param_groups[:1], self.param_groups[1:]
        muon.state = adamw.state = self.state

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make an update with both."""
        for optimiser in self.optimisers:
            optimiser.step()


OPTIMISERS: dict[str, Callable[[ParameterGroups, OptimiserSettings], Optimizer]] = {
    # Kingma & Ba, 2015; weight decay is an L2 penalty
    "adam": lambda groups, s: _Adam(groups, lr=0.0, betas=s.betas, fused=FUSED),
    # Loshchilov & Hutter, 2019; weight decay is decoupled
    "adamw": _adamw,
    # Dozat, 2016; weight decay is an L2 penalty
    "nadam": lambda groups, s: torch.optim.NAdam(groups, lr=0.0, betas=s.betas),
    # Shazeer & Stern, 2018; weight decay is decoupled
    "adafactor": lambda groups, s: torch.optim.Adafactor(groups, lr=0.0),
    "sgd": lambda groups, s: _SGD(groups, lr=0.0, momentum=s.momentum, fused=FUSED),
    # Jordan et al., 2024; weight decay is decoupled
    "muon": MuonAndAdamW,
}

MOMENTS = {"adam": 2, "adamw": 2, "nadam": 2, "adafactor": 0, "sgd": 0, "muon": 1}
"""Numbers that each optimiser keeps for every weight, at least; sgd keeps one more with momentum."""


def count_moments(settings: OptimiserSettings) -> int:
    """Return how many numbers the update rule keeps for every weight, at least."""
    return MOMENTS[settings.optimiser] + (settings.optimiser == "sgd" and settings.momentum > 0)


def build_optimiser(model: TranslationModel, settings: OptimiserSettings) -> Optimizer:
    """Build the update rule of the trainable parameters; the loop sets the learning rate of each update."""
    embeddings: list[Tensor] = [m.weight for m in model.modules() if isinstance(m, nn.Embedding)]
    table_ids = {id(table) for table in (*embeddings, model.decoder.output.weight)}
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.dim() > 1 and id(p) not in table_ids]
    tables = [p for p in trainable if id(p) in table_ids]
    groups = ParameterGroups(
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": tables, "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.dim() <= 1], "weight_decay": 0.0},
    )
    return OPTIMISERS[settings.optimiser](groups, settings)


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
