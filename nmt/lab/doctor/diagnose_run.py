"""Diagnosis of a run: its learning curves, and its best checkpoint's translations of validation lines."""

import math
from pathlib import Path
from typing import Any

from nmt.data.pairs import read_pairs
from nmt.data.sources import find_part
from nmt.decoding.translation import translate_lines
from nmt.errors import DataError, NmtError, UsageError
from nmt.lab.curves import Event, read_events
from nmt.lab.doctor.curve_checks import TrainingHistory, check_curves
from nmt.lab.doctor.finding import Finding
from nmt.lab.doctor.output_checks import ValidationOutput, check_outputs
from nmt.recipe.reader import read_any
from nmt.recipe.schema import Recipe, TranslationRecipe
from nmt.recipe.tasks.translation import build_job, load_translator
from nmt.training import checkpoint
from nmt.training.checkpoint import Checkpoint
from nmt.training.run_state import RunState, TrainingPosition

TRANSLATED = 100
"""Validation lines that are translated, spread evenly."""


def diagnose_run(run: Path) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Give facts about a run and its problems; UsageError if the directory is not that of a run."""
    if not (run / "recipe.yaml").is_file():
        raise UsageError(f"{run} is not a run directory: it has no recipe.yaml")
    recipe, events = read_any([str(run / "recipe.yaml")]), read_events(run)
    try:
        last = checkpoint.find_latest(run / "checkpoints").checkpoint
    except DataError as error:
        return {}, [Finding("error", str(error))]
    if last is None:
        return {}, [Finding("note", "there is no checkpoint yet", advice="wait for the first validation")]
    findings = check_curves(_history(recipe, events, last, run / "checkpoints" / "best"))
    if isinstance(recipe, TranslationRecipe):
        findings += _check_translations(run, recipe)
    return _facts(last), findings


def _history(recipe: Recipe, events: list[Event], last: Checkpoint, best: Path) -> TrainingHistory:
    training, state = recipe.training, RunState.from_dict(last.metadata["run"])
    judging = training.validation
    by_patience = bool(state.stale_metrics(judging.patience_by_metric, judging.stop_when))
    position = TrainingPosition(state.update, state.epoch, state.seconds / 60)
    finished = position.completed(training.stop_after) >= 1
    return TrainingHistory(
        events,
        metric=state.best.metric,
        finished=finished or by_patience,
        by_patience=by_patience,
        warmup=training.learning_rate.warmup,
        clip_norm=training.clip_norm,
        guess=math.log(len(last.model["decoder.output.bias"])),
        best=int(best.resolve().name[1:]) if best.is_dir() else None,
    )


def _facts(last: Checkpoint) -> dict[str, dict[str, Any]]:
    state = RunState.from_dict(last.metadata["run"])
    best = state.best
    facts = {"run": {"updates": state.update, "epochs": state.epoch, "seconds": round(state.seconds, 1)}}
    if best.score is None:
        return facts
    return {**facts, "best": {"metric": best.metric, "score": best.score, "update": best.update}}


def _check_translations(run: Path, recipe: TranslationRecipe) -> list[Finding]:
    try:
        pairs = list(read_pairs(find_part(recipe.data, "valid")))
        translator = load_translator(run)
    except NmtError as error:
        return [Finding("warning", f"no translations were checked: {error}")]
    indices = range(0, len(pairs), max(1, len(pairs) // TRANSLATED))
    lines = ((pairs[i][0], None) for i in indices)
    hyps = [translation.text for translation in translate_lines(lines, build_job(translator))]
    return check_outputs(
        [ValidationOutput(i + 1, *pairs[i], hyp) for i, hyp in zip(indices, hyps, strict=True)]
    )
