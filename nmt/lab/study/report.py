"""The report of a study as Markdown and as one HTML page."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt import __version__
from nmt.errors import DataError, UsageError
from nmt.evaluation.buckets import Bucket
from nmt.evaluation.metrics import LEVELS
from nmt.files import write_file
from nmt.lab.document import Block, Heading, Paragraph, Picture, Table, Verbatim, to_html, to_markdown
from nmt.lab.figure import Curve, draw_curves
from nmt.lab.study.definition import StudyDefinition, StudyMember, study_file
from nmt.lab.study.trials import (
    Group,
    MeanAndDeviation,
    Trial,
    compare_systems,
    curves_over_groups,
    group_trials,
    length_scores,
    mean_curve,
    mean_scores,
    read_trials,
    validation_curve,
    validation_metric,
    word_scores,
)
from nmt.shipped import read_purpose

DECADE = 10
"""Ratio of the largest to the smallest value of an axis from which it is logarithmic."""


class StudySummary(NamedTuple):
    """What a report states besides the results."""

    title: str
    systems: str  # the axis that is compared
    baseline: str  # the value that the others are compared with
    others: Sequence[str]  # the axes whose values make the groups
    metric: str  # of the comparison
    members: int
    command: str
    file: str  # the content of the study file
    missing: Mapping[str, str]  # members without results, and why


def report_study(
    words: Sequence[str], directory: Path, study: StudyDefinition, members: Sequence[StudyMember]
) -> Path:
    """Write the report of all members that have finished; returns the HTML page. DataError if none has.

    `words` are those of the command line: the study, its settings and options.
    """
    name = words[0]
    trials, missing = read_trials(directory, study, members)
    if not trials:
        raise DataError(f"no member of the study has finished: see {directory / 'members'}/*.log")
    summary = StudySummary(
        title=read_purpose(study_file(name)) or Path(name).stem,
        systems=study.systems,
        baseline=next(iter(study.vary[study.systems])),
        others=[axis for axis in study.vary if axis != study.systems],
        metric=members[0].recipe.evaluation.metrics[0],
        members=len(members),
        command=f"nmt study run {shlex.join(words)}",
        file=study_file(name).read_text(encoding="utf-8"),
        missing=missing,
    )
    return write_report(directory, summary, trials)


def write_report(directory: Path, summary: StudySummary, trials: Sequence[Trial]) -> Path:
    """Write `report.md`, `report.html` and the folder `pictures`; returns the HTML page."""
    blocks = list(_blocks(directory, summary, trials))
    write_file(directory / "report.md", to_markdown(blocks, directory).encode())
    write_file(directory / "report.html", to_html(blocks, summary.title).encode())
    return directory / "report.html"


def _blocks(directory: Path, summary: StudySummary, trials: Sequence[Trial]) -> Iterator[Block]:
    groups = group_trials(trials)
    lengths = {name: _lengths(summary, group) for name, group in groups.items()}
    name = trials[0].scores[0].name
    yield Heading(summary.title, 1)
    yield Paragraph(
        f"{len(trials)} of {summary.members} runs. ± is the standard deviation over seeds; without it there "
        "is one seed. Speed and minutes are those of training without validations, on this machine with the "
        "other processes that ran on it."
    )
    yield Heading("Scores")
    yield _scores(summary, groups)
    yield Verbatim("\n".join(f"{score.name}|{score.signature}" for score in trials[0].scores))
    yield Heading(f"Against {summary.baseline}")
    yield Paragraph(
        f"The difference in {name}, and the number of seeds in which it is significant for the choice of "
        f"test sentences (paired bootstrap, Koehn 2004; sacreBLEU's one-sided p is below {LEVELS['bs']}). p "
        "does not cover the variation between seeds, which is the deviation."
    )
    yield _differences(summary, groups, name)
    yield from _pictures(directory, _figures(summary, groups, lengths, name))
    yield Heading("By sentence length")
    yield Paragraph(f"{name} of the test sentences by number of source words (tokenizer 13a).")
    yield from _each(summary, {name: _bucketed("words", scores) for name, scores in lengths.items()})
    yield Heading("By word frequency")
    yield Paragraph("F1 of the reference's words (%), by the word's frequency in the training text.")
    yield from _each(summary, {name: _bucketed("frequency", _words(group)) for name, group in groups.items()})
    if summary.missing:
        yield Heading("Runs without results")
        yield Table(["run", "reason"], [*summary.missing.items()])
    yield Heading("The study")
    yield Paragraph(f"Written by nmt {__version__} with this command and this study file.")
    yield Verbatim(summary.command)
    yield Verbatim(summary.file)


def _each(summary: StudySummary, tables: Mapping[str, Table]) -> Iterator[Block]:
    """A table of each group, with its name where there are several."""
    for name, table in tables.items():
        if name:
            yield Heading(f"{', '.join(summary.others)}: {name}", 3)
        yield table


def _scores(summary: StudySummary, groups: Mapping[str, Group]) -> Table:
    first = next(iter(next(iter(groups.values())).values()))[0]
    names = [score.name for score in first.scores]
    measured = [*names, "seeds", "hidden", "parameters", "words/s", "minutes", "updates"]
    rows = [
        [*_labels(summary, name, system), *_results(trials, names)]
        for name, group in groups.items()
        for system, trials in group.items()
    ]
    return Table([*_columns(summary), *measured], rows, len(_columns(summary)))


def _columns(summary: StudySummary) -> list[str]:
    """The column heads of `_labels`."""
    return [", ".join(summary.others), summary.systems] if summary.others else [summary.systems]


def _labels(summary: StudySummary, group: str, system: str) -> list[str]:
    """The first cells of a row."""
    return [group, system] if summary.others else [system]


def _results(trials: Sequence[Trial], names: Sequence[str]) -> Iterator[str]:
    means = mean_scores(trials)
    yield from (str(means[name]) for name in names)
    yield from (str(len(trials)), trials[0].hidden, f"{trials[0].parameters:,}")
    yield _number([trial.speed for trial in trials])
    yield f"{MeanAndDeviation.of([trial.last('seconds') for trial in trials]).mean / 60:.1f}"
    yield _number([trial.last("update") for trial in trials])


def _number(values: Sequence[float]) -> str:
    mean = MeanAndDeviation.of(values).mean
    return "-" if math.isnan(mean) else f"{mean:,.0f}"


def _differences(summary: StudySummary, groups: Mapping[str, Group], name: str) -> Table:
    rows = [
        [
            *_labels(summary, label, system),
            *_compared(group.get(summary.baseline, []), trials, summary.metric),
        ]
        for label, group in groups.items()
        for system, trials in group.items()
        if system != summary.baseline
    ]
    head = [*_columns(summary), f"difference in {name}", "p, seed by seed", "significant"]
    return Table(head, rows, len(_columns(summary)))


def _compared(baseline: Sequence[Trial], other: Sequence[Trial], metric: str) -> list[str]:
    difference = compare_systems(baseline, other, metric)
    if difference is None:
        return ["-", "-", "no run of the baseline with the same seed and test set"]
    return [
        str(MeanAndDeviation.of(difference.differences)),
        ", ".join(f"{p:.3f}" for p in difference.p_values),
        difference.verdict,
    ]


Buckets = Mapping[str, Mapping[Bucket, MeanAndDeviation]]
"""Scores by system and bucket."""


def _lengths(summary: StudySummary, group: Group) -> Buckets:
    return {system: length_scores(trials, summary.metric) for system, trials in group.items()}


def _words(group: Group) -> Buckets:
    return {system: word_scores(trials) for system, trials in group.items()}


def _bucketed(what: str, scores: Buckets) -> Table:
    """A row per bucket, a column per system."""
    rows = list(dict.fromkeys(bucket for of_system in scores.values() for bucket in of_system))
    nothing = MeanAndDeviation.of([])
    return Table(
        [what, *scores],
        [[str(bucket), *(str(column.get(bucket, nothing)) for column in scores.values())] for bucket in rows],
    )


class _Figure(NamedTuple):
    x: str
    panels: Mapping[str, Sequence[Curve]]
    log_x: bool = False


def _pictures(directory: Path, figures: Iterable[_Figure]) -> Iterator[Block]:
    """Draw the figures; without matplotlib, a line that reports it."""
    folder = directory / "pictures"
    folder.mkdir(exist_ok=True)
    yield Heading("Pictures")
    for number, figure in enumerate(figures, 1):
        file = folder / f"{number}.svg"
        try:
            draw_curves(file, figure.panels, x=figure.x, one_scale=True, log_x=figure.log_x)
        except UsageError as error:
            yield Paragraph(f"No pictures: {error}")
            return
        yield Picture(file, f"{figure.x}: {', '.join(figure.panels)}")


def _figures(
    summary: StudySummary, groups: Mapping[str, Group], lengths: Mapping[str, Buckets], name: str
) -> Iterator[_Figure]:
    """The score over the other axis, if its values are numbers, by sentence length, and during training."""
    over = curves_over_groups(groups, name)
    if over:
        points = [point for one in over for point in one.x]
        yield _Figure(", ".join(summary.others), {name: over}, log_x=0 < DECADE * min(points) <= max(points))
    by_length = {
        f"{name} {group}".strip(): [
            mean_curve(system, [bucket.first for bucket in scores], [*scores.values()])
            for system, scores in systems.items()
        ]
        for group, systems in lengths.items()
    }
    yield _Figure("source words, at least", by_length)
    metric = validation_metric(next(iter(next(iter(groups.values())).values())), summary.metric)
    grown = {
        f"{metric} {group}".strip(): [
            validation_curve(system, trials, metric) for system, trials in systems.items()
        ]
        for group, systems in groups.items()
    }
    yield _Figure("update", grown)
