"""What an update costs under each objective, beside the likelihood's, for a run's model on its pairs.

    python -m benchmarks.objectives runs/quickstart-lstm

A trained model's samples have the length of translations, an untrained one's the longest there may be. The
forward and backward pass of a batch are timed, the objectives in turn; the figures are medians.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from nmt.data.batches import Batch, BatchPlan, read_batches
from nmt.model.translator import TranslationModel
from nmt.recipe.prepare_data import prepare_pairs
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.tasks.translation import build_objective, load_translator
from nmt.training.objectives.likelihood import Objective
from nmt.training.objectives.noise import add_weight_noise

SETTINGS: dict[str, dict[str, Any]] = {
    "likelihood": {},
    "coverage": {"coverage": 1.0},
    "R-Drop": {"r_drop": 5.0},
    "weight noise": {"weight_noise": 0.01},
    **{f"minimum risk, {n} samples": {"objective": "minimum-risk", "risk": n} for n in (4, 8)},
    **{f"REINFORCE, {n} samples": {"objective": "reinforce", "risk": n} for n in (4, 8)},
}


def changed(recipe: TranslationRecipe, settings: dict[str, Any]) -> TranslationRecipe:
    """The recipe with other settings of training; `risk` is a number of samples."""
    risk = replace(recipe.training.risk, samples=settings.get("risk", 8))
    return replace(recipe, training=replace(recipe.training, **{**settings, "risk": risk}))


def update(model: TranslationModel, objective: Objective, batch: Batch, noise: float) -> Callable[[], None]:
    """The way there and back."""

    def make() -> None:
        model.zero_grad()
        with add_weight_noise(model, noise):
            loss = objective(model, batch, None, None).loss
            loss.smoothed.backward()  # type: ignore[no-untyped-call]

    return make


def seconds(work: Callable[[], None]) -> float:
    """How long a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batches", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = load_translator(given.run)
    model, recipe = found.model.train(), found.recipe
    plan = BatchPlan(recipe.training.batch, recipe.seed)
    times: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for batch in islice(read_batches(prepare_pairs(recipe, given.run).train, plan, 0), given.batches):
        for name, settings in SETTINGS.items():
            objective = build_objective(changed(recipe, settings), found.target)
            times[name].append(seconds(update(model, objective, batch, settings.get("weight_noise", 0.0))))
    for name, taken in times.items():
        ratio = median(own / likelihood for own, likelihood in zip(taken, times["likelihood"], strict=True))
        print(f"{name:26}{1000 * median(taken):8.1f} ms{ratio:8.2f} x")


if __name__ == "__main__":
    main()
