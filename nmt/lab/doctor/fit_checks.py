"""Checks of how a model fits its data: too few pairs, a learning rate too low, vocabulary and lengths."""

import math
from collections.abc import Iterator

from nmt.lab.doctor.finding import Finding, format_percent
from nmt.lab.doctor.training_history import MIN_ENTRIES, OVERFIT, TrainingHistory

GAP = 0.6  # nats per token by which the validation loss may exceed the training loss
FEW_PAIRS = 20_000
SLOW = 0.6  # share of its mean speed at which a loss that is far from its end still falls
FAR = 0.5  # share of a random guess's loss, above which a loss is far from its end
RARE = 20  # uses of a token of the vocabulary on average, below which most are hardly trained
WANTED = 50
DROPPED = 0.05  # share of the pairs that may be left out


def check_gap(history: TrainingHistory) -> Iterator[Finding]:
    """Find a model that fits its training pairs much better than unseen text, which no longer improves."""
    training = [loss for _, loss in history.finite_losses("update")]
    losses, turn = [loss for _, loss in history.finite_losses("validation")], history.find_plateau()
    if not training or turn is None:
        return
    fitted, last = training[-1], losses[-1]
    if last - fitted < GAP or last > min(losses) * (1 + OVERFIT):  # the latter is overfitting that shows
        return
    pairs = history.data.pairs if history.data else None
    few = pairs is not None and pairs < FEW_PAIRS
    cause = f"{pairs:,} pairs are too little data" if few else "it has learned its pairs by heart"
    yield Finding(
        "warning",
        f"perplexity {_exp(fitted)} on the training pairs, {_exp(last)} on unseen text, whose loss has been "
        f"flat since update {turn:,}: {cause}",
        "metrics.jsonl",
        advice=", ".join(["more pairs", *history.remedies, "a smaller model"])
        + "; training longer does not help",
    )


def _exp(loss: float) -> str:
    return f"{math.exp(loss):.1f}"


def check_speed(history: TrainingHistory) -> Iterator[Finding]:
    """Find a training loss that falls to the end in a nearly straight line, far from what can be reached."""
    losses = [(u, loss) for u, loss in history.finite_losses("update") if u > history.warmup]
    if not history.finished or history.by_patience or len(losses) < 2 * MIN_ENTRIES:
        return
    (first, start), (middle, then), (last, end) = losses[0], losses[-1 - len(losses) // 3], losses[-1]
    mean, late = (start - end) / (last - first), (then - end) / (last - middle)
    if end > FAR * history.guess and mean > 0 and late > SLOW * mean:
        peak = f"={3 * history.peak:.1g}" if history.peak else ""
        yield Finding(
            "warning",
            f"the training loss, {end:.2f} nats per token, is {format_percent(end / history.guess)} of that "
            "of a random guess, and falls at the end as fast as before: the learning rate is too low, or the "
            "run too short",
            "metrics.jsonl, update",
            advice=f"training.learning_rate.peak{peak} (three times as high), or a larger "
            "training.stop_after",
        )


def check_vocabulary(history: TrainingHistory) -> Iterator[Finding]:
    """Find a vocabulary most of whose tokens are hardly used."""
    data = history.data
    if data is None or not data.tokens or data.tokens >= RARE * data.vocabulary:
        return
    size = max(100, round(data.tokens / WANTED, -2))
    yield Finding(
        "warning",
        f"the target vocabulary has {data.vocabulary:,} tokens, but the training data {data.tokens:,}: each "
        f"is used {data.tokens / data.vocabulary:.1f} times on average, too rarely to be learned",
        "data/train",
        advice=f"start a new run with a smaller vocabulary (subwords.size={size}), or with more pairs",
    )


def check_dropped_pairs(history: TrainingHistory) -> Iterator[Finding]:
    """Find training data of which much was left out."""
    data = history.data
    share = data.dropped / max(data.dropped + data.pairs, 1) if data else 0.0
    if data and share >= DROPPED:
        yield Finding(
            "warning",
            f"{format_percent(share)} of the training pairs were left out (mostly: {data.reason}): "
            "the model has seen nothing like them",
            "train.log",
            advice="raise data.max_length (tokens per side) for longer pairs, and see nmt doctor RECIPE for "
            "the others",
        )


RULES = (check_gap, check_speed, check_vocabulary, check_dropped_pairs)
