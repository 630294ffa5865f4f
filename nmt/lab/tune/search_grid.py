"""Grid search over beams and length penalties on validation pairs, with the noise of the scores."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from nmt.decoding.job import Job
from nmt.evaluation.metrics import Score, find_metric, resample_score
from nmt.lab.tune.penalty_sweep import sweep_penalties

BEAMS = (1, 2, 3, 5, 8)
PENALTIES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


class ValidationPairs(NamedTuple):
    """Sources and references of validation, and how translations of them are scored."""

    sources: Sequence[str]
    references: Sequence[str]
    metric: str
    lowercase: bool = False
    tokenize: str = "auto"


class GridPoint(NamedTuple):
    """A setting of the search and its score; differences are to the best setting, on the same samples."""

    beam: int
    length_penalty: float
    score: Score
    noise: float  # standard error of the score: its standard deviation over bootstrap samples
    behind: float  # difference from the score of the best setting
    behind_noise: float  # standard error of that difference
    milliseconds: float  # per line, of a search that finds the results of all penalties of this beam

    @property
    def is_good(self) -> bool:
        """Return True if the best setting is not better by more than a standard error.

        This is the rule of Breiman et al. (1984); an interval of 95% would admit settings that are probably
        worse, where a few lines decide the score.
        """
        return self.behind <= self.behind_noise


class _Measurement(NamedTuple):
    beam: int
    length_penalty: float
    score: Score
    samples: Sequence[float]
    milliseconds: float


def measure_grid(
    job: Job,
    pairs: ValidationPairs,
    beams: Sequence[int],
    penalties: Sequence[float],
    report: Callable[[str], object] = lambda text: None,
) -> list[GridPoint]:
    """Translate once with each beam, and score the translations by each length penalty.

    The length penalty does not change greedy search, which is measured with the job's only. `report` gets
    the name of each step.
    """
    ordered = sorted({*penalties})
    found = [one for beam in sorted({*beams}) for one in _measure_beam(job, pairs, beam, ordered, report)]
    sign = 1 if find_metric(pairs.metric).higher_is_better else -1
    best = max(found, key=lambda one: sign * one.score.value)
    points = []
    for one in found:
        behind = [sign * (a - b) for a, b in zip(best.samples, one.samples, strict=True)]
        points.append(
            GridPoint(
                one.beam,
                one.length_penalty,
                one.score,
                statistics.stdev(one.samples),
                sign * (best.score.value - one.score.value),
                statistics.stdev(behind),
                one.milliseconds,
            )
        )
    return points


def _measure_beam(
    job: Job,
    pairs: ValidationPairs,
    beam: int,
    penalties: Sequence[float],
    report: Callable[[str], object],
) -> Iterator[_Measurement]:
    if beam == 1:
        penalties = [job.options.length_penalty]
    report(f"beam {beam}: translating {len(pairs.sources):,} lines")
    start = time.thread_time()
    found = sweep_penalties(pairs.sources, job._replace(options=replace(job.options, beam=beam)), penalties)
    milliseconds = 1000 * (time.thread_time() - start) / len(pairs.sources)
    report(f"beam {beam}: scoring")
    for penalty, texts in zip(penalties, found, strict=True):
        scored = resample_score(
            texts, pairs.references, pairs.metric, lowercase=pairs.lowercase, tokenize=pairs.tokenize
        )
        yield _Measurement(beam, penalty, *scored, milliseconds)


def choose_setting(points: Sequence[GridPoint], default_penalty: float) -> GridPoint:
    """Return the simplest setting within the noise of the best: the smallest beam that has one.

    Of its length penalties, `default_penalty` is preferred if it is within the noise, else the best.
    """
    good = [point for point in points if point.is_good]
    smallest = min(point.beam for point in good)
    same = [point for point in good if point.beam == smallest]
    return min(same, key=lambda point: (point.length_penalty != default_penalty, point.behind))
