"""The events of a run, and the facts that the checks of its learning curves need."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nmt.evaluation.metrics import METRICS, Score
from nmt.lab.curves import Event, read_series

MIN_ENTRIES = 3  # log entries or validations below which no trend is reported
FEW_PAIRS = 20_000
FLAT = 0.01  # share of a loss; smaller decreases count as none
UNTRAINED = 0.7
"""Share of `uniform_loss` above which a model is hardly trained; a pretrained one starts below."""
OVERFIT = 0.05  # share by which the validation loss may rise above its minimum


class TrainingDataFacts(NamedTuple):
    """Counts of the training data."""

    pairs: int
    dropped: int  # pairs that were left out
    reason: str  # the most frequent reason
    tokens: int  # on the target side
    vocabulary: int  # tokens of the target vocabulary
    characters: int = 0  # single characters among the tokens of the side that has most of them


class TrainingHistory(NamedTuple):
    """The events of a run, and the settings by which they are checked."""

    events: Sequence[Event]
    metric: str  # by which the best checkpoint is chosen
    finished: bool  # training has ended, not been interrupted
    stopped_early: bool
    warmup: int
    clip_norm: float | None
    remedies: tuple[str, ...]  # settings against overfitting that are not in use
    uniform_loss: float  # per token, of a uniform distribution over the vocabulary, in nats
    best_update: int | None = None  # of the best checkpoint
    tokenize: str = "13a"  # BLEU's tokenizer
    fitting_tokenizer: str = "13a"  # the one for the language and script of the target text
    peak_rate: float | None = None  # maximum of the learning rate
    optimiser: str = ""
    data: TrainingDataFacts | None = None  # None if the encoded data has been removed
    gains: Mapping[str, Score] = {}  # the last scores by metric, tested against the validation before

    def losses(self, kind: str) -> list[tuple[int, float]]:
        """Return the loss per token without label smoothing by update; NaN where it diverged."""
        updates, values = read_series(self.events, kind, "perplexity")
        return [(int(u), math.log(v) if v > 0 else math.nan) for u, v in zip(updates, values, strict=True)]

    def finite_losses(self, kind: str) -> list[tuple[int, float]]:
        """Return the losses without NaN."""
        return [(update, loss) for update, loss in self.losses(kind) if not math.isnan(loss)]

    def scores(self, metric: str) -> list[tuple[int, float]]:
        """Return a metric of the validations by update, without NaN."""
        updates, values = read_series(self.events, "validation", metric)
        return [(int(u), value) for u, value in zip(updates, values, strict=True) if not math.isnan(value)]

    def is_at_floor(self, metric: str) -> bool:
        """Return True if no validation found better translations than empty ones, by this metric."""
        scores = self.scores(metric) if metric in METRICS else []
        return bool(scores) and all(METRICS[metric].is_at_floor(score) for _, score in scores)

    def is_best_arbitrary(self) -> bool:
        """Return True if the best checkpoint was chosen by a metric at its floor, and not by the loss."""
        losses = self.finite_losses("validation")
        lowest = min(losses, key=lambda pair: pair[1])[0] if losses else None
        return self.is_at_floor(self.metric) and self.best_update is not None and self.best_update != lowest

    def find_plateau(self) -> int | None:
        """Return the update since which the validation loss is flat or rises; None if it still falls."""
        losses = self.finite_losses("validation")
        lowest = min((loss for _, loss in losses), default=math.inf)
        flat = [update for update, loss in losses if loss <= lowest * (1 + FLAT)]
        turn = flat[0] if flat else 0
        return turn if sum(update > turn for update, _ in losses) >= MIN_ENTRIES else None

    @property
    def has_few_pairs(self) -> bool:
        """True if the training data is known to be too little for good translations."""
        return self.data is not None and self.data.pairs < FEW_PAIRS

    def is_gain_noise(self, metric: str) -> bool:
        """Return True if the last gain of a metric is not significant on the validation lines."""
        gain = self.gains.get(metric)
        return gain is not None and not gain.beyond_chance
