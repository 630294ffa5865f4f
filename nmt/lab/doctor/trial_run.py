"""A recipe tried out: its data examined, a few updates made and measured, in a folder that is thrown away."""

import os
import resource
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch

from nmt.data.batches import Batch
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.store import Part
from nmt.data.vocabulary import UNK, Vocabulary, load_vocabulary
from nmt.errors import DataError, NmtError
from nmt.lab.doctor.corpus_checks import faults, overlap
from nmt.lab.doctor.finding import Finding, graded, percent
from nmt.lab.doctor.survey import Survey, excerpt
from nmt.recipe.build import training as experiment
from nmt.recipe.prepare_data import Pairs, Streams, find, find_training, sides, vocabulary_file
from nmt.recipe.schema import AnyRecipe, Recipe
from nmt.training.console import Progress
from nmt.training.guards import ADVICE, DivergenceError
from nmt.training.loop import Trainer

PARTS = ("train", "valid", "test")
SEARCHED = 200
"""Batches among which the widest is looked for: it decides on the memory."""
ENCODED = 20_000
"""Lines of a part whose unknown pieces are counted."""
FULL = 0.8
"""Share of the machine's memory that a run had better not need."""


class Measured(NamedTuple):
    """What training takes on this machine."""

    parameters: int
    updates: int  # of the whole run, as far as can be told
    seconds_per_update: float
    pieces_per_second: float  # of the target
    memory_gib: float  # at the most, of the process or on the GPU
    memory_there_gib: float  # that the machine or the GPU has

    @property
    def seconds(self) -> float:
        """All updates, without validations."""
        return self.updates * self.seconds_per_update


def surveys(recipe: AnyRecipe) -> Iterator[tuple[str, Survey | None, list[Finding]]]:
    """Each part of the data that the recipe names, and what is found in it; no survey where a file lacks."""
    languages = (recipe.data.src, recipe.data.tgt) if isinstance(recipe, Recipe) else ("", "")
    learnt: list[Survey] = []
    for part in named(recipe):
        try:
            surveyed = [Survey(corpus) for corpus in corpora(recipe, part)]
        except DataError as error:
            yield part, None, [Finding("wrong", f"data.{part}: {error}")]
            continue
        for survey in surveyed:
            known = [finding for train in learnt for finding in overlap(train, survey, part)]
            yield part, survey, [*faults(survey, languages), *known]
        if part == "train":
            learnt = surveyed


def named(recipe: AnyRecipe) -> list[str]:
    """The parts of the data that a recipe names."""
    return [part for part in PARTS if getattr(recipe.data, part) is not None]


def corpora(recipe: AnyRecipe, part: str) -> list[Corpus]:
    """What a part of the data consists of."""
    return find_training(recipe) if part == "train" and isinstance(recipe, Recipe) else [find(recipe, part)]


def rehearse(
    recipe: AnyRecipe, folder: Path, progress: Progress, *, updates: int
) -> tuple[Measured | None, list[Finding]]:
    """Prepare a run in `folder` as training would, make so many updates, and say what they took."""
    try:
        training = experiment.training(recipe, folder, progress, experiment.by_itself(recipe))
        measured = measure(training, updates) if updates else None
    except NmtError as error:
        return None, [Finding("wrong", str(error))]
    assert isinstance(training.epochs, Pairs | Streams)
    parts = training.epochs.store.parts
    found = [*(finding for part in parts for finding in left_out(part)), *unknown(recipe, folder)]
    return measured, found + ([] if measured is None else list(too_much(measured)))


def measure(training: Trainer, updates: int) -> Measured:
    """Some updates: first the widest batch, which also lets kernels be built, then others with the clock."""
    learner, group = training.learner, training.settings.accumulate
    learner.model.train()
    on_gpu = next(learner.model.parameters()).is_cuda
    widest = max(islice(training.epochs.batches(0, 0), SEARCHED), key=tokens)
    carried = learner.update([widest] * group, rate=training.schedule.rate(1), ratio=1.0).carried
    batches, made, words, start = training.epochs.batches(0, 0), 0, 0, time.perf_counter()
    while made < updates and (chosen := list(islice(batches, group))):
        made += 1
        ratio, rate = learner.forcing.ratio(made), training.schedule.rate(made)
        outcome = learner.update(chosen, rate=rate, ratio=ratio, carried=carried)
        if outcome.fault is not None:
            raise DivergenceError(f"update {made}: {outcome.fault}. {ADVICE}")
        words, carried = words + outcome.totals.tokens, outcome.carried
    seconds = time.perf_counter() - start
    return Measured(
        sum(parameter.numel() for parameter in learner.model.parameters()),
        updates_in_all(training, seconds / made),
        seconds / made,
        words / seconds,
        *(size / 2**30 for size in (gpu_memory() if on_gpu else memory())),
    )


def updates_in_all(training: Trainer, seconds_each: float) -> int:
    """How many updates the run will make."""
    stop = training.settings.stop_after
    if stop.unit == "m":
        return round(60 * stop.count / seconds_each)
    return training.course.last_update(training.run)


def tokens(batch: Batch) -> int:
    """How many a batch has, padding counted."""
    return batch.src.numel() + batch.tgt.numel()


def memory() -> tuple[int, int]:
    """Bytes that this process had at the most, and that the machine has."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return peak, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpu_memory() -> tuple[int, int]:
    """Bytes that were taken on the GPU at the most, and that it has."""
    return torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties().total_memory


def too_much(measured: Measured) -> Iterator[Finding]:
    """Whether the machine is too small."""
    share = measured.memory_gib / measured.memory_there_gib
    if share > FULL:
        yield Finding(
            "wrong",
            f"training needs {percent(share)} of the memory that there is",
            advice="a smaller training.batch.size with training.accumulate in its place; data.max_length; "
            "training.recompute",
        )


def left_out(part: Part) -> Iterator[Finding]:
    """Pairs that the filters of the recipe take out of a training corpus."""
    report, corpus = part.report, part.name and f" of {part.name}"
    for reason, (count, first) in report.dropped.items():
        if "blank" in reason:
            continue  # the survey has said so
        share = count / report.seen
        yield Finding(
            graded(share, 0.05, 0.5),
            f"{percent(share)} of the training {report.unit}{corpus} are left out: {count:,} {reason}",
            f"data.train{corpus}, first: line {first:,}",
            advice="data.max_length, min_length and max_ratio decide on it",
        )


class Unknown(NamedTuple):
    """Pieces of a part of the data that a vocabulary does not know."""

    part: str
    pieces: int
    share: float
    line: int  # the first that has one
    words: list[str]  # there

    def __str__(self) -> str:
        return f"data.{self.part} {self.pieces:,} ({percent(self.share)}; first: line {self.line:,})"


def unknown(recipe: AnyRecipe, folder: Path) -> Iterator[Finding]:
    """What the vocabularies of the run in `folder` do not know, side by side."""
    parts = dict(_beginnings(recipe))
    names = sides(recipe)
    for place, side in enumerate(names):
        file = vocabulary_file(folder, side)
        assert file is not None
        vocabulary = load_vocabulary(file)
        place -= len(names)  # plain text is the last side, too
        counted = [_unknown(part, [p[place] for p in pairs], vocabulary) for part, pairs in parts.items()]
        if found := [one for one in counted if one is not None]:
            worst = max(found, key=lambda one: one.share)
            yield Finding(
                graded(worst.share, 0.01, 0.3),
                f"pieces that the {side} vocabulary does not know: the model sees <unk> in their place",
                ", ".join(map(str, found)),
                excerpt(*worst.words[:5]),
                "with subwords.kind unigram or bpe and character_coverage 1.0 only new characters are "
                "unknown; with pretokenized, raise subwords.size or lower min_count",
            )


def _beginnings(recipe: AnyRecipe) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each part of the data, the corpora of one by their names, and its first pairs."""
    for part in named(recipe):
        for corpus in corpora(recipe, part):
            yield part + (corpus.name and f" of {corpus.name}"), list(islice(read_pairs(corpus), ENCODED))


def _unknown(part: str, lines: list[str], vocabulary: Vocabulary) -> Unknown | None:
    encoded = vocabulary.encode_all(lines)
    count = sum(row.count(UNK) for row in encoded)
    if not count:
        return None
    place = next(i for i, row in enumerate(encoded) if UNK in row)
    words = [word for word in lines[place].split() if UNK in vocabulary.encode(word)]
    return Unknown(part, count, count / sum(map(len, encoded)), place + 1, words)
