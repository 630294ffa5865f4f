"""The report of a study: everything that its runs say of what was asked, as Markdown and as one HTML page."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt import __version__
from nmt.errors import UsageError
from nmt.evaluation.buckets import Bucket
from nmt.evaluation.metrics import LEVELS
from nmt.files import write_file
from nmt.lab.document import Block, Heading, Picture, Table, Text, Verbatim, markdown, page
from nmt.lab.figure import Curve, draw_curves
from nmt.lab.study.trials import (
    Group,
    Spread,
    Trial,
    curve,
    difference,
    grouped,
    length_scores,
    line,
    over_groups,
    spreads,
    validated,
    word_scores,
)

DECADE = 10
"""From the least to the greatest value of an axis that is drawn logarithmically."""


class Report(NamedTuple):
    """What a report is about."""

    title: str
    systems: str  # the axis that is compared
    baseline: str  # its value that the others are compared with
    others: Sequence[str]  # the axes whose values make the groups
    metric: str  # by which
    of: int  # members
    command: str  # that made it
    file: str  # the study as it is written
    missing: Mapping[str, str]  # members without a result, and why


def write(directory: Path, about: Report, trials: Sequence[Trial]) -> Path:
    """Write `report.md`, `report.html` and the folder `pictures`; gives the page."""
    blocks = list(_blocks(directory, about, trials))
    write_file(directory / "report.md", markdown(blocks, directory).encode())
    write_file(directory / "report.html", page(blocks, about.title).encode())
    return directory / "report.html"


def _blocks(directory: Path, about: Report, trials: Sequence[Trial]) -> Iterator[Block]:
    groups = grouped(trials)
    lengths = {name: _lengths(about, group) for name, group in groups.items()}
    name = trials[0].scores[0].name
    yield Heading(about.title, 1)
    yield Text(
        f"{len(trials)} of {about.of} runs. ± is the standard deviation over seeds; without it there was one "
        "seed. Speed and minutes are those of learning alone, on the machine and beside the processes that "
        "there were."
    )
    yield Heading("Scores")
    yield _scores(about, groups)
    yield Verbatim("\n".join(f"{score.name}|{score.signature}" for score in trials[0].scores))
    yield Heading(f"Against {about.baseline}")
    yield Text(
        f"The difference in {name}, and in how many seeds it is higher or lower by more than chance in the "
        f"choice of the test sentences (paired bootstrap, Koehn 2004; sacreBLEU's p, that of one side, is "
        f"below {LEVELS['bs']}). What another seed would give is not in p: it is in the deviation."
    )
    yield _differences(about, groups, name)
    yield from _pictures(directory, _figures(about, groups, lengths, name))
    yield Heading("By sentence length")
    yield Text(f"{name} of the test sentences with so many source words (tokenizer 13a).")
    yield from _each(about, {name: _bucketed("words", found) for name, found in lengths.items()})
    yield Heading("By word frequency")
    yield Text("F1 of the reference's words (%), by how often a word stands in the training text.")
    yield from _each(about, {name: _bucketed("seen", _words(group)) for name, group in groups.items()})
    if about.missing:
        yield Heading("Runs without a result")
        yield Table([about.systems, "last words"], [*about.missing.items()])
    yield Heading("The study")
    yield Text(f"Written by nmt {__version__} with this command and this file.")
    yield Verbatim(about.command)
    yield Verbatim(about.file)


def _each(about: Report, tables: Mapping[str, Table]) -> Iterator[Block]:
    """A table of each group, under its name where there are several."""
    for name, table in tables.items():
        if name:
            yield Heading(f"{', '.join(about.others)}: {name}", 3)
        yield table


def _scores(about: Report, groups: Mapping[str, Group]) -> Table:
    first = next(iter(next(iter(groups.values())).values()))[0]
    names = [score.name for score in first.scores]
    measured = [*names, "seeds", "hidden", "parameters", "words/s", "minutes", "updates"]
    rows = [
        [*_labels(about, name, system), *_measured(trials, names)]
        for name, group in groups.items()
        for system, trials in group.items()
    ]
    return Table([*_columns(about), *measured], rows, len(_columns(about)))


def _columns(about: Report) -> list[str]:
    """The heads over what `_labels` gives."""
    return [", ".join(about.others), about.systems] if about.others else [about.systems]


def _labels(about: Report, group: str, system: str) -> list[str]:
    """What a row of all groups is about."""
    return [group, system] if about.others else [system]


def _measured(trials: Sequence[Trial], names: Sequence[str]) -> Iterator[str]:
    found = spreads(trials)
    yield from (str(found[name]) for name in names)
    yield from (str(len(trials)), trials[0].hidden, f"{trials[0].parameters:,}")
    yield _number([trial.speed for trial in trials])
    yield f"{Spread.of([trial.last('seconds') for trial in trials]).mean / 60:.1f}"
    yield _number([trial.last("update") for trial in trials])


def _number(values: Sequence[float]) -> str:
    mean = Spread.of(values).mean
    return "-" if math.isnan(mean) else f"{mean:,.0f}"


def _differences(about: Report, groups: Mapping[str, Group], name: str) -> Table:
    rows = [
        [*_labels(about, label, system), *_compared(group.get(about.baseline, []), trials, about.metric)]
        for label, group in groups.items()
        for system, trials in group.items()
        if system != about.baseline
    ]
    head = [*_columns(about), f"difference in {name}", "p, seed by seed", "beyond chance"]
    return Table(head, rows, len(_columns(about)))


def _compared(baseline: Sequence[Trial], other: Sequence[Trial], metric: str) -> list[str]:
    found = difference(baseline, other, metric)
    if found is None:
        return ["-", "-", "no run of the baseline with its seed and its test set"]
    return [str(Spread.of(found.by)), ", ".join(f"{p:.3f}" for p in found.p_values), found.verdict]


Buckets = Mapping[str, Mapping[Bucket, Spread]]
"""Of each system."""


def _lengths(about: Report, group: Group) -> Buckets:
    return {system: length_scores(trials, about.metric) for system, trials in group.items()}


def _words(group: Group) -> Buckets:
    return {system: word_scores(trials) for system, trials in group.items()}


def _bucketed(what: str, found: Buckets) -> Table:
    """A row for each bucket, a column for each system."""
    rows = list(dict.fromkeys(bucket for of_system in found.values() for bucket in of_system))
    nothing = Spread.of([])
    return Table(
        [what, *found],
        [[str(bucket), *(str(column.get(bucket, nothing)) for column in found.values())] for bucket in rows],
    )


class _Figure(NamedTuple):
    x: str
    panels: Mapping[str, Sequence[Curve]]
    log_x: bool = False


def _pictures(directory: Path, figures: Iterable[_Figure]) -> Iterator[Block]:
    """What can be seen better than read; without matplotlib, a line that says so."""
    folder = directory / "pictures"
    folder.mkdir(exist_ok=True)
    yield Heading("Pictures")
    for number, figure in enumerate(figures, 1):
        file = folder / f"{number}.svg"
        try:
            draw_curves(file, figure.panels, x=figure.x, one_scale=True, log_x=figure.log_x)
        except UsageError as error:
            yield Text(f"No pictures: {error}")
            return
        yield Picture(file, f"{figure.x}: {', '.join(figure.panels)}")


def _figures(
    about: Report, groups: Mapping[str, Group], lengths: Mapping[str, Buckets], name: str
) -> Iterator[_Figure]:
    """The score by the other axis, if its values are numbers; by sentence length; as it grew."""
    over = over_groups(groups, name)
    if over:
        points = [point for one in over for point in one.x]
        yield _Figure(", ".join(about.others), {name: over}, log_x=0 < DECADE * min(points) <= max(points))
    by_length = {
        f"{name} {group}".strip(): [
            line(system, [bucket.first for bucket in found], [*found.values()])
            for system, found in systems.items()
        ]
        for group, systems in lengths.items()
    }
    yield _Figure("source words, at least", by_length)
    metric = validated(next(iter(next(iter(groups.values())).values())), about.metric)
    grown = {
        f"{metric} {group}".strip(): [curve(system, trials, metric) for system, trials in systems.items()]
        for group, systems in groups.items()
    }
    yield _Figure("update", grown)
