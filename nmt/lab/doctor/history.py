"""What a run's curves say of how it went: rules over the events of metrics.jsonl."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from nmt.lab.curves import Event, series
from nmt.lab.doctor.finding import Finding, counted, graded, percent
from nmt.training.run_state import metric_directions

JUMP = 0.5
"""Nats of a word's loss by which it may rise above the least so far."""
FITTED = 0.05
"""Share by which the validation loss may have risen from its least."""
LEARNT = 0.97
"""Share of the first loss that must be gone under for something to be learnt."""
KNOWS_LITTLE = 0.7
"""Share of the loss of a guess, over which a model has learnt little; one trained before begins below."""
LEFT_OUT = ("skip", "roll-back")
"""Events of updates that were not made."""
JUDGED = 3
"""Validations under which nothing is said of where they go."""


class History(NamedTuple):
    """A run as far as its curves tell: its events, and the settings by which they are judged."""

    events: Sequence[Event]
    metric: str  # the best checkpoint is chosen by
    finished: bool  # it has come to an end of its own, and was not interrupted
    by_patience: bool  # that end was: no improvement any more
    warmup: int
    clip_norm: float | None
    guess: float  # nats of a piece that is drawn from all alike
    best: int | None = None  # update of the checkpoint that is kept as the best

    def nll(self, kind: str) -> list[tuple[int, float]]:
        """The loss of a word without label smoothing, over updates; NaN where it was no number."""
        places, values = series(self.events, kind, "perplexity")
        return [(int(u), math.log(v) if v > 0 else math.nan) for u, v in zip(places, values, strict=True)]

    def scores(self, metric: str) -> list[tuple[int, float]]:
        """What validations found, over updates."""
        places, values = series(self.events, "validation", metric)
        return [(int(update), value) for update, value in zip(places, values, strict=True)]


def troubles(history: History) -> list[Finding]:
    """All that is found in the curves."""
    if not history.events:
        return [
            Finding(
                "note",
                "nothing is measured yet",
                "metrics.jsonl",
                advice="an entry is made every 50 updates and at each validation",
            )
        ]
    failed = [finding for rule in FATAL for finding in rule(history)]
    return failed[:1] or [finding for rule in RULES for finding in rule(history)]


def _not_a_number(history: History) -> Iterator[Finding]:
    for event in history.events:
        if event.get("loss", 0.0) is None:
            yield Finding(
                "wrong",
                f"the loss was no number at update {event['update']:,}: the learning rate is too high",
                f"metrics.jsonl, {event['event']}",
                advice="halve training.learning_rate.peak, lengthen its warmup, and set clip_norm to 1",
            )
            return


def _worse_than_guessing(history: History) -> Iterator[Finding]:
    """Weights that were thrown about: a model that knows nothing is better."""
    losses = history.nll("update") or history.nll("validation")
    update, loss = losses[-1] if losses else (0, 0.0)
    if update > history.warmup and loss > history.guess:
        yield Finding(
            "wrong",
            f"worse than guessing: at update {update:,} a piece cost {loss:.2f} nats, one drawn blindly "
            f"{history.guess:.2f}; the learning rate is too high",
            "metrics.jsonl",
            advice="divide training.learning_rate.peak by 10 (1e-3 is usual for adam); set clip_norm to 1",
        )


def _left_out(history: History) -> Iterator[Finding]:
    """Updates that the guards did not make."""
    found = [event for event in history.events if event["event"] in LEFT_OUT]
    if found:
        share = len(found) / max(history.events[-1]["update"], 1)
        yield Finding(
            graded(share, 0.001),
            f"{counted(len(found), 'update')} ({percent(share)}) left out: the loss or the gradient was no "
            "number, or far above the mean",
            f"metrics.jsonl, first: update {found[0]['update']:,}",
            advice="now and then does no harm; if they come more often, lower training.learning_rate.peak",
        )


def _jumps(history: History) -> Iterator[Finding]:
    """A training loss that shoots up: the learning rate is too high."""
    least = math.inf
    for update, loss in history.nll("update"):
        if loss > least + JUMP:
            yield Finding(
                "doubtful",
                f"the training loss jumped at update {update:,}, from {least:.2f} to {loss:.2f} a piece: the "
                "learning rate is too high",
                "metrics.jsonl, update",
                advice="halve training.learning_rate.peak or lengthen its warmup; odd pairs can do that, too",
            )
            return
        least = min(least, loss) if not math.isnan(loss) else least


def _nothing_learnt(history: History) -> Iterator[Finding]:
    losses = [(u, loss) for u, loss in history.nll("update") if not math.isnan(loss)]
    if len(losses) < JUDGED or losses[-1][0] <= history.warmup:
        return
    first, last = losses[0][1], sum(loss for _, loss in losses[-JUDGED:]) / JUDGED
    if last > max(LEARNT * first, KNOWS_LITTLE * history.guess):
        yield Finding(
            "wrong",
            f"nothing is learnt: a piece cost {first:.2f} nats at the first entry and {last:.2f} at the end",
            "metrics.jsonl, update",
            advice="a learning rate that is too high does that (divide training.learning_rate.peak by 10), "
            "one that is far too low (1e-3 is usual for adam), and sides that do not belong together",
        )


def _over_fitted(history: History) -> Iterator[Finding]:
    """Validation loss going up while training loss goes down."""
    found = [(u, loss) for u, loss in history.nll("validation") if not math.isnan(loss)]
    training = [loss for _, loss in history.nll("update") if not math.isnan(loss)]
    if len(found) < JUDGED or len(training) < 2:
        return
    at, least = min(found, key=lambda pair: pair[1])
    last = found[-1][1]
    learnt_since = [loss for u, loss in history.nll("update") if u <= at][-1:] or training[:1]
    if last > least * (1 + FITTED) and training[-1] < learnt_since[0]:
        yield Finding(
            "doubtful",
            f"over-fitted since update {at:,}: the validation loss rose from {least:.2f} to {last:.2f} a "
            f"piece while the training loss went on falling, to {training[-1]:.2f}",
            "metrics.jsonl, validation",
            advice="the best checkpoint is kept, so nothing is lost. For a better one: dropout "
            "(decoder.dropout, encoder.dropout), label_smoothing 0.1, subwords.sampling 0.1, a smaller "
            "model, more pairs",
        )


def _best_is_not_best(history: History) -> Iterator[Finding]:
    """A checkpoint kept as the best that its own metric does not call so: the direction was wrong."""
    found = [(u, score) for u, score in history.scores(history.metric) if not math.isnan(score)]
    if not found or history.best is None:
        return
    choose = max if metric_directions()[history.metric] else min
    _, best = choose(found, key=lambda pair: pair[1])
    kept = dict(found).get(history.best, best)
    if kept != best:
        yield Finding(
            "wrong",
            f"the checkpoint kept as best (update {history.best:,}) has {history.metric} {kept:.2f}, though "
            f"{best:.2f} was reached: it was chosen in the wrong direction",
            "checkpoints/best",
            advice="average or translate with the checkpoint of that update, if it is still there",
        )


def _stopped_early(history: History) -> Iterator[Finding]:
    """An end while a score still rose."""
    if not history.finished:
        return
    for metric, higher in metric_directions().items():
        found = [score for _, score in history.scores(metric) if not math.isnan(score)]
        if len(found) < JUDGED:
            continue
        best = max(found) if higher else min(found)
        rising = found[-1] == best and found[-1] != found[-2]
        if not rising or (history.by_patience and metric == history.metric):
            continue
        if history.by_patience:
            yield Finding(
                "doubtful",
                f"stopped for want of a better {history.metric}, while {metric} was at its best with the "
                f"last validation ({found[-1]:.2f})",
                "metrics.jsonl, validation",
                advice=f"decide by the other: training.validation.metric={metric}, or more "
                "training.validation.patience",
            )
        elif metric == history.metric:
            yield Finding(
                "note",
                f"ended while {metric} was still getting better ({found[-2]:.2f}, then {found[-1]:.2f})",
                "metrics.jsonl, validation",
                advice="the same command with a larger training.stop_after goes on from here",
            )


def _always_clipped(history: History) -> Iterator[Finding]:
    _, norms = series(history.events, "update", "gradient_norm")
    late = norms[len(norms) // 2 :]
    if history.clip_norm is None or len(late) < JUDGED:
        return
    if all(norm > 10 * history.clip_norm for norm in late):
        yield Finding(
            "doubtful",
            f"every gradient is more than 10 times as long as clip_norm, {history.clip_norm:g}: the learning "
            "rate does not act as it says",
            "metrics.jsonl, update",
            advice="lower training.learning_rate.peak, or raise training.clip_norm to what is usual here "
            f"({sorted(late)[len(late) // 2]:.1f})",
        )


Rule = Callable[[History], Iterator[Finding]]
FATAL: tuple[Rule, ...] = (_not_a_number, _worse_than_guessing, _nothing_learnt)
"""After any of these there is no more to be said of a run; the first says it best."""
RULES: tuple[Rule, ...] = (
    _left_out,
    _jumps,
    _over_fitted,
    _best_is_not_best,
    _stopped_early,
    _always_clipped,
)
