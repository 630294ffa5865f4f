"""The report of a study as Markdown and as one HTML page."""

import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt import __version__
from nmt.errors import DataError, NmtError
from nmt.evaluation.buckets import Bucket
from nmt.evaluation.metrics import LEVELS, METRICS
from nmt.files import read_purpose, write_file
from nmt.lab.document import (
    Block,
    contents,
    heading,
    paragraph,
    picture,
    preformatted,
    table,
    to_html,
    to_markdown,
)
from nmt.lab.figure import Curve, draw_curves
from nmt.lab.study.definition import StudyDefinition, StudyMember, find_study_file
from nmt.lab.study.trials import (
    Group,
    MeanAndDeviation,
    Trial,
    average_scores,
    build_group_curves,
    build_mean_curve,
    build_validation_curve,
    choose_validation_metric,
    compare_systems,
    group_trials,
    read_trials,
    score_by_frequency,
    score_by_length,
)

DECADE = 10  # ratio of the largest to the smallest value of an axis from which it is logarithmic


class StudySummary(NamedTuple):
    """The content of a report apart from the results."""

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
    """Write the report of all finished members, and return the HTML page; DataError if none has finished.

    `words` are the arguments of the command line: the study, its settings and options.
    """
    name, file = words[0], find_study_file(words[0])
    trials, missing = read_trials(directory, study, members)
    if not trials:
        raise DataError(f"no member of the study has finished: see {directory / 'members'}/*.log")
    summary = StudySummary(
        title=read_purpose(file) or Path(name).stem,
        systems=study.systems,
        baseline=next(iter(study.vary[study.systems])),
        others=[axis for axis in study.vary if axis != study.systems],
        metric=members[0].recipe.evaluation.metrics[0],
        members=len(members),
        command=f"nmt study run {shlex.join(words)}",
        file=file.read_text(encoding="utf-8"),
        missing=missing,
    )
    return write_report(directory, summary, trials)


def write_report(directory: Path, summary: StudySummary, trials: Sequence[Trial]) -> Path:
    """Write `report.md`, `report.html` and the folder `pictures`, and return the HTML page."""
    blocks = list(_ReportBuilder(directory, summary, trials).blocks())
    write_file(directory / "report.md", to_markdown(blocks).encode("utf-8", "backslashreplace"))
    write_file(directory / "report.html", to_html(blocks, summary.title).encode("utf-8", "backslashreplace"))
    return directory / "report.html"


Buckets = Mapping[str, Mapping[Bucket, MeanAndDeviation]]  # scores by system and bucket


class _ReportBuilder:
    """The blocks of a report, from the trials of a study."""

    def __init__(self, directory: Path, summary: StudySummary, trials: Sequence[Trial]) -> None:
        self.directory, self.summary, self.trials = directory, summary, trials
        self.groups = group_trials(trials)
        self.score_name = trials[0].scores[0].name
        self.lengths = self.by_system(lambda trials: score_by_length(trials, summary.metric))
        self.label_columns = [", ".join(summary.others)] * bool(summary.others) + [summary.systems]

    def by_system(
        self, score: Callable[[Sequence[Trial]], Mapping[Bucket, MeanAndDeviation]]
    ) -> Mapping[str, Buckets]:
        """Return the scores of each system of each group."""
        return {
            name: {system: score(trials) for system, trials in group.items()}
            for name, group in self.groups.items()
        }

    def blocks(self) -> Iterator[Block]:
        """Yield the answer, the contents, and the sections."""
        sections = {title: list(blocks) for title, blocks in self.sections().items()}
        sections = {title: blocks for title, blocks in sections.items() if blocks}
        yield heading(self.summary.title, 1)
        yield paragraph(
            f"The best {self.summary.systems} by {self.score_name} on the test set, and how far it is ahead "
            "of the next one. Trust a lead that is significant in most seeds and larger than its deviation."
        )
        yield self.answer()
        yield paragraph(
            f"{len(self.trials)} of {self.summary.members} runs. ± is the standard deviation over seeds."
        )
        yield contents([*sections])
        for title, blocks in sections.items():
            yield heading(title)
            yield from blocks

    def sections(self) -> Mapping[str, Iterable[Block]]:
        """Return the sections by their titles."""
        name, summary = self.score_name, self.summary
        signatures = "\n".join(score.full_signature for score in self.trials[0].scores)
        return {
            "Scores": [self.scores(), preformatted(signatures)],
            f"Against {summary.baseline}": [
                paragraph(
                    f"The difference in {name}, and the number of seeds in which it is significant for the "
                    "choice of test sentences (paired bootstrap, Koehn 2004; sacreBLEU's one-sided p below "
                    f"{LEVELS['bs']}). p does not cover the variation between seeds, which is the deviation."
                ),
                self.differences(),
            ],
            "Pictures": self.pictures(),
            "By sentence length": [
                paragraph(
                    f"{name} of the test sentences by number of source words (tokenizer "
                    f"{self.trials[0].source_tokenize})."
                ),
                *self.bucket_tables("words", self.lengths),
            ],
            "By word frequency": [
                paragraph("F1 of the reference's words (%), by the word's frequency in the training text."),
                *self.bucket_tables("frequency", self.by_system(score_by_frequency)),
            ],
            "Cost": [
                paragraph(
                    "Speed and minutes are those of training only, measured on this machine with the other "
                    "processes that ran on it."
                ),
                self.costs(),
            ],
            "Runs without results": [table(["run", "reason"], [*summary.missing.items()], 2)]
            if summary.missing
            else [],
            "The study": [
                paragraph(f"Written by nmt {__version__} with this command and this study file."),
                preformatted(summary.command),
                preformatted(summary.file),
            ],
        }

    def answer(self) -> Block:
        """Return a table of the best system of each group, with its lead over the next."""
        rows = []
        for name, group in self.groups.items():
            means = {system: average_scores(trials)[self.score_name] for system, trials in group.items()}
            sign = 1 if METRICS[self.summary.metric].higher_is_better else -1
            best, *others = sorted(group, key=lambda system: -sign * means[system].mean)
            row = [*[name] * bool(self.summary.others), best, str(means[best])]
            if others and (lead := compare_systems(group[others[0]], group[best], self.summary.metric)):
                row += [others[0], str(MeanAndDeviation.from_values(lead.differences)), lead.verdict]
            rows.append([*row, *["-"] * (len(self.label_columns) + 4 - len(row))])
        columns = [*self.label_columns[:-1], f"best {self.summary.systems}", self.score_name]
        return table([*columns, "next", "lead", "significant"], rows, len(self.label_columns))

    def system_table(self, columns: Sequence[str], cells: Callable[[Group, str], Sequence[str]]) -> Block:
        """Return a table with a row of cells for each system of each group, unless there are none."""
        rows = [
            [*[name] * bool(self.summary.others), system, *row]
            for name, group in self.groups.items()
            for system in group
            if (row := cells(group, system))
        ]
        return table([*self.label_columns, *columns], rows, len(self.label_columns))

    def scores(self) -> Block:
        names = [score.name for score in self.trials[0].scores]

        def cells(group: Group, system: str) -> list[str]:
            means = average_scores(group[system])
            return [*(str(means[name]) for name in names), str(len(group[system]))]

        return self.system_table([*names, "seeds"], cells)

    def costs(self) -> Block:
        def cells(group: Group, system: str) -> list[str]:
            trials = group[system]
            return [
                *(trials[0].hidden, f"{trials[0].parameters:,}"),
                _format_mean([trial.speed for trial in trials]),
                f"{MeanAndDeviation.from_values([trial.last('seconds') for trial in trials]).mean / 60:.1f}",
                _format_mean([trial.last("update") for trial in trials]),
            ]

        return self.system_table(["hidden", "parameters", "words/s", "minutes", "updates"], cells)

    def differences(self) -> Block:
        def cells(group: Group, system: str) -> list[str]:
            if system == self.summary.baseline:
                return []
            baseline = group.get(self.summary.baseline, [])
            difference = compare_systems(baseline, group[system], self.summary.metric)
            if difference is None:
                return ["-", "-", "no run of the baseline with the same seed and test set"]
            p_values = ", ".join(f"{p:.3f}" for p in difference.p_values)
            return [str(MeanAndDeviation.from_values(difference.differences)), p_values, difference.verdict]

        columns = [f"difference in {self.score_name}", "p, seed by seed", "significant"]
        return self.system_table(columns, cells)

    def bucket_tables(self, column: str, groups: Mapping[str, Buckets]) -> Iterator[Block]:
        """Yield a table for each group, with its name if there are several."""
        missing = MeanAndDeviation.from_values([])
        for name, scores in groups.items():
            if name:
                yield heading(f"{', '.join(self.summary.others)}: {name}", 3)
            buckets = dict.fromkeys(bucket for of_system in scores.values() for bucket in of_system)
            yield table(
                [column, *scores],
                [[str(b), *(str(system.get(b, missing)) for system in scores.values())] for b in buckets],
            )

    def pictures(self) -> Iterator[Block]:
        """Yield plots of the score: over the other axis if it is numeric, by length, during training."""
        folder = self.directory / "pictures"
        folder.mkdir(exist_ok=True)
        for number, (x, panels, log_x) in enumerate(self.panels(), 1):
            file = folder / f"{number}.svg"
            try:
                draw_curves(file, panels, x=x, one_scale=True, log_x=log_x)
            except NmtError as error:
                yield paragraph(f"No pictures: {error}")
                return
            yield picture(file, self.directory, f"{x}: {', '.join(panels)}")

    def panels(self) -> Iterator[tuple[str, dict[str, list[Curve]], bool]]:
        over_groups = build_group_curves(self.groups, self.score_name)
        if over_groups:
            points = [point for curve in over_groups for point in curve.x]
            log_x = 0 < DECADE * min(points) <= max(points)
            yield ", ".join(self.summary.others), {self.score_name: over_groups}, log_x
        by_length = {
            f"{self.score_name} {group}".strip(): [
                build_mean_curve(system, [bucket.first for bucket in scores], [*scores.values()])
                for system, scores in systems.items()
            ]
            for group, systems in self.lengths.items()
        }
        yield "source words, at least", by_length, False
        metric = choose_validation_metric(
            next(iter(next(iter(self.groups.values())).values())), self.summary.metric
        )
        during_training = {
            f"{metric} {group}".strip(): [
                build_validation_curve(system, trials, metric) for system, trials in systems.items()
            ]
            for group, systems in self.groups.items()
        }
        yield "update", during_training, False


def _format_mean(values: Sequence[float]) -> str:
    mean = MeanAndDeviation.from_values(values).mean
    return "-" if math.isnan(mean) else f"{mean:,.0f}"
