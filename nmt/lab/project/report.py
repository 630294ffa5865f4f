"""The documents of a project directory: the report on its pairs, and the instructions."""

from collections.abc import Iterator
from pathlib import Path

from nmt.console import format_clock
from nmt.data.pair_rules import FilterReport
from nmt.errors import escape_controls
from nmt.files import write_file
from nmt.lab.doctor.finding import Finding, format_count
from nmt.lab.document import Block, heading, paragraph, preformatted, table, to_html, to_markdown
from nmt.lab.project.facts import ProjectFacts
from nmt.operating_system import count_cores
from nmt.text_encoding import quote

RULE = (
    "Test and validation pairs were drawn first. Pairs that share a sentence, directly or through other "
    "pairs, form a group; sentences are compared without case, digits and punctuation. Of a drawn group one "
    "pair is held out, and the others are removed. So is every training pair whose source or target is a "
    "near copy of a held-out sentence: their sets of character n-grams (2 characters in Chinese, Japanese, "
    "Korean and similar scripts, otherwise 4) have a Jaccard similarity of at least {similarity:g}."
)


def write_documents(facts: ProjectFacts, folder: Path, directory: Path) -> None:
    """Write report.md, report.html and README.md."""
    blocks = list(_build_report(facts, directory))
    write_file(folder / "report.md", to_markdown(blocks).encode())
    write_file(folder / "report.html", to_html(blocks, str(directory.name)).encode())
    write_file(folder / "README.md", to_markdown(list(_build_instructions(facts, directory))).encode())


def describe_time(facts: ProjectFacts) -> str:
    """Describe how long training takes on this machine, as measured."""
    assert facts.fitted is not None
    cost, load, cores = facts.fitted.cost, facts.fitted.load, count_cores()
    text = (
        f"{facts.fitted.updates:,} updates of {cost.seconds_per_update:.3f} s: about "
        f"{format_clock(facts.fitted.seconds)}, without validations (measured on this machine)"
    )
    if load > cores / 2:
        processor = format_clock(facts.fitted.updates * cost.processor_seconds)
        text += f"; its load was {load:.1f} on {format_count(cores, 'core')}, an idle core takes {processor}"
    return text


def list_findings(facts: ProjectFacts) -> Iterator[tuple[str, Finding]]:
    """Yield every finding with its subject: a corpus, the languages, or training."""
    for corpus, findings in facts.findings:
        yield from ((str(corpus), finding) for finding in findings)
    yield from (("languages", finding) for finding in facts.language_findings)
    if facts.fitted is not None:
        yield from (("training", finding) for finding in facts.fitted.findings)


def _build_report(facts: ProjectFacts, directory: Path) -> Iterator[Block]:
    src, tgt = facts.inputs.languages
    yield heading(f"{directory.name}: {src} to {tgt}", 1)
    yield heading("Files")
    yield paragraph(f"Languages: {src} to {tgt} {facts.inputs.origin}.")
    yield preformatted("\n".join(escape_controls(str(corpus)) for corpus in facts.inputs.corpora))
    yield heading("Findings")
    findings = list(list_findings(facts))
    for where, finding in findings:
        lines = [f"{finding.level}: {finding.what}", finding.where or where]
        lines += [finding.example, finding.advice and f"Try: {finding.advice}"]
        yield preformatted("\n".join(escape_controls(line, keep="\n") for line in lines if line))
    if not findings:
        yield paragraph("No problems.")
    yield heading("Removed pairs")
    yield from _build_counts(facts.cleaning)
    yield heading("Split")
    parts = [[part, f"{pairs:,}"] for part, pairs in facts.split.parts.items()]
    yield table(["part", "pairs"], parts)
    yield paragraph(RULE.format(similarity=facts.split_settings.similarity))
    yield paragraph(
        f"{facts.split.groups:,} groups, the largest of {facts.split.largest_group:,} pairs. The seed is "
        f"{facts.split_settings.seed}: the same pairs are always split in the same way, and if pairs are "
        "added, most of the held-out sentences stay the same."
    )
    yield from _build_counts(facts.split.training)
    if facts.split.examples:
        yield paragraph("Examples of near copies, with the held-out sentences:")
        pairs = [[escape_controls(text) for text in pair] for pair in facts.split.examples]
        yield table(["training sentence", "held-out sentence, without case and punctuation"], pairs, names=2)
    yield heading("Training")
    yield paragraph(f"Comments in recipe.yaml explain its settings. {describe_time(facts)}.")


def _build_counts(report: FilterReport) -> Iterator[Block]:
    yield paragraph(f"Kept {report.kept:,} of {report.seen:,} pairs.")
    if report.dropped:
        rows = [[reason, f"{pairs:,}", f"{line:,}"] for reason, (pairs, line) in report.dropped.items()]
        yield table(["left out", "pairs", "first pair"], rows)


def _build_instructions(facts: ProjectFacts, directory: Path) -> Iterator[Block]:
    src, tgt = facts.inputs.languages
    name = quote(str(directory))
    commands = {
        f"nmt run {name}": "train and test; Ctrl-C stops, the same command resumes",
        f"nmt translate {name}/run -i in.{src} -o out.{tgt}": "",
        f"nmt doctor {name}/run": "what to improve",
        f"nmt tune {name}/run --write": "choose beam and length penalty, calibrate --quality",
        f"nmt serve {name}/run": "translate on a web page and for other programs",
        f"nmt average {name}/run -o {quote(f'{directory}-model')}": "a model directory to share",
    }
    yield heading(f"{directory.name}: a translator from {src} to {tgt}", 1)
    yield paragraph(
        "report.md lists the problems of the pairs and what was removed, recipe.yaml explains each setting, "
        "and split.json records the split. From the directory in which nmt new was run:"
    )
    yield preformatted(
        "\n".join(
            f"{command:{max(map(len, commands)) + 3}}{comment and '# ' + comment}".rstrip()
            for command, comment in commands.items()
        )
    )
    yield paragraph(f"Training takes {describe_time(facts)}.")
