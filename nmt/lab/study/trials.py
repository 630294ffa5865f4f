"""Results of a study's runs: means over seeds, differences, scores by bucket, curves."""

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nmt.data.pairs import read_pairs
from nmt.data.sources import find_training_corpora
from nmt.data.text import read_lines
from nmt.errors import DataError, UsageError
from nmt.evaluation.buckets import Bucket, WordMatches, count_words, group_by_length, match_by_frequency
from nmt.evaluation.metrics import Score, compare, score
from nmt.evaluation.tokenizers import choose_tokenizer
from nmt.lab.curves import Event, add_seconds, read_events, read_series
from nmt.lab.figure import Curve
from nmt.lab.study.definition import StudyDefinition, StudyMember
from nmt.lab.study.runner import find_member_files, read_status
from nmt.recipe.reader import read_model_recipe
from nmt.recipe.schema import TranslationRecipe, select_task
from nmt.recipe.sections import to_json
from nmt.recipe.tasks.translation import load_translator, read_test_pairs
from nmt.untrusted_files import read_json

MIN_SENTENCES = 5  # sentences of a bucket below which it is not scored
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Trial(NamedTuple):
    """The results of a member that was trained and tested."""

    system: str  # the value of the axis that is compared
    group: str  # values of the other axes: trials of a group differ only in the system and the seed
    seed: int
    parameters: int
    hidden: str
    scores: Sequence[Score]
    sources: Sequence[str]
    refs: Sequence[str]
    hyps: Sequence[str]
    word_counts: Mapping[str, int]  # in the training text
    events: Sequence[Event]  # of metrics.jsonl, with the seconds of training
    lowercase: bool = False  # of the scores
    tokenize: str = "13a"  # BLEU's tokenizer, of the scores and of the target's words
    source_tokenize: str = "13a"  # of the words of the sources

    def last(self, key: str) -> float:
        """Return the last value of a number in the events; NaN if there is none."""
        values = [event[key] for event in self.events if event.get(key) is not None]
        return float(values[-1]) if values else math.nan

    @property
    def speed(self) -> float:
        """Words per second of training; NaN if it was not measured."""
        measured = [event for event in self.events if "tokens" in event and event.get("seconds")]
        return measured[-1]["tokens"] / measured[-1]["seconds"] if measured else math.nan


Group = Mapping[str, Sequence[Trial]]
"""The trials of each system, one per seed."""


class MeanAndDeviation(NamedTuple):
    """The mean over seeds and their standard deviation (n - 1), which is NaN for a single one."""

    mean: float
    deviation: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "MeanAndDeviation":
        """Compute both; NaN without values."""
        mean = statistics.fmean(values) if values else math.nan
        several = len(values) > 1 and math.isfinite(mean)
        return cls(mean, statistics.stdev(values) if several else math.nan)

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "-"
        return f"{self.mean:.2f}" + ("" if math.isnan(self.deviation) else f" ± {self.deviation:.2f}")


class SystemDifference(NamedTuple):
    """The differences of a system from the baseline of its group in one metric, seed by seed."""

    differences: Sequence[float]
    p_values: Sequence[float]  # that the baseline is as good
    significant: Sequence[bool]  # for the choice of test sentences

    @property
    def verdict(self) -> str:
        """The number of seeds with significant differences."""
        pairs = zip(self.differences, self.significant, strict=True)
        higher = sum(difference > 0 for difference, significant in pairs if significant)
        return f"{higher} higher, {sum(self.significant) - higher} lower, of {len(self.differences)}"


def read_trials(
    directory: Path, study: StudyDefinition, members: Sequence[StudyMember]
) -> tuple[list[Trial], dict[str, str]]:
    """Read the results of the members; also return why members have none, by name."""
    trials: list[Trial] = []
    missing: dict[str, str] = {}
    word_counts: dict[str, Counter[str]] = {}
    for member in members:
        status = read_status(directory, member)
        if status is None or not status.succeeded:
            missing[member.name] = status.said if status else "not trained yet"
            continue
        try:
            tokenize = _read_tokenizer(directory, member)
            data = tokenize + to_json(member.recipe.data)
            if data not in word_counts:
                corpora = find_training_corpora(member.recipe.data)
                targets = (tgt for corpus in corpora for _, tgt in read_pairs(corpus))
                word_counts[data] = count_words(targets, tokenize)
            trials.append(_read_trial(directory, study, member, word_counts[data], tokenize))
        except (DataError, UsageError, OSError, ValueError) as error:
            missing[member.name] = f"the run is damaged: {error}"
    return trials, missing


def _read_tokenizer(directory: Path, member: StudyMember) -> str:
    """Return BLEU's tokenizer, which was chosen when the member's run started."""
    recipe = select_task(read_model_recipe(find_member_files(directory, member).run), TranslationRecipe)
    assert recipe is not None  # a study trains translators
    return recipe.evaluation.tokenize


def _read_trial(
    directory: Path,
    study: StudyDefinition,
    member: StudyMember,
    word_counts: Counter[str],
    tokenize: str,
) -> Trial:
    run, recipe = find_member_files(directory, member).run, member.recipe
    sources, refs = zip(*read_test_pairs(recipe), strict=True)
    model = load_translator(run).model
    return Trial(
        system=member.choices[study.systems],
        group=", ".join(member.other_values(study.systems)),
        seed=member.seed,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        hidden=f"{recipe.encoder.hidden} + {recipe.decoder.hidden}",
        scores=read_json(run / "scores.json", list[Score]),
        sources=sources,
        refs=refs,
        hyps=list(read_lines(run / "test.hyp")),
        word_counts=word_counts,
        events=add_seconds(run, read_events(run)),
        lowercase=recipe.evaluation.lowercase,
        tokenize=tokenize,
        source_tokenize=choose_tokenizer(recipe.data.src, sources),
    )


def group_trials(trials: Sequence[Trial]) -> dict[str, dict[str, list[Trial]]]:
    """Group trials by the other axes, then by system, in their order."""
    groups: dict[str, dict[str, list[Trial]]] = {}
    for trial in trials:
        groups.setdefault(trial.group, {}).setdefault(trial.system, []).append(trial)
    return groups


def average_scores(trials: Sequence[Trial]) -> dict[str, MeanAndDeviation]:
    """Average each score of a system over its seeds."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        for one in trial.scores:
            by_name[one.name].append(one.value)
    return {name: MeanAndDeviation.from_values(values) for name, values in by_name.items()}


def compare_systems(
    baseline: Sequence[Trial], other: Sequence[Trial], metric: str
) -> SystemDifference | None:
    """Run paired bootstrap resampling (Koehn, 2004) seed by seed; None without a common seed."""
    others = {trial.seed: trial for trial in other}
    pairs = [(trial, others[trial.seed]) for trial in baseline if trial.seed in others]
    tests = []
    for one, two in pairs:
        if one.refs == two.refs:
            hyps = {"baseline": one.hyps, "other": two.hyps}
            scores = compare(hyps, [one.refs], [metric], lowercase=one.lowercase, tokenize=one.tokenize)
            [base], [result] = scores.values()
            p_value = 1.0 if result.p_value is None else result.p_value
            tests.append((result.value - base.value, p_value, bool(result.beyond_chance)))
    return SystemDifference(*zip(*tests, strict=True)) if tests else None


def score_by_length(trials: Sequence[Trial], metric: str) -> dict[Bucket, MeanAndDeviation]:
    """Score a system on the sentences of each source length."""
    scores, first = {}, trials[0]
    score_texts = partial(score, metrics=[metric], lowercase=first.lowercase, tokenize=first.tokenize)
    for bucket, indices in group_by_length(first.sources, first.source_tokenize).items():
        if len(indices) >= MIN_SENTENCES:
            texts = [([t.hyps[i] for i in indices], [t.refs[i] for i in indices]) for t in trials]
            results = [score_texts(hyps, [refs]) for hyps, refs in texts]
            scores[bucket] = MeanAndDeviation.from_values([result[0].value for result in results])
    return scores


def score_by_frequency(trials: Sequence[Trial]) -> dict[Bucket, MeanAndDeviation]:
    """Compute F1 of a system's words by their frequency in the training text."""
    buckets = [
        match_by_frequency(trial.hyps, trial.refs, trial.word_counts, trial.tokenize) for trial in trials
    ]
    return {
        bucket: MeanAndDeviation.from_values([one.get(bucket, WordMatches()).f1 for one in buckets])
        for bucket in buckets[0]
    }


def build_validation_curve(name: str, trials: Sequence[Trial], metric: str) -> Curve:
    """Return the mean of a validation metric over updates at which all seeds have one."""
    values_at: dict[float, list[float]] = defaultdict(list)
    for trial in trials:
        for update, value in zip(*read_series(trial.events, "validation", metric), strict=True):
            values_at[update].append(value)
    common = {update: values for update, values in sorted(values_at.items()) if len(values) == len(trials)}
    return build_mean_curve(
        name, [*common], [MeanAndDeviation.from_values(values) for values in common.values()]
    )


def build_mean_curve(name: str, x: Sequence[float], means: Sequence[MeanAndDeviation]) -> Curve:
    """Return means as a curve, with their deviations as its band if there are any."""
    deviations = [one.deviation for one in means]
    several = any(map(math.isfinite, deviations))
    return Curve(name, x, [one.mean for one in means], deviations if several else None)


def choose_validation_metric(trials: Sequence[Trial], metric: str) -> str:
    """Return the metric if validations measured it, else the loss, which they always measure."""
    measured = any(metric in event for trial in trials for event in trial.events)
    return metric if measured else "loss"


def build_group_curves(groups: Mapping[str, Group], metric: str) -> list[Curve]:
    """Return each system's score over the groups; none unless there are several and all names are numbers."""
    x = {name: float(name) for name in groups if NUMBER.fullmatch(name)}
    if len(x) < max(len(groups), 2):
        return []
    curves = []
    for system in dict.fromkeys(system for group in groups.values() for system in group):
        with_system = {name: group[system] for name, group in groups.items() if system in group}
        points = sorted((x[name], average_scores(trials)[metric]) for name, trials in with_system.items())
        curves.append(build_mean_curve(system, *zip(*points, strict=True)))
    return curves
