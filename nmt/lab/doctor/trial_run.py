"""A trial run of a recipe: checks of its data, and a few updates to measure time and memory."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from nmt.data.pairs import Corpus, read_pairs
from nmt.data.sources import find_part, find_training_corpora
from nmt.data.store import CorpusPart
from nmt.data.vocabulary import UNK, Vocabulary, load_vocabulary
from nmt.data.vocabulary.training import SubwordSettings
from nmt.errors import DataError, NmtError
from nmt.lab.doctor.corpus_checks import check_corpus, check_overlap
from nmt.lab.doctor.finding import Finding, format_count, format_percent, level_for_share
from nmt.lab.doctor.survey import Survey, excerpt
from nmt.operating_system import count_cores, find_load, find_peak_memory, find_total_memory
from nmt.recipe import training as experiment
from nmt.recipe.prepare_data import PairBatches, StreamBatches, vocabulary_file
from nmt.recipe.schema import Recipe
from nmt.training.console import Progress
from nmt.training.guards import ADVICE, DivergenceError
from nmt.training.loop import Trainer

PARTS = ("train", "valid", "test")
SEARCHED = 200  # batches among which the widest, which needs the most memory, is searched
ENCODED = 20_000  # lines of each part in which unknown tokens are counted
LIMITS = {"longer": "max_length", "shorter": "min_length", "one side": "max_ratio"}
"""The setting behind a reason for dropping a pair."""
MEMORY_LIMIT = 0.8  # share of the machine's memory above which a run is too large


class TrainingCost(NamedTuple):
    """The time and memory of training on this machine."""

    parameters: int
    updates: int  # of the whole run, estimated
    seconds_per_update: float
    pieces_per_second: float  # target tokens
    memory_gib: float | None  # peak, of the process or on the GPU; None if the system does not report it
    memory_there_gib: float | None  # of the machine or the GPU
    processor_seconds: float = 0.0  # CPU time per update, of all threads

    @property
    def seconds(self) -> float:
        """The time of all updates, without validations."""
        return self.updates * self.seconds_per_update


def survey_data(recipe: Recipe) -> Iterator[tuple[str, Survey | None, list[Finding]]]:
    """Survey and check each part of the recipe's data; the survey is None if a file is missing."""
    trained_on: list[Survey] = []
    limits_ratio = vars(recipe.data).get("max_ratio") is not None  # a setting of pairs only
    for part in list_data_parts(recipe):
        try:
            surveys = [Survey(corpus) for corpus in find_corpora(recipe, part)]
        except DataError as error:
            yield part, None, [Finding("error", f"data.{part}: {error}")]
            continue
        for survey in surveys:
            overlap = [f for train in trained_on for f in check_overlap(train, survey, part)]
            yield part, survey, [*check_corpus(survey, limits_ratio=limits_ratio), *overlap]
        if part == "train":
            trained_on = surveys


def list_data_parts(recipe: Recipe) -> list[str]:
    """Return the names of the parts of the data (train, valid, test) that a recipe has."""
    return [part for part in PARTS if getattr(recipe.data, part) is not None]


def find_corpora(recipe: Recipe, part: str) -> list[Corpus]:
    """Return the corpora of a part of the data."""
    return find_training_corpora(recipe.data) if part == "train" else [find_part(recipe.data, part)]


def run_trial(
    recipe: Recipe, folder: Path, progress: Progress, *, updates: int
) -> tuple[TrainingCost | None, list[Finding]]:
    """Prepare a run in `folder` as training does, and measure the cost of `updates` updates; 0: none."""
    load, resources = find_load(), experiment.single_process(recipe)
    try:
        training = experiment.build_trainer(recipe, folder, progress, resources)
        cost = measure_cost(training, updates) if updates else None
    except NmtError as error:
        return None, [Finding("error", str(error))]
    assert isinstance(training.epochs, PairBatches | StreamBatches)
    findings = [f for part in training.epochs.store.parts for f in _check_dropped(part)]
    findings += _check_unknown(recipe, folder)
    if cost is not None and resources.device.type == "cpu":
        findings += check_load(torch.get_num_threads(), load, count_cores())
    share = 0.0
    if cost is not None and cost.memory_gib is not None and cost.memory_there_gib is not None:
        share = cost.memory_gib / cost.memory_there_gib
    if share > MEMORY_LIMIT:
        what = f"training needs {format_percent(share)} of the available memory"
        advice = "use a smaller training.batch.size with training.accumulate, or a smaller data.max_length"
        if not recipe.training.recompute:
            advice += ", or training.recompute"
        findings.append(Finding("error", what, advice=advice))
    return cost, findings


def check_load(threads: int, load: float, cores: int) -> Iterator[Finding]:
    """Find too many threads for a machine whose load was measured before the trial.

    The threads of an update wait for each other: if one shares its core with another program, all do.
    """
    free = max(1, cores - round(load))
    if load > cores / 2 and threads > free:
        yield Finding(
            "warning",
            f"the machine is busy: a load of {load:.1f} on {format_count(cores, 'core')}, where {threads} "
            "threads are many times slower than one",
            advice=f"training.threads={free} while other programs are running",
        )


def measure_cost(training: Trainer, updates: int) -> TrainingCost:
    """Apply an update with the widest batch, which also compiles the kernels, then time `updates` others."""
    learner, group = training.learner, training.settings.accumulate
    learner.model.train()
    widest = max(islice(training.epochs.batches(0, 0), SEARCHED), key=lambda b: b.src.numel() + b.tgt.numel())
    carried = learner.update([widest] * group, rate=training.schedule.rate(1), ratio=1.0).carried
    batches, done, tokens = training.epochs.batches(0, 0), 0, 0
    start, processor_start = time.perf_counter(), time.process_time()
    while done < updates and (chosen := list(islice(batches, group))):
        done += 1
        ratio, rate = learner.forcing.ratio(done), training.schedule.rate(done)
        outcome = learner.update(chosen, rate=rate, ratio=ratio, carried=carried)
        if outcome.bad_update is not None:
            raise DivergenceError(f"{outcome.bad_update.reason} at update {done}. {ADVICE}")
        tokens, carried = tokens + outcome.totals.tokens, outcome.carried
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    stop, (peak, available) = training.settings.stop_after, _measure_memory(learner.model)
    return TrainingCost(
        sum(parameter.numel() for parameter in learner.model.parameters()),
        round(60 * stop.count / (seconds / done))
        if stop.unit == "m"
        else training.clock.estimate_last_update(training.run),
        seconds / done,
        tokens / seconds,
        peak,
        available,
        processor_seconds / done,
    )


def _measure_memory(model: nn.Module) -> tuple[float | None, float | None]:
    """Return the peak and the total memory of the model's device in GiB; None if not reported."""
    sizes: tuple[int | None, int | None]
    if next(model.parameters()).is_cuda:
        sizes = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties().total_memory
    else:
        sizes = find_peak_memory(), find_total_memory()
    peak, total = (None if size is None else size / 2**30 for size in sizes)
    return peak, total


def _check_dropped(part: CorpusPart) -> Iterator[Finding]:
    """Find pairs of a training corpus that the recipe's filters drop."""
    report, corpus = part.report, part.name and f" of {part.name}"
    for reason, (count, first) in report.dropped.items():
        if "blank" in reason:
            continue  # the survey reports it
        share = count / report.seen
        limit = next(name for start, name in LIMITS.items() if reason.startswith(start))
        yield Finding(
            level_for_share(share, 0.05, 0.5),
            f"{format_percent(share)} of the training {report.unit}{corpus} are dropped: {count:,} {reason}",
            f"data.train{corpus}, first: line {first:,}",
            advice=f"data.{limit} is the limit",
        )


class UnknownOccurrences(NamedTuple):
    """The tokens of some lines that a vocabulary does not have."""

    tokens: int
    share: float  # of all tokens
    line: int  # the first line with one, from 1
    words: list[str]  # of that line


def _check_unknown(recipe: Recipe, folder: Path) -> Iterator[Finding]:
    """Find tokens that are not in the vocabularies of the run in `folder`."""
    parts = {
        part + (corpus.name and f" of {corpus.name}"): list(islice(read_pairs(corpus), ENCODED))
        for part in list_data_parts(recipe)
        for corpus in find_corpora(recipe, part)
    }
    names = recipe.vocabulary_sides
    for index, side in enumerate(names, -len(names)):  # plain text is the last side, too
        file = vocabulary_file(folder, side)
        assert file is not None
        vocabulary = load_vocabulary(file)
        found = {part: find_unknown(vocabulary, [pair[index] for pair in of]) for part, of in parts.items()}
        reported = {part: unknown for part, unknown in found.items() if unknown is not None}
        if not reported:
            continue
        worst = max(reported.values(), key=lambda unknown: unknown.share)
        has_bytes = bool(vocabulary.byte_tokens())
        what, replacement = ("characters", "their bytes") if has_bytes else ("tokens", "<unk>")
        yield Finding(
            level_for_share(worst.share, 0.01, 0.3),
            f"{what} that are not in the {side} vocabulary: the model sees {replacement} instead",
            ", ".join(
                f"data.{part} {one.tokens:,} ({format_percent(one.share)}; first: line {one.line:,})"
                for part, one in reported.items()
            ),
            excerpt(*worst.words[:5]),
            advise_on_unknown(recipe.subwords),
        )


def find_unknown(vocabulary: Vocabulary, lines: list[str]) -> UnknownOccurrences | None:
    """Find the tokens of lines that are unknown or bytes; None if there are none."""
    unknown = {UNK, *vocabulary.byte_tokens()}
    encoded = vocabulary.encode_all(lines)
    count = sum(token in unknown for row in encoded for token in row)
    if not count:
        return None
    first = next(i for i, row in enumerate(encoded) if unknown.intersection(row))
    words = [word for word in lines[first].split() if unknown.intersection(vocabulary.encode(word))]
    return UnknownOccurrences(count, count / sum(map(len, encoded)), first + 1, words)


def advise_on_unknown(subwords: SubwordSettings) -> str:
    """Return advice on the settings that make tokens unknown."""
    if subwords.has_words:
        lower = " or lower subwords.min_count" if subwords.min_count > 1 else ""
        return f"raise subwords.size{lower}, or set subwords.kind to unigram or bpe"
    if subwords.model is not None:
        return "subwords.model was trained on other text: train a vocabulary instead, or use another model"
    if subwords.character_coverage < 1.0:
        return "set subwords.character_coverage to 1.0: then only new characters are unknown"
    return "these characters are not in the training text: add lines that contain them"
