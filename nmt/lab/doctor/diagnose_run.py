"""A run examined: its curves, and what its best checkpoint makes of validation lines."""

import math
from pathlib import Path
from typing import Any

from nmt.data.pairs import read_pairs
from nmt.decoding.translate import translate_lines
from nmt.errors import DataError, NmtError, UsageError
from nmt.lab.curves import read_events
from nmt.lab.doctor.finding import Finding
from nmt.lab.doctor.history import History, troubles
from nmt.lab.doctor.outputs import Output, failures
from nmt.recipe.artifact import load_translator
from nmt.recipe.build.translation_job import job
from nmt.recipe.prepare_data import find
from nmt.recipe.reader import read_any
from nmt.recipe.schema import AnyRecipe, Recipe
from nmt.training import checkpoint
from nmt.training.checkpoint import Checkpoint
from nmt.training.run_state import RunState, TrainingPosition

TRANSLATED = 100
"""Validation lines that are translated, spread evenly."""


def check_up(run: Path) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Facts of a run and what is found in it; UsageError if the directory holds none that has begun."""
    if not (run / "recipe.yaml").is_file():
        raise UsageError(f"{run} is no run directory: it holds no recipe.yaml")
    recipe, events = read_any([str(run / "recipe.yaml")]), read_events(run)
    try:
        last = checkpoint.find_latest(run / "checkpoints").checkpoint
    except DataError as error:
        return {}, [Finding("wrong", str(error))]
    if last is None:
        return {}, [Finding("note", "there is no checkpoint yet", advice="come back after a validation")]
    found = troubles(history(recipe, events, last, run / "checkpoints" / "best"))
    if isinstance(recipe, Recipe):
        found += _of_outputs(run, recipe)
    return facts(last), found


def history(recipe: AnyRecipe, events: list[Any], last: Checkpoint, best: Path) -> History:
    """How the run went, as its events and its last checkpoint tell."""
    training, state = recipe.training, RunState.from_facts(last.facts["run"])
    judging = training.validation
    by_patience = bool(state.stale(judging.patience_by_metric(), judging.stop_when))
    finished = TrainingPosition(state.update, state.epoch, state.seconds / 60).spans(training.stop_after) >= 1
    return History(
        events,
        metric=state.best.metric,
        finished=finished or by_patience,
        by_patience=by_patience,
        warmup=training.learning_rate.warmup,
        clip_norm=training.clip_norm,
        guess=math.log(len(last.model["decoder.output.bias"])),
        best=int(best.resolve().name[1:]) if best.is_dir() else None,
    )


def facts(last: Checkpoint) -> dict[str, dict[str, Any]]:
    """Where the run stands."""
    state = RunState.from_facts(last.facts["run"])
    best = state.best
    found = {"run": {"updates": state.update, "epochs": state.epoch, "seconds": round(state.seconds, 1)}}
    if best.score is None:
        return found
    return {**found, "best": {"metric": best.metric, "score": best.score, "update": best.update}}


def _of_outputs(run: Path, recipe: Recipe) -> list[Finding]:
    """What the best checkpoint makes of some validation lines."""
    try:
        pairs = list(read_pairs(find(recipe, "valid")))
        translator = load_translator(run)
    except NmtError as error:
        return [Finding("doubtful", f"nothing was translated: {error}")]
    places = range(0, len(pairs), max(1, len(pairs) // TRANSLATED))
    lines = ((pairs[place][0], None) for place in places)
    hyps = [translation.text for translation in translate_lines(lines, job(translator))]
    return failures([Output(place + 1, *pairs[place], hyp) for place, hyp in zip(places, hyps, strict=True)])
