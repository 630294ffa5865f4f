"""Tuning of a translator on disk: its search, its quality estimates, and the file that records the choice."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from nmt.data.pairs import read_pairs
from nmt.data.sources import find_part
from nmt.errors import DataError, UsageError
from nmt.evaluation.metrics import METRICS
from nmt.evaluation.tuning import TUNING, BeamAndPenalty, TunedSearch, Tuning
from nmt.export.directory import is_exported
from nmt.files import file_sha256, write_file
from nmt.formats import PROSE
from nmt.lab.tune.calibration import calibrate_quality
from nmt.lab.tune.search_grid import (
    BEAMS,
    PENALTIES,
    GridPoint,
    ValidationPairs,
    choose_setting,
    measure_grid,
)
from nmt.recipe.artifact import ModelCard, find_trained
from nmt.recipe.model_card import TUNING_HEADING, describe_tuning
from nmt.recipe.reader import CARD, read_model_recipe
from nmt.recipe.schema import TranslationRecipe, select_task
from nmt.recipe.tasks.translation import LoadedTranslator, build_job, load_translator
from nmt.recipe.training import find_task
from nmt.untrusted_files import CARD_BYTES, read_bytes, read_card

Report = Callable[[str], object]


class TuningRequest(NamedTuple):
    """Settings to choose from, and the pairs to choose on."""

    beams: Sequence[int] = BEAMS
    penalties: Sequence[float] = PENALTIES
    data: str | None = None  # sentence pairs, by default the recipe's validation pairs
    metric: str | None = None  # by default the one that chose the best checkpoint
    lines: int = 2000  # pairs at most, spread evenly
    threshold: float = 50.0  # chrF of a good line


class TuningResult(NamedTuple):
    """The scores of all settings, and the choice."""

    points: Sequence[GridPoint]
    tuning: Tuning
    problem: str | None  # why there is no estimate of quality


def tune_model(path: Path, request: TuningRequest, report: Report = lambda text: None) -> TuningResult:
    """Choose beam and length penalty of a translator on validation pairs, and calibrate its quality."""
    if is_exported(path):
        raise UsageError(f"{path} is an export: tune the run or the model directory, and export it again")
    loaded, trained = load_translator(path), find_trained(path)
    recipe = select_task(read_model_recipe(trained.folder), TranslationRecipe)
    assert recipe is not None  # it has been loaded
    default = BeamAndPenalty(recipe.search.beam, recipe.search.length_penalty)
    job = build_job(loaded._replace(recipe=recipe))
    pairs = read_validation_pairs(loaded, request)
    beams, penalties = [*request.beams, default.beam], [*request.penalties, default.length_penalty]
    points = measure_grid(job, pairs, beams, penalties, report)
    chosen = choose_setting(points, default.length_penalty)
    before = next(point for point in points if point[:2] == (default.beam, default.length_penalty))
    setting = BeamAndPenalty(chosen.beam, chosen.length_penalty)
    search = TunedSearch(
        setting, default, chosen.score.name, chosen.score.value, before.score.value, len(pairs.sources)
    )
    report(f"calibrating quality with {setting}")
    options, quality, problem = replace(job.options, **asdict(setting)), None, None
    try:
        quality = calibrate_quality(
            job._replace(options=options), pairs.sources, pairs.references, request.threshold
        )
    except DataError as error:
        problem = str(error)
    return TuningResult(points, Tuning(trained.sha256, search, quality), problem)


def read_validation_pairs(loaded: LoadedTranslator, request: TuningRequest) -> ValidationPairs:
    """Read the validation pairs, at most as many as requested, and how they are scored."""
    recipe = loaded.recipe
    corpus = (
        find_part(recipe.data, "valid")
        if request.data is None
        else find_task(recipe).find_corpus(request.data)
    )
    pairs = list(read_pairs(corpus))
    if not pairs:
        raise DataError(f"{corpus} has no pairs to tune on")
    count = min(request.lines, len(pairs))
    chosen = [pairs[i * len(pairs) // count] for i in range(count)]
    metric, evaluation = request.metric or recipe.training.validation.deciding_metric, recipe.evaluation
    return ValidationPairs(
        [source for source, _ in chosen],
        [loaded.target.join(reference) for _, reference in chosen],
        metric if metric in METRICS else "chrf",  # a loss says nothing about a search
        evaluation.lowercase,
        evaluation.tokenize,
    )


def write_tuning(path: Path, tuning: Tuning) -> Path:
    """Write the choice to the directory of a model, and return the file.

    In a model directory its checksum is added to `model.json`, and the model card says what was chosen.
    """
    folder = find_trained(path).folder
    file, card = folder / TUNING, folder / CARD
    if card.is_symlink():
        raise UsageError(f"{folder} is a copy in the cache of the Hub: tune a copy of the directory")
    write_file(file, tuning.to_bytes())
    if os.path.lexists(card):
        facts = asdict(read_card(card, ModelCard))
        facts["sha256"][TUNING] = file_sha256(file)
        write_file(card, json.dumps(facts, indent=2).encode() + b"\n")
        _describe_in_card(folder / PROSE, tuning)
    return file


def _describe_in_card(file: Path, tuning: Tuning) -> None:
    """Add the section about the choice to the model card, if there is one; it replaces an earlier section."""
    if not file.is_file():
        return
    text = read_bytes(file, CARD_BYTES).decode(errors="surrogateescape")
    before, heading, rest = text.partition(TUNING_HEADING)
    after = rest[rest.find("\n## ") + 1 :] if heading and "\n## " in rest else ""
    section = "\n\n".join(describe_tuning(tuning))
    parts = [before.rstrip("\n"), section, after] if after else [before.rstrip("\n"), section + "\n"]
    write_file(file, "\n\n".join(parts).encode(errors="surrogateescape"))
