"""A study from its file to its report: members matched, trained, and what they found put together."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nmt.data.pairs import read_pairs
from nmt.data.sources import find_part, find_training_corpora
from nmt.data.text import read_lines
from nmt.errors import DataError, UsageError
from nmt.evaluation.buckets import frequencies
from nmt.evaluation.metrics import Score
from nmt.lab.curves import read_events, with_seconds
from nmt.lab.study.definition import Member, Study, read_study, study_file
from nmt.lab.study.matching import matched, parameters
from nmt.lab.study.report import Report, write
from nmt.lab.study.runner import ended, place
from nmt.lab.study.trials import Trial
from nmt.recipe.artifact import load_translator
from nmt.recipe.build.training import read_test
from nmt.recipe.schema import TranslationRecipe, to_json
from nmt.shipped import read_purpose


def members_of(name: str, overrides: Sequence[str]) -> tuple[Study, list[Member]]:
    """A study and its members, their models of one size where it says so."""
    study, members = read_study(name, overrides)
    if study.match == "parameters":
        members = _matched(study, members)
    return study, members


def _matched(study: Study, members: Sequence[Member]) -> list[Member]:
    """Each with the parameters of the baseline that is like it in all else."""
    baseline = next(iter(study.vary[study.systems]))
    wanted = {
        member.others(study.systems): parameters(member.recipe)
        for member in members
        if member.seed == study.seeds[0] and member.choices[study.systems] == baseline
    }
    found: dict[tuple[str, ...], TranslationRecipe] = {}
    for member in members:
        choice = tuple(member.choices.values())
        if choice not in found:
            here = wanted[member.others(study.systems)]
            is_baseline = member.choices[study.systems] == baseline
            found[choice] = member.recipe if is_baseline else matched(member.recipe, here)
    return [
        member._replace(recipe=replace(found[tuple(member.choices.values())], seed=member.seed))
        for member in members
    ]


def look_for_data(members: Sequence[Member]) -> None:
    """DataError or UsageError, before anything is trained, if pairs that a member needs are not there."""
    for recipe in {to_json(member.recipe.data): member.recipe for member in members}.values():
        find_training_corpora(recipe.data)
        find_part(recipe.data, "valid")
        find_part(recipe.data, "test")


def report(words: Sequence[str], directory: Path, study: Study, members: Sequence[Member]) -> Path:
    """Write the report on the members that have ended well; gives the HTML page. DataError if none has.

    `words` are those of the command line: the study, and the settings and options beside it.
    """
    name = words[0]
    trials, missing = _trials(directory, study, members)
    if not trials:
        raise DataError(f"no member of the study has come to its end: see {directory / 'members'}/*.log")
    about = Report(
        title=read_purpose(study_file(name)) or Path(name).stem,
        systems=study.systems,
        baseline=next(iter(study.vary[study.systems])),
        others=[axis for axis in study.vary if axis != study.systems],
        metric=members[0].recipe.evaluation.metrics[0],
        of=len(members),
        command=f"nmt study run {shlex.join(words)}",
        file=study_file(name).read_text(encoding="utf-8"),
        missing=missing,
    )
    return write(directory, about, trials)


def _trials(directory: Path, study: Study, members: Sequence[Member]) -> tuple[list[Trial], dict[str, str]]:
    """What the members have found, and why the others have nothing to say."""
    trials: list[Trial] = []
    missing: dict[str, str] = {}
    known: dict[str, Counter[str]] = {}
    for member in members:
        end = ended(directory, member)
        if end is None or not end.well:
            missing[member.name] = end.said if end else "not trained yet"
            continue
        try:
            trials.append(trial(directory, study, member, known))
        except (DataError, UsageError, OSError, ValueError) as error:
            missing[member.name] = f"its run was damaged since: {error}"
    return trials, missing


def trial(directory: Path, study: Study, member: Member, known: dict[str, Counter[str]]) -> Trial:
    """What a member found that was trained and tested; `known` keeps the words of each training text."""
    run, recipe = place(directory, member).run, member.recipe
    sources, refs = zip(*read_test(recipe), strict=True)
    model = load_translator(run).model
    pairs = to_json(recipe.data)
    if pairs not in known:
        known[pairs] = frequencies(
            tgt for found in find_training_corpora(recipe.data) for _, tgt in read_pairs(found)
        )
    scores = json.loads((run / "scores.json").read_bytes())
    return Trial(
        system=member.choices[study.systems],
        group=", ".join(member.others(study.systems)),
        seed=member.seed,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        hidden=f"{recipe.encoder.hidden} + {recipe.decoder.hidden}",
        scores=[Score(**found) for found in scores],
        sources=sources,
        refs=refs,
        hyps=list(read_lines(run / "test.hyp")),
        known=known[pairs],
        events=with_seconds(run, read_events(run)),
        lowercase=recipe.evaluation.lowercase,
    )
