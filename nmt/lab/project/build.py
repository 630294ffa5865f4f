"""Creation of a project directory: survey, cleaning and split of the pairs, the recipe and its cost."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt import __version__
from nmt.data.pair_rules import CleaningRules, FilterReport, clean_pairs, join_reports
from nmt.data.pairs import Corpus, open_pair_writer, read_pairs
from nmt.data.splitting import Pair, SplitSettings, split_pairs_by_group
from nmt.errors import DataError
from nmt.files import atomic_directory, file_sha256, write_file
from nmt.lab.doctor.corpus_checks import check_corpus
from nmt.lab.doctor.finding import Finding
from nmt.lab.doctor.survey import Survey
from nmt.lab.project.choices import (
    MANY_CHARACTERS,
    ChosenSetting,
    CorpusFacts,
    choose_settings,
    write_recipe,
)
from nmt.lab.project.facts import ProjectFacts
from nmt.lab.project.fitting import fit_settings
from nmt.lab.project.languages import check_language, check_order
from nmt.lab.project.pair_files import PairInputs
from nmt.lab.project.report import write_documents
from nmt.outputs import check_new_directory
from nmt.recipe.reader import RECIPE, SPLIT
from nmt.reservoir import Reservoir
from nmt.text_encoding import quote

FEWEST_PAIRS = 100
"""Clean pairs below which no project is created."""
COMMON_SCRIPT = 0.05
"""Share of the lines of a side from which their script counts as one of the scripts of the side."""
SCRIPT_SHARE = 0.3
"""Share of the letters of a side that must be in its scripts."""
FEW_PAIRS = 500
"""Clean pairs below which a warning is reported."""
SAMPLED = 500
"""Pairs whose languages are checked."""
COUNTED = 200_000
"""Training pairs whose characters are counted."""
LONGEST_SIDE = 10_000
"""Characters of a side above which a pair is removed: no recipe trains on so long a line."""
USUAL_LENGTH, MOST_TOKENS = 100, 300
"""The default of data.max_length, and its greatest value."""
LETTER_TOKEN, SYLLABLE_TOKEN = 3.0, 1.2
"""Characters in a token, roughly: of an alphabet, and of scripts with thousands of characters."""

Show = Callable[[str], object]


def create_project(
    directory: Path, inputs: PairInputs, split: SplitSettings, minutes: float | None, show: Show
) -> ProjectFacts:
    """Create a directory with the split pairs, a recipe, a report and instructions; it is complete or absent.

    With `minutes`, training is fitted to that time; `show` gets the name of each step. Raises
    UsageError if the directory exists, DataError for files that cannot be read or have too few good pairs.
    """
    check_new_directory(directory, inputs.files, "DIR")
    facts = ProjectFacts(inputs, split)
    with atomic_directory(directory) as folder:
        show("looking at the pairs")
        _survey_inputs(facts)
        show("cleaning the pairs")
        clean = _write_clean_pairs(facts, folder)
        show("splitting the pairs")
        _write_parts(facts, clean, folder / "data")
        clean.unlink()
        show("measuring the speed of training")
        chosen = [*_choose_data_settings(facts), *choose_settings(_build_corpus_facts(facts))]
        facts.fitted = fit_settings(chosen, folder, facts.split.parts["train"], minutes)
        write_recipe(folder / RECIPE, _format_header(facts, directory), facts.fitted.settings)
        write_file(folder / SPLIT, (json.dumps(_describe_split(facts, folder), indent=1) + "\n").encode())
        write_documents(facts, folder, directory)
    return facts


def _survey_inputs(facts: ProjectFacts) -> None:
    """Survey every corpus as the doctor does; DataError if one cannot be read or is not parallel."""
    scripts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    lengths: tuple[list[NDArray[np.int64]], ...] = ([], [])
    for corpus in facts.inputs.corpora:
        survey = Survey(corpus)
        if survey.failure is not None:
            raise DataError(survey.failure)
        facts.findings.append((corpus, check_corpus(survey)))
        for side in survey.sides:
            counts = np.bincount(
                np.asarray(survey.scripts[side], np.int64), minlength=len(survey.script_names)
            )
            for name, count in zip(survey.script_names, counts.tolist(), strict=True):
                if name is not None and count:
                    scripts[side][name] = scripts[side].get(name, 0) + count
            lengths[side].append(np.asarray(survey.lengths[side], np.int64))
    src, tgt = (np.concatenate([[0], *side]) for side in lengths)
    facts.longest = int(np.quantile(src, 0.99)), int(np.quantile(tgt, 0.99))
    facts.scripts = (_find_common_scripts(scripts[0]), _find_common_scripts(scripts[1]))


def _find_common_scripts(counts: dict[str, int]) -> list[str]:
    """Return the scripts of a side, the most frequent first."""
    common = [name for name, count in counts.items() if count >= COMMON_SCRIPT * sum(counts.values())]
    return sorted(common, key=lambda name: -counts[name])


def _write_clean_pairs(facts: ProjectFacts, folder: Path) -> Path:
    """Write the good pairs of all corpora to one file; DataError if there are too few."""
    sides = facts.scripts
    known = tuple(frozenset([*side, *_list_kana(side)]) for side in sides)
    scripts = (known[0], known[1]) if all(known) else None
    rules = CleaningRules(max_characters=LONGEST_SIDE, scripts=scripts, share=SCRIPT_SHARE)
    corpora, file = facts.inputs.corpora, folder / "pairs.tsv"
    reports = [FilterReport() for _ in corpora]
    sample = Reservoir[Pair](SAMPLED, seed=facts.split_settings.seed)
    with open_pair_writer(str(file), facts.inputs.languages, inputs=facts.inputs.files) as write:
        for pair in clean_pairs(corpora, rules, reports):
            write(*pair)
            sample.add(pair)
    facts.cleaning = join_reports(reports)
    if facts.cleaning.kept < FEWEST_PAIRS:
        raise DataError(f"too few good pairs, at least {FEWEST_PAIRS} are needed: {facts.cleaning}")
    if facts.cleaning.kept < FEW_PAIRS:
        what = f"{facts.cleaning.kept:,} pairs are few: most words of new text will be unknown to the model"
        facts.language_findings.append(
            Finding("warning", what, facts.inputs.describe_files(), "", "add pairs")
        )
    facts.language_findings += check_order(
        sample.items, facts.inputs.languages, facts.inputs.describe_files()
    )
    _raise_errors(facts.language_findings)
    if any(finding.level == "error" for _, findings in facts.findings for finding in findings):
        _raise_errors(check_corpus(Survey(Corpus((file,), languages=facts.inputs.languages))))
    for side, language in enumerate(facts.inputs.languages):
        where = facts.inputs.describe_files(side)
        facts.language_findings += check_language([pair[side] for pair in sample.items], language, where)
    return file


def _raise_errors(findings: Sequence[Finding]) -> None:
    """Raise DataError for the first error, if there is one."""
    for finding in findings:
        if finding.level == "error":
            raise DataError("\n".join(filter(None, [finding.what, finding.example, finding.advice])))


def _list_kana(scripts: Sequence[str]) -> list[str]:
    return ["Hiragana", "Katakana"] if "Han" in scripts else []


def _write_parts(facts: ProjectFacts, clean: Path, folder: Path) -> None:
    """Write the parts of the split as pairs of files."""
    corpus = Corpus((clean,), languages=facts.inputs.languages)
    folder.mkdir()
    counted = 0
    with ExitStack() as stack:
        write = {
            part: stack.enter_context(open_pair_writer(str(folder / part), facts.inputs.languages, inputs=[]))
            for part in facts.split.parts
        }
        split = facts.split_settings
        for part, pair in split_pairs_by_group(lambda: read_pairs(corpus), split, facts.split):
            write[part](*pair)
            if part == "train" and counted < COUNTED:
                counted += 1
                for characters, text in zip(facts.characters, pair, strict=True):
                    characters.update(text)
    train, test = facts.split.parts["train"], facts.split.parts["test"]
    if train < test:
        raise DataError(
            f"only {train:,} pairs are left for training, {test:,} for the test: give more pairs, or a "
            "smaller --held-out"
        )


def _build_corpus_facts(facts: ProjectFacts) -> CorpusFacts:
    main = [side[0] if side else None for side in facts.scripts]
    return CorpusFacts(facts.split.parts["train"], (main[0], main[1]), facts.characters)


def _choose_data_settings(facts: ProjectFacts) -> Iterator[ChosenSetting]:
    """Yield the settings that depend on the files and the machine only."""
    src, tgt = facts.inputs.languages
    yield ChosenSetting("data.root", "data")
    yield ChosenSetting("data.src", src)
    yield ChosenSetting("data.tgt", tgt)
    yield from (ChosenSetting(f"data.{part}", part) for part in facts.split.parts)
    scripts = _build_corpus_facts(facts).scripts
    tokens = max(
        length / (SYLLABLE_TOKEN if script in MANY_CHARACTERS else LETTER_TOKEN)
        for length, script in zip(facts.longest, scripts, strict=True)
    )
    if tokens > USUAL_LENGTH:
        comment = f"tokens; 99% of the lines have at most {max(facts.longest):,} characters"
        yield ChosenSetting("data.max_length", min(MOST_TOKENS, 10 * round(tokens / 10)), comment)


def _format_header(facts: ProjectFacts, directory: Path) -> list[str]:
    src, tgt = facts.inputs.languages
    return [
        f"{src} to {tgt}, {facts.split.parts['train']:,} training pairs; made by nmt new {__version__}.",
        "",
        f"command:  nmt run {quote(str(directory))}",
        "",
        "Every value can be changed here, or on the command line: nmt run DIR training.stop_after=20e",
    ]


def _describe_split(facts: ProjectFacts, folder: Path) -> dict[str, object]:
    """Return the settings and counts of the split, and the checksums of its inputs and outputs."""
    split, report = facts.split_settings, facts.split
    files = sorted((folder / "data").iterdir())
    return {
        "format": 1,
        "nmt": __version__,
        "seed": split.seed,
        "similarity": split.similarity,
        "pairs": report.parts,
        "left out": {reason: count.pairs for reason, count in report.training.dropped.items()},
        "files": {f"data/{file.name}": file_sha256(file) for file in files},
        "made of": {str(file): file_sha256(file) for file in facts.inputs.files},
    }
