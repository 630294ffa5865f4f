"""Checks of a run's learning curves: rules over the events of metrics.jsonl."""

import math
from collections.abc import Callable, Iterator

from nmt.evaluation.metrics import METRICS
from nmt.lab.curves import read_series
from nmt.lab.doctor import fit_checks
from nmt.lab.doctor.finding import Finding, format_count, format_percent, level_for_share
from nmt.lab.doctor.training_history import MIN_ENTRIES, OVERFIT, UNTRAINED, TrainingHistory
from nmt.training.run_state import list_metric_directions

SPIKE = 0.5  # nats per token by which the training loss may rise above its minimum so far
LEARNED = 0.97  # share of its first value below which a loss has fallen
FAST = 0.05  # relative decrease of the last validation loss above which training has ended too early
PERFECT = 95  # a score above which nothing is left to improve
SKIPPED = ("skip", "roll-back")  # events of updates that were not applied


def check_curves(history: TrainingHistory) -> list[Finding]:
    """Report every problem of the curves; only the first fatal one, if any."""
    if not history.events:
        advice = "wait: metrics are logged every 50 updates and at each validation"
        return [Finding("note", "no metrics have been logged yet", "metrics.jsonl", advice=advice)]
    fatal = find_fatal(history)
    return [fatal] if fatal else [finding for rule in RULES for finding in rule(history)]


def find_fatal(history: TrainingHistory) -> Finding | None:
    """Return the first problem that makes the other checks, and the translations, meaningless."""
    return next((finding for rule in FATAL for finding in rule(history)), None)


def _check_nan(history: TrainingHistory) -> Iterator[Finding]:
    for event in history.events:
        if event.get("loss", 0.0) is None:
            yield Finding(
                "error",
                f"the loss became NaN at update {event['update']:,}: the learning rate is too high",
                f"metrics.jsonl, {event['event']}",
                advice=f"halve training.learning_rate.peak, lengthen its warmup{_advise_clipping(history)}",
            )
            return


def _advise_clipping(history: TrainingHistory) -> str:
    clips = history.clip_norm is not None and history.clip_norm <= 1
    return "" if clips else ", and set training.clip_norm to 1"


def _check_divergence(history: TrainingHistory) -> Iterator[Finding]:
    losses = history.losses("update") or history.losses("validation")
    update, loss = losses[-1] if losses else (0, 0.0)
    if update > history.warmup and loss > history.uniform_loss:
        yield Finding(
            "error",
            f"the loss is worse than random guessing: {loss:.2f} nats per token at update {update:,}, a "
            f"uniform guess has {history.uniform_loss:.2f}; the learning rate is too high",
            "metrics.jsonl",
            advice="divide training.learning_rate.peak by 10 (1e-3 is usual for adam)"
            f"{_advise_clipping(history)}",
        )


def _check_skipped_updates(history: TrainingHistory) -> Iterator[Finding]:
    skipped = [event for event in history.events if event["event"] in SKIPPED]
    if skipped:
        share = len(skipped) / max(history.events[-1]["update"], 1)
        yield Finding(
            level_for_share(share, 0.001),
            f"{format_count(len(skipped), 'update')} ({format_percent(share)}) skipped: the loss or the "
            "gradient was NaN, or far above its mean",
            f"metrics.jsonl, first: update {skipped[0]['update']:,}",
            advice="a few do no harm; if there are more and more, lower training.learning_rate.peak",
        )


def _check_spikes(history: TrainingHistory) -> Iterator[Finding]:
    lowest = math.inf
    for update, loss in history.finite_losses("update"):
        if loss > lowest + SPIKE:
            yield Finding(
                "warning",
                f"the training loss spiked at update {update:,}, from {lowest:.2f} to {loss:.2f} nats per "
                "token: the learning rate is too high",
                "metrics.jsonl, update",
                advice="halve training.learning_rate.peak or lengthen its warmup; bad pairs can be the "
                "cause, too",
            )
            return
        lowest = min(lowest, loss)


def _check_stagnation(history: TrainingHistory) -> Iterator[Finding]:
    losses = history.finite_losses("update")
    if len(losses) < MIN_ENTRIES or losses[-1][0] <= history.warmup:
        return
    first, last = losses[0][1], sum(loss for _, loss in losses[-MIN_ENTRIES:]) / MIN_ENTRIES
    if last > max(LEARNED * first, UNTRAINED * history.uniform_loss):
        yield Finding(
            "error",
            f"the training loss does not fall: {first:.2f} nats per token at first, {last:.2f} at the end",
            "metrics.jsonl, update",
            advice="the learning rate may be too high (divide training.learning_rate.peak by 10) or far too "
            "low (1e-3 is usual for adam), or source and target lines do not belong together",
        )


def _check_overfitting(history: TrainingHistory) -> Iterator[Finding]:
    losses = history.finite_losses("validation")
    training = [loss for _, loss in history.finite_losses("update")]
    if len(losses) < MIN_ENTRIES or len(training) < 2:
        return
    turn, lowest = min(losses, key=lambda pair: pair[1])
    last = losses[-1][1]
    training_then = [loss for u, loss in history.losses("update") if u <= turn][-1:] or training[:1]
    if last > lowest * (1 + OVERFIT) and training[-1] < training_then[0]:
        remedies = [*history.remedies, "a smaller model"]
        cause = ""
        if history.data and history.has_few_pairs:
            cause = f"; {history.data.pairs:,} pairs are too little data"
        yield Finding(
            "warning",
            f"overfitting since update {turn:,}: the validation loss rose from {lowest:.2f} to {last:.2f} "
            f"nats per token while the training loss fell to {training[-1]:.2f}{cause}",
            "metrics.jsonl, validation",
            advice="the best checkpoint is kept, so nothing is lost. For a better one: "
            + ", ".join(["more pairs", *remedies] if cause else [*remedies, "more pairs"]),
        )


def _check_best_checkpoint(history: TrainingHistory) -> Iterator[Finding]:
    """Find a best checkpoint that is not the best by its own metric."""
    scores = history.scores(history.metric)
    if not scores or history.best_update is None or history.is_at_floor(history.metric):
        return
    choose = max if list_metric_directions()[history.metric] else min
    _, best = choose(scores, key=lambda pair: pair[1])
    kept = dict(scores).get(history.best_update, best)
    if kept != best:
        yield Finding(
            "error",
            f"the best checkpoint (update {history.best_update:,}) has {history.metric} {kept:.2f}, but "
            f"another reached {best:.2f}: it was chosen in the wrong direction",
            "checkpoints/best",
            advice="average or translate with the checkpoint of that update, if it still exists",
        )


def _check_metric_at_floor(history: TrainingHistory) -> Iterator[Finding]:
    """Find a metric that stays at its floor while the translations become better."""
    losses, chrf = history.finite_losses("validation"), history.scores("chrf")
    if len(losses) < MIN_ENTRIES or losses[-1][1] > LEARNED * losses[0][1]:
        return
    progress = f"the loss fell from {losses[0][1]:.2f} to {losses[-1][1]:.2f} nats per token"
    if chrf and not history.is_at_floor("chrf") and chrf[-1][1] > chrf[0][1]:
        progress = f"chrf rose from {chrf[0][1]:.1f} to {chrf[-1][1]:.1f}"
    tokenizer = history.fitting_tokenizer
    for metric in (name for name in METRICS if history.is_at_floor(name)):
        decides, misfits = metric == history.metric, metric == "bleu" and history.tokenize != tokenizer
        if not decides and not misfits:
            continue
        why, advice = "", "use training.validation.metric=chrf, or train longer: until then the loss decides"
        if misfits:
            why = f": its tokenizer {history.tokenize} does not split the target text into words"
            advice = (
                f"start a new run with evaluation.tokenize={tokenizer} and training.validation.metric=chrf; "
                f"score this one with nmt score --tokenize {tokenizer}"
            )
        choice = ", and it chose the best checkpoint" if decides and history.is_best_arbitrary() else ""
        yield Finding(
            "error" if choice else "warning",
            f"{metric} stayed at {history.scores(metric)[-1][1]:.2f} while {progress}{why}{choice}",
            "metrics.jsonl, validation",
            advice=advice,
        )


def _check_still_improving(history: TrainingHistory) -> Iterator[Finding]:
    """Find a metric that was still improving when training ended."""
    if not history.finished:
        return
    for metric, higher in list_metric_directions().items():
        scores = [score for _, score in history.scores(metric)]
        if len(scores) < MIN_ENTRIES:
            continue
        best = max(scores) if higher else min(scores)
        improving = scores[-1] == best and scores[-1] != scores[-2] and not (higher and best > PERFECT)
        if not improving or (history.stopped_early and metric == history.metric):
            continue
        gain = f"from {scores[-2]:.2f} to {scores[-1]:.2f}"
        if history.stopped_early and not history.is_gain_noise(metric):
            yield Finding(
                "warning",
                f"training stopped early because {history.metric} did not improve, but {metric} was at its "
                f"best at the last validation ({scores[-1]:.2f})",
                "metrics.jsonl, validation",
                advice=f"use the other metric, training.validation.metric={metric}, or raise "
                "training.validation.patience",
            )
        elif metric == history.metric and history.is_gain_noise(metric):
            interval = history.gains[metric].interval or 0.0
            yield Finding(
                "note",
                f"the last gain of {metric}, {gain}, is within the noise of the validation lines (95% "
                f"interval of the score: ± {interval:.1f})",
                "validation/",
                advice="judge by the loss, or validate on more lines (data.valid); this gain is no reason to "
                "train longer",
            )
        elif metric == history.metric and history.find_plateau() is None:
            yield Finding(
                "note",
                f"training ended while {metric} was still improving ({scores[-2]:.2f}, then "
                f"{scores[-1]:.2f})",
                "metrics.jsonl, validation",
                advice="run the same command with a larger training.stop_after to continue",
            )


def _check_still_falling(history: TrainingHistory) -> Iterator[Finding]:
    """Find a validation loss that still fell fast when training ended."""
    losses = [loss for _, loss in history.finite_losses("validation")]
    if history.finished and len(losses) >= MIN_ENTRIES and losses[-1] < losses[-2] * (1 - FAST):
        yield Finding(
            "warning",
            "training ended while the validation loss still fell fast, at the last validation from "
            f"{losses[-2]:.2f} to {losses[-1]:.2f} nats per token: the model is hardly trained",
            "metrics.jsonl, validation",
            advice="run the same command with a larger training.stop_after to continue",
        )


def _check_clipping(history: TrainingHistory) -> Iterator[Finding]:
    _, norms = read_series(history.events, "update", "gradient_norm")
    late = norms[len(norms) // 2 :]
    if history.clip_norm is None or len(late) < MIN_ENTRIES:
        return
    if all(norm > 10 * history.clip_norm for norm in late):
        yield Finding(
            "warning",
            f"every gradient norm is more than 10 times clip_norm ({history.clip_norm:g}): the effective "
            "learning rate is not the configured one",
            "metrics.jsonl, update",
            advice="lower training.learning_rate.peak, or raise training.clip_norm to the median norm "
            f"({sorted(late)[len(late) // 2]:.1f})",
        )


Rule = Callable[[TrainingHistory], Iterator[Finding]]
FATAL: tuple[Rule, ...] = (
    _check_nan,
    _check_divergence,
    _check_stagnation,
    fit_checks.check_validation_mismatch,
    fit_checks.check_slow_learning,
)
"""Rules whose findings make the others meaningless; only the first is reported."""
RULES: tuple[Rule, ...] = (
    _check_still_falling,
    _check_skipped_updates,
    _check_spikes,
    _check_overfitting,
    _check_metric_at_floor,
    _check_best_checkpoint,
    _check_still_improving,
    _check_clipping,
    *fit_checks.RULES,
)
