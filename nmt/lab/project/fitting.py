"""Measurement of the training time on this machine, and settings that fit a number of minutes."""

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nmt.errors import DataError, UsageError, show_notes
from nmt.lab.doctor.finding import Finding
from nmt.lab.doctor.trial_run import TrainingCost, run_trial
from nmt.lab.project.choices import ChosenSetting, replace_setting, write_recipe
from nmt.operating_system import find_load
from nmt.recipe.reader import RECIPE, read_recipe
from nmt.training.console import Progress

TRIAL_PAIRS = 20_000
"""Training pairs that a trial prepares: preparing millions takes long."""
TRIAL_UPDATES = 10
UPDATE_SHARE = 0.85
"""Share of the minutes for updates; the rest is for preparing the data, validations and the test."""
ENOUGH = 0.5
"""Share of the epochs chosen by size below which a smaller model is considered, and dropout is lowered."""
FASTER = 2.0
"""Factor by which a smaller model must be faster. With 814 pairs decoder.hidden=256 had 8.5 BLEU after 109
updates; 128, with 166 updates in the same time, had 3.1."""
LEAST_EPOCHS = 0.1
"""Minimum number of epochs; with fewer, a smaller model is chosen in any case."""
LEAST_DROPOUT = 0.1
"""Minimum dropout for few epochs: 0.1 had 11.8 BLEU in that run, 0.35 had 8.5, none 11.6."""
SMALLEST = 64
"""Size of embeddings and states below which a model is not made smaller."""
STOP_AFTER, BATCH = "training.stop_after", "training.batch.size"
DROPOUTS = ("encoder.dropout.embedding", "decoder.dropout.embedding", "decoder.dropout.output")
SIZES = ("encoder.embedding", "encoder.hidden", "decoder.embedding", "decoder.hidden")
VALIDATIONS, LONGEST_INTERVAL = 12, 2000
"""Approximate number of validations of a run, and maximum number of updates between two."""


class FittedSettings(NamedTuple):
    """Settings, and the cost of training with them on this machine."""

    settings: list[ChosenSetting]
    updates: int
    cost: TrainingCost
    findings: list[Finding]
    load: float  # of the machine before the trial

    @property
    def seconds(self) -> float:
        """The time of all updates, without validations."""
        return self.updates * self.cost.seconds_per_update


def fit_settings(
    settings: Sequence[ChosenSetting], folder: Path, pairs: int, minutes: float | None
) -> FittedSettings:
    """Time some updates of a recipe, and fit its epochs, and if necessary its sizes, to `minutes`.

    `folder` contains the data, and the recipe is written there. UsageError if the smallest model takes too
    long.
    """
    chosen, load = list(settings), find_load()
    values = {one.setting: one.value for one in settings}
    wanted, per_epoch = float(values[STOP_AFTER].removesuffix("e")), math.ceil(pairs / values[BATCH])
    seconds = math.inf if minutes is None else UPDATE_SHARE * 60 * minutes
    cost, findings = _time_updates(folder, chosen)
    possible = seconds / (per_epoch * cost.seconds_per_update)  # epochs
    while possible < ENOUGH * wanted and (smaller := _shrink(chosen)):
        smaller_cost, smaller_findings = _time_updates(folder, smaller)
        is_faster = cost.seconds_per_update >= FASTER * smaller_cost.seconds_per_update
        if possible >= LEAST_EPOCHS and not is_faster:
            break
        chosen, cost, findings = smaller, smaller_cost, smaller_findings
        possible = seconds / (per_epoch * cost.seconds_per_update)
    epochs = wanted if possible >= wanted else math.floor(10 * possible) / 10
    if not epochs:
        epoch = per_epoch * cost.seconds_per_update / 60
        raise UsageError(
            f"--minutes {minutes:g}: an epoch of {pairs:,} pairs takes {epoch:,.1f} minutes with the "
            "smallest model: give more minutes, or fewer pairs"
        )
    if epochs < wanted:
        comment = f"as many as fit {minutes:g} minutes on this machine; by the number of pairs, {wanted:g}"
        chosen = replace_setting(chosen, STOP_AFTER, f"{epochs:g}e", comment)
        chosen = _lower_dropout(chosen, epochs / wanted)
    updates = max(1, round(epochs * per_epoch))
    return FittedSettings([*chosen, _choose_interval(updates)], updates, cost, findings, load)


def _time_updates(folder: Path, settings: Sequence[ChosenSetting]) -> tuple[TrainingCost, list[Finding]]:
    """Write the recipe in `folder`, and run trial updates of it in a temporary directory."""
    write_recipe(folder / RECIPE, (), settings)
    recipe = read_recipe([str(folder / RECIPE)], [f"data.first={TRIAL_PAIRS}"])
    with TemporaryDirectory() as run, show_notes(lambda note: None):  # training shows them
        cost, findings = run_trial(recipe, Path(run), Progress(None), updates=TRIAL_UPDATES)
    if cost is None:
        raise DataError(f"a trial of the recipe failed: {'; '.join(finding.what for finding in findings)}")
    return cost, findings


def _shrink(settings: Sequence[ChosenSetting]) -> list[ChosenSetting] | None:
    """Halve the sizes of a model; None if they would be too small."""
    sizes = {one.setting: one.value // 2 for one in settings if one.setting in SIZES}
    if min(sizes.values()) < SMALLEST:
        return None
    chosen = list(settings)
    for name, size in sizes.items():
        chosen = replace_setting(chosen, name, size, "smaller than by size alone, to fit the minutes")
    return chosen


def _lower_dropout(settings: Sequence[ChosenSetting], share: float) -> list[ChosenSetting]:
    """Lower the dropout if only a small `share` of the wanted epochs fits."""
    chosen = list(settings)
    for name, value in ((one.setting, one.value) for one in settings if one.setting in DROPOUTS):
        lower = max(min(value, LEAST_DROPOUT), round(value * min(1.0, share / ENOUGH), 2))
        if lower < value:
            comment = f"less than by size alone, {value:g}, because the epochs are few"
            chosen = replace_setting(chosen, name, lower, comment)
    return chosen


def _choose_interval(updates: int) -> ChosenSetting:
    """Choose the interval between validations of a run."""
    every = min(LONGEST_INTERVAL, max(1, round(updates / VALIDATIONS)))
    comment = f"about {max(1, round(updates / every))} validations in all"
    return ChosenSetting("training.validation.every", f"{every}u", comment)
