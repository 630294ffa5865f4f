"""Gradients through time: how much of what a loss says reaches the states before it (Bengio et al., 1994)."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import get_total_norm

from nmt.cells import cell_name
from nmt.cells.cell import Cell
from nmt.data.batches import Batch
from nmt.model.decoder import DecoderState
from nmt.model.encoder import NoEncoder
from nmt.model.translator import Translator
from nmt.recurrence.layer import Stack
from nmt.recurrence.state import detach_states
from nmt.training.objectives.likelihood import forced_loss

VANISHED, EXPLODED = 0.01, 100.0
"""Shares of the gradient at lag 0: below the one it is lost, above the other it drowns all else."""


class Place(NamedTuple):
    """Where a cell stands."""

    side: str  # encoder or decoder
    layer: int  # from 1
    direction: str  # forward, backward or conditional
    cell: str


class Reach(NamedTuple):
    """What comes back through a cell to its state, by lag.

    In a decoder lag k is the norm of d loss_t / d h_(t-k) of a sentence, the mean over sentences and t. In an
    encoder it is that of d loss / d h of the sentence's whole loss, k positions before the last that the
    direction reads: there the way through the recurrence begins.
    """

    place: Place
    path: str  # the part of the state; "c alone": no step has read any other part
    norms: list[float]
    shares: list[float]  # of the norm at lag 0 of the same losses

    def first(self, wanted: Callable[[float], bool]) -> int | None:
        """The first lag whose share is so."""
        return next((lag for lag, share in enumerate(self.shares) if wanted(share)), None)

    @property
    def vanished(self) -> int | None:
        """The first lag at which next to nothing arrives."""
        return self.first(lambda share: share < VANISHED)

    @property
    def exploded(self) -> int | None:
        """The first lag at which far more arrives than was sent, or no number at all."""
        return self.first(lambda share: not share <= EXPLODED)


class Clipping(NamedTuple):
    """The norms of the weights' gradients of some batches, and the norm they are scaled down to.

    All lags are scaled alike: what had vanished beside the rest has vanished still.
    """

    norms: list[float]
    limit: float | None

    @property
    def factors(self) -> list[float]:
        """What each batch's gradient is multiplied by."""
        return [1.0 if self.limit is None else min(1.0, self.limit / norm) for norm in self.norms]


def reaches(model: Translator, batches: Sequence[Batch], *, lags: int) -> list[Reach]:
    """The gradients that come back to the states of every cell, up to `lags` positions back.

    A norm that is no number counts as infinite.
    """
    lags = min(lags, max(side.shape[1] for batch in batches for side in (batch.src, batch.tgt)))
    found = _measured(model, batches, lags, tuple(_stacks(model)), None)
    for side, cells in _by_side(model).items():
        parts = dict.fromkeys(part for cell in cells if len(fields(cell)) > 1 for part in fields(cell))
        for part in parts:
            found += _measured(model, batches, lags, (side,), part)
    order = list(places(model).values())
    return sorted(found, key=lambda reach: order.index(reach.place))


def clipping(model: Translator, batches: Iterable[Batch], limit: float | None) -> Clipping:
    """The gradient of each batch's mean loss of a word, which an update would clip (Pascanu et al., 2013).

    Without dropout and label smoothing. The state is carried on where a text goes on.
    """
    norms, carried, model = [], None, copy.deepcopy(model).eval()
    for batch in batches:
        model.zero_grad()
        learnt = forced_loss(model, batch, label_smoothing=0.0, carried=carried)
        carried = learnt.carried
        (learnt.loss.smoothed / batch.tgt_lengths.sum()).backward()  # type: ignore[no-untyped-call]
        norms.append(get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).item())
    return Clipping(norms, limit)


def fields(cell: Cell) -> tuple[str, ...]:
    """The parts of a cell's state."""
    names: tuple[str, ...] = cell.State._fields
    return names


def places(model: Translator) -> dict[Cell, Place]:
    """Every cell of a model and where it stands."""
    found = {}
    for side, stack in _stacks(model).items():
        for depth, layer in enumerate(stack.layers, 1):
            cells = list(zip(layer.directions, ("forward", "backward"), strict=False))
            if side == "decoder" and depth == 1 and model.decoder.conditional is not None:
                cells.append((model.decoder.conditional, "conditional"))
            for cell, direction in cells:
                found[cell] = Place(side, depth, direction, cell_name(type(cell)))
    return found


def _stacks(model: Translator) -> dict[str, Stack]:
    reading = {} if isinstance(model.encoder, NoEncoder) else {"encoder": model.encoder.stack}
    return {**reading, "decoder": model.decoder.stack}


def _by_side(model: Translator) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell, place in places(model).items():
        found.setdefault(place.side, []).append(cell)
    return found


class Recorded:
    """A copy of a model whose cells keep their states, in the order in which they are computed.

    With `alone`, the steps of the cells of one side read of their state only that part with its gradient.
    """

    def __init__(self, model: Translator, sides: tuple[str, ...], alone: str | None) -> None:
        self.model = copy.deepcopy(model).eval()
        self.model.decoder.recompute = 0
        for stack in _stacks(self.model).values():
            for layer in stack.layers:
                layer.engine, layer.ready = "reference", {}
        self.alone, self.states = alone, dict[Place, list[Any]]()
        self.carried: DecoderState | None = None
        for cell, place in places(self.model).items():
            cell.step = self._watched(cell, place, alone if place.side in sides else None)

    def _watched(self, cell: Cell, place: Place, alone: str | None) -> Callable[[Any, Any, Any], Any]:
        def step(x: Any, s: Any, U: Any) -> Any:
            if alone is not None:
                s = s._replace(**{name: part.detach() for name, part in s._asdict().items() if name != alone})
            new = type(cell).step(cell, x, s, U)
            self.states.setdefault(place, []).append(new)
            return new

        return step

    def losses(self, batch: Batch) -> Tensor:
        """-log p of each target word, [B, T]; 0 where there is none. A text goes on from the batch before."""
        self.states.clear()
        memory, output = self.model.encode(batch.src), self.model.decoder.output
        unrolled = self.model.unroll(memory, batch.tgt[:, :-1], before=self.carried)
        self.carried = detach_states(unrolled.state) if batch.goes_on else None
        logits = F.linear(unrolled.features, output.weight, output.bias).transpose(1, 2)
        return F.cross_entropy(logits, batch.tgt[:, 1:], ignore_index=self.model.pad, reduction="none")

    def parts(self, side: str) -> Iterator[tuple[tuple[Place, str], list[Tensor]]]:
        """Each part of each state of a side, or that alone, position after position in reading order."""
        for place, states in self.states.items():
            if place.side == side:
                for name in states[0]._fields:
                    if self.alone in (None, name):
                        yield (place, name), [getattr(s, name) for s in states]


Rows = dict[tuple[Place, str], list[Tensor]]
"""Norms [lags + 1, B] of a part of a state, NaN where there is no such position."""


def _measured(
    model: Translator, batches: Sequence[Batch], lags: int, sides: tuple[str, ...], alone: str | None
) -> list[Reach]:
    """The reaches of some sides, all steps of which read one part of the state alone, or all of it."""
    recorded, rows = Recorded(model, sides, alone), Rows()
    for batch in batches:
        losses = recorded.losses(batch)
        for side in sides:
            norms = _of_encoder if side == "encoder" else _of_decoder
            for key, values in norms(recorded, batch, losses, lags):
                rows.setdefault(key, []).append(values)
    ending = "" if alone is None else " alone"
    return [Reach(place, name + ending, *_means(torch.cat(of, 1))) for (place, name), of in rows.items()]


def _means(norms: Tensor) -> tuple[list[float], list[float]]:
    """Mean norms [lags + 1], and shares of the first; lags that no sentence has are left out."""
    there = ~norms.isnan()
    norms = norms[there.any(1)].double()
    sent = norms[:1].where(~norms.isnan(), math.nan).nansum(1)
    arrived = norms.nansum(1)
    return norms.nanmean(1).tolist(), (arrived / sent).where(arrived > 0, 0.0).tolist()


Norms = Iterator[tuple[tuple[Place, str], Tensor]]


def _of_decoder(recorded: Recorded, batch: Batch, losses: Tensor, lags: int) -> Norms:
    """From the loss of each word back to the states before it."""
    real = batch.tgt[:, 1:] != recorded.model.pad
    parts = dict(recorded.parts("decoder"))
    for t in range(min(losses.shape[1], 2 * lags + 1)):
        first = max(0, t - lags)
        wanted = {key: values[first : t + 1] for key, values in parts.items()}
        for key, norms in _norms(losses[:, t], wanted):
            filled = norms.new_full((lags + 1, norms.shape[1]), math.nan)
            filled[: len(norms)] = norms.flip(0)
            yield key, filled[:, real[:, t]]


def _of_encoder(recorded: Recorded, batch: Batch, losses: Tensor, lags: int) -> Norms:
    """From a sentence's loss back to the states, from the last that each direction reads."""
    real = (batch.src != recorded.model.pad).t()  # [S, B]
    length = real.sum(0)
    for (place, name), norms in _norms(losses, dict(recorded.parts("encoder"))):
        if place.direction == "backward":
            norms, at = norms.flip(0), torch.arange(lags + 1).unsqueeze(1).expand(-1, len(length))
        else:
            at = length - 1 - torch.arange(lags + 1).unsqueeze(1)
        there = (at >= 0) & (at < length)
        found = norms.gather(0, at.clamp(0, len(norms) - 1))
        yield (place, name), found.where(there, math.nan)


def _norms(losses: Tensor, states: dict[tuple[Place, str], list[Tensor]]) -> Norms:
    """The norms [positions, B] of the gradients of the losses' sum, which for each sentence are its own."""
    flat = [value for values in states.values() for value in values]
    gradients = iter(torch.autograd.grad(losses.sum(), flat, retain_graph=True, materialize_grads=True))
    for key, values in states.items():
        norms = torch.stack([next(gradients).norm(dim=-1) for _ in values])
        yield key, norms.nan_to_num(nan=math.inf, posinf=math.inf)
