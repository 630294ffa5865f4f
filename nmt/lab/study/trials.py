"""Finished runs of a study, and what they say together: means over seeds, differences, buckets, curves."""

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nmt.evaluation.buckets import Bucket, Words, by_frequency, by_length
from nmt.evaluation.metrics import Score, compare, score
from nmt.lab.curves import Event, read_series
from nmt.lab.figure import Curve

FEWEST = 5
"""Sentences of a bucket under which it has no score."""
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Trial(NamedTuple):
    """A member of a study that was trained and tested."""

    system: str  # the value of the axis that is compared
    group: str  # those of the other axes: systems of one group differ in the system alone
    seed: int
    parameters: int
    hidden: str
    scores: Sequence[Score]
    sources: Sequence[str]
    refs: Sequence[str]
    hyps: Sequence[str]
    known: Mapping[str, int]  # how often each word stands in the training text
    events: Sequence[Event]  # of metrics.jsonl, with their seconds of learning
    lowercase: bool = False  # how it is scored

    def last(self, key: str) -> float:
        """The last value of a number of the curves; NaN if there is none."""
        values = [event[key] for event in self.events if event.get(key) is not None]
        return float(values[-1]) if values else math.nan

    @property
    def speed(self) -> float:
        """Words a second of learning; NaN if it was never measured."""
        measured = [event for event in self.events if "tokens" in event and event.get("seconds")]
        return measured[-1]["tokens"] / measured[-1]["seconds"] if measured else math.nan


Group = Mapping[str, Sequence[Trial]]
"""The trials of each system, one for each seed."""


class Spread(NamedTuple):
    """The mean over seeds, and their standard deviation (n - 1), which is NaN of one alone."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """That of some values; NaN where there are none."""
        mean = statistics.fmean(values) if values else math.nan
        several = len(values) > 1 and math.isfinite(mean)
        return cls(mean, statistics.stdev(values) if several else math.nan)

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "-"
        return f"{self.mean:.2f}" + ("" if math.isnan(self.deviation) else f" ± {self.deviation:.2f}")


class Difference(NamedTuple):
    """A system against the baseline of its group, by one metric, seed by seed."""

    by: Sequence[float]
    p_values: Sequence[float]  # that the baseline is as good
    beyond: Sequence[bool]  # chance in the choice of the test sentences

    @property
    def verdict(self) -> str:
        """In how many seeds it is more than chance."""
        higher = sum(by > 0 for by, beyond in zip(self.by, self.beyond, strict=True) if beyond)
        return f"{higher} higher, {sum(self.beyond) - higher} lower, of {len(self.by)}"


def grouped(trials: Sequence[Trial]) -> dict[str, dict[str, list[Trial]]]:
    """By group, then by system, in the order in which they come."""
    found: dict[str, dict[str, list[Trial]]] = {}
    for trial in trials:
        found.setdefault(trial.group, {}).setdefault(trial.system, []).append(trial)
    return found


def spreads(trials: Sequence[Trial]) -> dict[str, Spread]:
    """Each score of a system over its seeds."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        for found in trial.scores:
            by_name[found.name].append(found.value)
    return {name: Spread.of(values) for name, values in by_name.items()}


def difference(baseline: Sequence[Trial], other: Sequence[Trial], metric: str) -> Difference | None:
    """Paired bootstrap resampling (Koehn, 2004), seed by seed; None without a seed that both have."""
    theirs = {trial.seed: trial for trial in other}
    pairs = [(trial, theirs[trial.seed]) for trial in baseline if trial.seed in theirs]
    found = [_tested(one, two, metric) for one, two in pairs if one.refs == two.refs]
    return Difference(*zip(*found, strict=True)) if found else None


def _tested(baseline: Trial, other: Trial, metric: str) -> tuple[float, float, bool]:
    """The difference, its p-value, and whether it is more than chance."""
    systems = {"baseline": baseline.hyps, "other": other.hyps}
    one, two = (
        of_system[0]
        for of_system in compare(systems, [baseline.refs], [metric], lowercase=baseline.lowercase).values()
    )
    return two.value - one.value, 1.0 if two.p_value is None else two.p_value, bool(two.beyond_chance)


def length_scores(trials: Sequence[Trial], metric: str) -> dict[Bucket, Spread]:
    """A system's score on the sentences of each source length."""
    places = by_length(trials[0].sources)
    return {
        bucket: Spread.of([_score_at(trial, chosen, metric) for trial in trials])
        for bucket, chosen in places.items()
        if len(chosen) >= FEWEST
    }


def _score_at(trial: Trial, places: Sequence[int], metric: str) -> float:
    hyps, refs = ([lines[place] for place in places] for lines in (trial.hyps, trial.refs))
    return score(hyps, [refs], [metric], lowercase=trial.lowercase)[0].value


def word_scores(trials: Sequence[Trial]) -> dict[Bucket, Spread]:
    """F1 of a system's words by how often each stands in the training text."""
    found = [by_frequency(trial.hyps, trial.refs, trial.known) for trial in trials]
    return {bucket: Spread.of([one.get(bucket, Words()).f1 for one in found]) for bucket in found[0]}


def curve(name: str, trials: Sequence[Trial], metric: str) -> Curve:
    """A metric of the validations over updates, where all seeds have one."""
    at: dict[float, list[float]] = defaultdict(list)
    for trial in trials:
        for update, value in zip(*read_series(trial.events, "validation", metric), strict=True):
            at[update].append(value)
    whole = {update: values for update, values in sorted(at.items()) if len(values) == len(trials)}
    return line(name, [*whole], [Spread.of(values) for values in whole.values()])


def line(name: str, x: Sequence[float], found: Sequence[Spread]) -> Curve:
    """Means as a line, and their deviations as the band about it, where there are any."""
    deviations = [spread.deviation for spread in found]
    several = any(map(math.isfinite, deviations))
    return Curve(name, x, [spread.mean for spread in found], deviations if several else None)


def validated(trials: Sequence[Trial], metric: str) -> str:
    """The metric if validations measured it, else the loss, which they always do."""
    measured = any(metric in event for trial in trials for event in trial.events)
    return metric if measured else "loss"


def over_groups(groups: Mapping[str, Group], metric: str) -> list[Curve]:
    """Each system's score over the groups; none unless there are several and their names are numbers."""
    x = {name: float(name) for name in groups if NUMBER.fullmatch(name)}
    if len(x) < max(len(groups), 2):
        return []
    return [
        line(system, *zip(*_points(groups, x, system, metric), strict=True))
        for system in dict.fromkeys(system for group in groups.values() for system in group)
    ]


def _points(
    groups: Mapping[str, Group], x: Mapping[str, float], system: str, metric: str
) -> list[tuple[float, Spread]]:
    there = {name: group[system] for name, group in groups.items() if system in group}
    return sorted((x[name], spreads(trials)[metric]) for name, trials in there.items())
