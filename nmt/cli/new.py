"""`nmt new`: create a training directory from files of sentence pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import CountOption, NumberOption
from nmt.cli.paths import CHECKED_LATER, READ
from nmt.cli.progress import spinner
from nmt.cli.terminal import echo_note, format_table
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.lab.project.facts import ProjectFacts


def new(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory to create."), CHECKED_LATER],
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS...",
            help="Files of pairs (.tsv, .jsonl, .tmx, .parquet), two files of lines, or prefixes of two "
            "files; several are joined.",
        ),
        READ,
    ],
    src: Annotated[str | None, typer.Option(metavar="DE", help="Source language.")] = None,
    tgt: Annotated[str | None, typer.Option(metavar="EN", help="Target language.")] = None,
    minutes: Annotated[
        float | None, NumberOption(min=0.1, help="Time for training that epochs and model are fitted to.")
    ] = None,
    held_out: Annotated[
        int | None, CountOption(help="Pairs in validation, and in test; by default by size.")
    ] = None,
    seed: Annotated[int, CountOption(min=0, max=1 << 53, help="Seed of the split.")] = 1,
) -> None:
    """Create a training directory from sentence pairs.

    Checks the pairs, removes bad ones, splits them into training, validation
    and test pairs without leakage, chooses a recipe by their number and
    languages, and measures how long training takes on this machine. DIR is
    complete or absent; `nmt run DIR` trains and tests.
    """
    from nmt.data.splitting import SplitSettings
    from nmt.lab.project.build import create_project
    from nmt.lab.project.pair_files import find_pair_files

    if directory.is_file():
        raise UsageError(
            f"{directory} is a file: first name the directory to create, as nmt new DIR {directory}"
        )
    split = SplitSettings(seed, held_out)
    with spinner("reading the pairs") as show:
        facts = create_project(directory, find_pair_files(pairs, src, tgt), split, minutes, show)
    for line in _format_summary(facts, directory):
        typer.echo(line)


def _format_summary(facts: "ProjectFacts", directory: Path) -> list[str]:
    """Describe the new directory in a few lines, and print warnings to stderr."""
    from nmt.lab.project.report import describe_time, list_findings
    from nmt.text_encoding import quote

    findings = [finding for _, finding in list_findings(facts) if finding.level != "note"]
    for finding in findings:
        echo_note(f"{finding.level}: {finding.what} ({finding.where or 'see the report'})")
    parts = ", ".join(f"{pairs:,} {part}" for part, pairs in facts.split.parts.items())
    dropped = facts.cleaning.seen - facts.cleaning.kept
    leaking = facts.split.training.seen - facts.split.training.kept
    rows = [
        ["languages", f"{' to '.join(facts.inputs.languages)} {facts.inputs.origin}"],
        ["pairs", f"{facts.cleaning.seen:,}; {dropped:,} removed by cleaning"],
        ["split", f"{parts}; {leaking:,} left out as too similar to held-out pairs"],
        ["training", describe_time(facts)],
        ["report", f"{directory / 'report.md'}"],
    ]
    return [format_table(rows, align="ll", widths=(9,)), f"\nnow train it: nmt run {quote(str(directory))}"]
