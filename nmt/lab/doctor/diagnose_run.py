"""Diagnosis of a run: its learning curves, and its best checkpoint's translations of validation lines."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nmt.data.pairs import read_pairs
from nmt.data.sources import find_part, find_training_corpora
from nmt.data.store import TokenStore
from nmt.data.text import read_lines
from nmt.data.vocabulary import Vocabulary
from nmt.errors import DataError, NmtError, UsageError
from nmt.evaluation.metrics import Score, compare
from nmt.lab.curves import Event, read_events
from nmt.lab.doctor.corpus_checks import check_corpus
from nmt.lab.doctor.curve_checks import check_curves, find_fatal
from nmt.lab.doctor.finding import Finding
from nmt.lab.doctor.output_checks import ValidationOutput, check_outputs
from nmt.lab.doctor.survey import Survey
from nmt.lab.doctor.training_history import TrainingDataFacts, TrainingHistory
from nmt.recipe.automatic import find_tokenizer
from nmt.recipe.prepare_data import load_own_vocabularies, store_directory
from nmt.recipe.reader import read_model_recipe
from nmt.recipe.schema import Recipe, TranslationRecipe, select_task
from nmt.recipe.training import find_task
from nmt.training import checkpoint
from nmt.training.run_state import BestScore, RunState, TrainingPosition, read_run_state

SURVEYED = 50_000  # pairs of each training corpus that are checked
TRANSLATED = 100  # validation lines that are translated, spread evenly


def diagnose_run(run: Path) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Return facts about a run, and its problems; UsageError if it is not a run directory."""
    if not (run / "recipe.yaml").is_file():
        raise UsageError(f"{run} is not a run directory: it has no recipe.yaml")
    recipe, events = read_model_recipe(run), read_events(run)
    try:
        last = checkpoint.find_latest(run / "checkpoints").checkpoint
    except DataError as error:
        return {}, [Finding("error", str(error))]
    if last is None:
        return {}, check_start(run, recipe, events)
    state = read_run_state(last)
    history = read_history(run, recipe, state, events, vocabulary=len(last.model["decoder.output.bias"]))
    findings = [*check_training_data(recipe), *check_curves(history)]
    if not history.is_best_arbitrary() and not find_fatal(history):  # otherwise they are meaningless
        findings += check_translations(run, recipe)
    return describe_progress(state, find_epochs(state, events)), findings


def check_start(run: Path, recipe: Recipe, events: Sequence[Event]) -> list[Finding]:
    """Return what is wrong with a run without a checkpoint: it may have diverged already."""
    early = Finding("note", "there is no checkpoint yet", advice="wait for the first validation")
    try:
        vocabulary = len(load_own_vocabularies(run, recipe)[-1])
    except (IndexError, NmtError):
        return [early]
    state = RunState(BestScore(recipe.training.validation.deciding_metric))
    return [find_fatal(read_history(run, recipe, state, events, vocabulary=vocabulary)) or early]


def read_history(
    run: Path, recipe: Recipe, state: RunState, events: Sequence[Event], *, vocabulary: int
) -> TrainingHistory:
    """Return the history of a run up to `state`; `vocabulary` is the number of target tokens."""
    training, validation = recipe.training, recipe.training.validation
    kept = checkpoint.follow_link(run / "checkpoints" / "best")
    stopped_early = bool(state.stale_metrics(validation.patience_by_metric, validation.stop_when))
    position = TrainingPosition(state.update, find_epochs(state, events), state.seconds / 60)
    return TrainingHistory(
        events,
        metric=state.best.metric,
        finished=stopped_early or position.completed(training.stop_after) >= 1,
        stopped_early=stopped_early,
        warmup=training.learning_rate.warmup,
        clip_norm=training.clip_norm,
        remedies=tuple(find_remedies(recipe)),
        uniform_loss=math.log(vocabulary),
        best_update=int(kept.resolve().name[1:]) if kept.is_dir() else None,
        peak_rate=training.learning_rate.peak,
        optimiser=training.optimiser,
        data=read_data_facts(run, recipe, vocabulary),
        gains=measure_last_gains(run, recipe, events),
        **_find_tokenizers(recipe),
    )


def check_translations(run: Path, recipe: Recipe) -> list[Finding]:
    """Return what is wrong with the translations of validation lines by the best checkpoint."""
    try:
        outputs = find_task(recipe).translate_validation_lines(run, TRANSLATED)
    except NmtError as error:
        return [Finding("warning", f"no translations were checked: {error}")]
    attends = vars(recipe.decoder).get("attention", "none") != "none"
    return [*check_outputs([ValidationOutput(*output) for output in outputs], attends=attends)]


def check_training_data(recipe: Recipe) -> list[Finding]:
    """Return what is wrong with the training data of a run, unless its files have been removed."""
    try:
        surveys = [Survey(corpus, SURVEYED) for corpus in find_training_corpora(recipe.data)]
    except NmtError:
        return []
    limits_ratio = vars(recipe.data).get("max_ratio") is not None
    readable = (survey for survey in surveys if survey.failure is None)
    found = (finding for survey in readable for finding in check_corpus(survey, limits_ratio=limits_ratio))
    return [finding for finding in found if finding.level != "note"]


def find_epochs(state: RunState, events: Sequence[Event]) -> float:
    """Return the epochs of a run with the fraction of the current one, which is in its events only."""
    elapsed = (event["epoch"] for event in events if "epoch" in event and event["update"] <= state.update)
    return max(elapsed, default=float(state.epoch))


def describe_progress(state: RunState, epochs: float) -> dict[str, dict[str, Any]]:
    """Return the counters and the best score of a run."""
    best = state.best
    facts: dict[str, dict[str, Any]] = {
        "run": {"updates": state.update, "epochs": round(epochs, 3), "seconds": round(state.seconds, 1)}
    }
    if best.score is not None:
        facts["best"] = {"metric": best.metric, "score": best.score, "update": best.update}
    return facts


def read_data_facts(run: Path, recipe: Recipe, vocabulary: int) -> TrainingDataFacts | None:
    """Return counts of the training data of a run; None if it has been removed or cannot be read."""
    try:
        store = TokenStore(store_directory(run, "train"))
    except NmtError:
        return None
    dropped = {reason: count.pairs for reason, count in store.report.dropped.items()}
    reason = max(dropped, key=lambda name: dropped[name], default="")
    tokens = int(store.lengths()[1].sum())
    characters = max(map(count_characters, load_own_vocabularies(run, recipe)), default=0)
    return TrainingDataFacts(len(store), sum(dropped.values()), reason, tokens, vocabulary, characters)


def count_characters(vocabulary: Vocabulary) -> int:
    """Return the number of tokens that are single characters."""
    return sum(len(token) == 1 for token in vocabulary.tokens(range(len(vocabulary))))


def measure_last_gains(run: Path, recipe: Recipe, events: Sequence[Event]) -> dict[str, Score]:
    """Test the scores of the last validation against those of the one before, by paired bootstrap.

    The run keeps the translations of its validations; without them, or without the pairs, nothing is tested.
    """
    translation = select_task(recipe, TranslationRecipe)
    last = [event for event in events if event["event"] == "validation"][-2:]
    files = [run / "validation" / f"{checkpoint.checkpoint_name(event['update'])}.hyp" for event in last]
    metrics = [name for name in ("bleu", "chrf") if last and name in last[-1]]
    if translation is None or len(last) < 2 or not metrics or not all(file.is_file() for file in files):
        return {}
    try:
        refs = [pair[1] for pair in read_pairs(find_part(translation.data, "valid"))]
        systems = {file.stem: list(read_lines(file)) for file in files}
        scores = compare(systems, [refs], metrics, tokenize=translation.evaluation.tokenize)
    except NmtError:
        return {}
    return dict(zip(metrics, scores[files[-1].stem], strict=True))


def _find_tokenizers(recipe: Recipe) -> dict[str, str]:
    """Return BLEU's tokenizer of a translator's recipe, and the one that fits."""
    translation = select_task(recipe, TranslationRecipe)
    if translation is None:
        return {}
    return {
        "tokenize": translation.evaluation.tokenize,
        "fitting_tokenizer": find_tokenizer(translation.data),
    }


def find_remedies(recipe: Recipe) -> Iterator[str]:
    """Yield the settings against overfitting that a recipe does not use yet, or could raise."""
    sections = vars(recipe)
    for name in (name for name in ("encoder", "decoder") if name in sections):
        yield f"a higher {name}.dropout" if sections[name].dropout.is_on else f"{name}.dropout"
    if not recipe.training.label_smoothing:
        yield "training.label_smoothing 0.1"
    subwords = vars(recipe.subwords)
    if subwords.get("sampling") == 0.0 and recipe.subwords.kind in ("unigram", "bpe"):
        yield "subwords.sampling 0.1"
