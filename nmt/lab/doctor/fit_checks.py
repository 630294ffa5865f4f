"""Checks of a run for too little data, an unusual learning rate, and an unsuitable vocabulary."""

import math
from collections.abc import Iterator
from itertools import pairwise

from nmt.lab.curves import read_series
from nmt.lab.doctor.finding import Finding, format_percent
from nmt.lab.doctor.training_history import MIN_ENTRIES, OVERFIT, UNTRAINED, TrainingHistory

GAP = 0.6  # nats per token by which the validation loss may exceed the training loss
SLOW = 0.6  # share of its mean slope with which an unfinished loss still falls late in the run
FAR = 0.5  # share of `uniform_loss` above which a loss is unfinished
LATE = 0.6  # share of the run, by the sum of its learning rates, that is not late
RARE = 20  # mean uses of a token of the vocabulary, below which most are hardly trained
WANTED = 50  # mean uses of a token of the vocabulary that is suggested
SMALLEST = 100  # tokens of a vocabulary that is worth a suggestion
SMALL_VOCABULARY, LONG = 200, 40  # tokens of a character vocabulary, and of a long sequence
USUAL_PEAKS = {"adam": 1e-3, "adamw": 1e-3}
HIGH = 30  # times the usual peak that are far too high
DROPPED = 0.05  # share of the pairs that may be left out


def check_generalisation_gap(history: TrainingHistory) -> Iterator[Finding]:
    """Find a model that fits its training pairs much better than unseen text, which no longer improves."""
    training = [loss for _, loss in history.finite_losses("update")]
    losses, turn = [loss for _, loss in history.finite_losses("validation")], history.find_plateau()
    if not training or turn is None:
        return
    fitted, last = training[-1], losses[-1]
    if last - fitted < GAP or last > min(losses) * (1 + OVERFIT):  # the latter is reported as overfitting
        return
    cause = "the model has memorised its pairs"
    if history.data and history.has_few_pairs:
        cause = f"{history.data.pairs:,} pairs are too little data"
    yield Finding(
        "warning",
        f"perplexity {math.exp(fitted):.1f} on the training pairs, {math.exp(last):.1f} on unseen text, "
        f"whose loss has been flat since update {turn:,}: {cause}",
        "metrics.jsonl",
        advice=", ".join(["more pairs", *history.remedies, "a smaller model"])
        + "; training longer does not help",
    )


def check_validation_mismatch(history: TrainingHistory) -> Iterator[Finding]:
    """Find a model that has learned its training pairs, and nothing that helps on the validation pairs."""
    training = [loss for _, loss in history.finite_losses("update")]
    losses = [loss for _, loss in history.finite_losses("validation")]
    if len(losses) < MIN_ENTRIES or not training or training[-1] > FAR * history.uniform_loss:
        return
    if min(losses) > UNTRAINED * history.uniform_loss:
        yield Finding(
            "error",
            f"perplexity {math.exp(training[-1]):.1f} on the training pairs, never below "
            f"{math.exp(min(losses)):.1f} on the validation pairs: they do not belong together",
            "metrics.jsonl",
            advice="check whether data.train and data.valid have the same direction (one may have its sides "
            "exchanged), languages and encoding, and whether the lines of data.valid are aligned",
        )


def check_slow_learning(history: TrainingHistory) -> Iterator[Finding]:
    """Find a high training loss that still falls in a nearly straight line when training ends."""
    losses = [(u, loss) for u, loss in history.finite_losses("update") if u > history.warmup]
    if not history.finished or history.stopped_early or len(losses) < 2 * MIN_ENTRIES:
        return
    # Slopes are by the sum of learning rates: by updates, a schedule that ends near 0 flattens any curve.
    rates, sums = dict(zip(*read_series(history.events, "update", "learning_rate"), strict=True)), [0.0]
    for (before, _), (update, _) in pairwise(losses):
        sums.append(sums[-1] + rates.get(update, 1.0) * (update - before))
    middle = next(index for index, total in enumerate(sums) if total >= sums[-1] * LATE)
    start, then, end = losses[0][1], losses[middle][1], losses[-1][1]
    mean_slope, late_slope = (start - end) / sums[-1], (then - end) / max(sums[-1] - sums[middle], 1e-30)
    if end > FAR * history.uniform_loss and mean_slope > 0 and late_slope > SLOW * mean_slope:
        peak = f"={3 * history.peak_rate:.1g}" if history.peak_rate else ""
        yield Finding(
            "warning",
            f"the training loss, {end:.2f} nats per token, is {format_percent(end / history.uniform_loss)} "
            "of that of a random guess, and falls at the end as fast as before: the learning rate is too "
            "low, or the run too short",
            "metrics.jsonl, update",
            advice=f"training.learning_rate.peak{peak} (three times as high), or a larger "
            "training.stop_after",
        )


def check_vocabulary(history: TrainingHistory) -> Iterator[Finding]:
    """Find a vocabulary most of whose tokens are hardly used."""
    data = history.data
    if data is None or not data.tokens or data.tokens >= RARE * data.vocabulary:
        return
    size = 100 * round(data.tokens / WANTED / 100)
    reason = ""
    advice = f"start a new run with a smaller vocabulary (subwords.size={size}), or with more pairs"
    if size < SMALLEST:
        reason, advice = "; the data is too little for any vocabulary", "more pairs, thousands at least"
    elif size < data.characters:
        advice = (
            "more pairs; or a smaller vocabulary with a lower subwords.character_coverage: "
            f"{data.characters:,} tokens are single characters"
        )
    yield Finding(
        "warning",
        f"the target vocabulary has {data.vocabulary:,} tokens, but the training data {data.tokens:,}: each "
        f"is used {data.tokens / data.vocabulary:.1f} times on average, too rarely to be learned{reason}",
        "data/train",
        advice=advice,
    )


def check_long_sequences(history: TrainingHistory) -> Iterator[Finding]:
    """Find a vocabulary so small that the sequences are long."""
    data = history.data
    length = data.tokens / max(data.pairs, 1) if data else 0.0
    if data and data.vocabulary < SMALL_VOCABULARY and length > LONG:
        yield Finding(
            "note",
            f"the target vocabulary has {data.vocabulary:,} tokens, so that a sentence has {length:.0f} on "
            "average: long sequences are slow, and attention needs more updates to learn",
            "data/train",
            advice="a larger subwords.size, of subwords.kind unigram or bpe, unless characters are wanted",
        )


def check_learning_rate(history: TrainingHistory) -> Iterator[Finding]:
    """Find a learning rate far above what is usual, even if the loss falls."""
    usual, peak = USUAL_PEAKS.get(history.optimiser), history.peak_rate
    if usual and peak and peak > HIGH * usual:
        yield Finding(
            "warning",
            f"the learning rate, {peak:g}, is {peak / usual:.0f} times the {usual:g} that is "
            f"usual for {history.optimiser}: the loss may fall and yet end higher than it could",
            "recipe.yaml",
            advice=f"compare with training.learning_rate.peak={3 * usual:g}",
        )


def check_dropped_pairs(history: TrainingHistory) -> Iterator[Finding]:
    """Find training data of which much was left out."""
    data = history.data
    share = data.dropped / max(data.dropped + data.pairs, 1) if data else 0.0
    if data and share >= DROPPED:
        yield Finding(
            "warning",
            f"{format_percent(share)} of the training pairs were left out (mostly: {data.reason}): "
            "the model has not seen such pairs",
            "train.log",
            advice="raise data.max_length (tokens per side) for longer pairs, and see nmt doctor RECIPE for "
            "the others",
        )


RULES = (
    check_learning_rate,
    check_generalisation_gap,
    check_vocabulary,
    check_long_sequences,
    check_dropped_pairs,
)
