"""Optimisers, built from torch's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

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


def _adamw(groups: Sequence[ParameterGroup], settings: OptimiserSettings) -> Optimizer:
    return torch.optim.AdamW(groups, lr=0.0, betas=settings.betas, fused=FUSED)


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
    "adam": lambda groups, s: torch.optim.Adam(groups, lr=0.0, betas=s.betas, fused=FUSED),
    # Loshchilov & Hutter, 2019; weight decay is decoupled
    "adamw": _adamw,
    # Dozat, 2016; weight decay is an L2 penalty
    "nadam": lambda groups, s: torch.optim.NAdam(groups, lr=0.0, betas=s.betas),
    # Shazeer & Stern, 2018; weight decay is decoupled
    "adafactor": lambda groups, s: torch.optim.Adafactor(groups, lr=0.0),
    "sgd": lambda groups, s: torch.optim.SGD(groups, lr=0.0, momentum=s.momentum, fused=FUSED),
    # Jordan et al., 2024; weight decay is decoupled
    "muon": MuonAndAdamW,
}


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
