"""From what was asked for on the command line to a translation job."""

import sys
from dataclasses import replace
from pathlib import Path

from nmt.cli.options import Command
from nmt.decoding.ensemble import combine_jobs
from nmt.decoding.job import Job
from nmt.decoding.options import Options
from nmt.errors import UsageError
from nmt.evaluation.metrics import find_metric, sentence_utility
from nmt.export import directory


def prepare(command: Command) -> tuple[Job, str]:
    """The job of the models that write together, and what these are known by."""
    if command.mbr:
        find_metric(command.mbr)  # refused before models are loaded
    paths = (command.model, *(command.ensemble or []))
    loaded = (load(path, command.threads, shortlist=command.shortlist) for path in paths)
    jobs, names = zip(*loaded, strict=True)
    job = _changed(command, combine_jobs(jobs, _weights(command, len(jobs)), command.average))
    if command.lm:
        job, name = _fused(job, command.lm, command.lm_weight)
        names = (*names, name)
    return job, " and ".join(names)


def _fused(job: Job, path: Path, weight: float) -> tuple[Job, str]:
    """The job with a language model at its side, and what this is known by."""
    from nmt.recipe.artifact import fingerprint, load_language_model
    from nmt.recipe.tasks.language_model import fused

    found = load_language_model(path)
    return fused(job, found, weight), fingerprint(found)


def load(path: Path, threads: int, *, shortlist: bool = False) -> tuple[Job, str]:
    """One model's job, and what it is known by; an exported model is loaded without torch."""
    if directory.is_exported(path):
        if shortlist:
            raise UsageError(f"{path} is an exported model, which has no shortlist: leave --shortlist out")
        return directory.load(path, threads=threads), directory.fingerprint(path)
    import torch

    from nmt.recipe.artifact import fingerprint, load_translator, load_with_shortlist
    from nmt.recipe.build.translation_job import job

    torch.set_num_threads(threads)
    loaded = load_with_shortlist(path) if shortlist else load_translator(path)
    return job(loaded), fingerprint(loaded)


def _changed(command: Command, job: Job) -> Job:
    """The first model's job, changed where the command line says so."""
    interactive = command.source is None and sys.stdin.isatty()
    aligned = (command.details and job.attends) or command.alignments is not None
    return job._replace(
        options=_search(command, job.options, attention=aligned or command.unk_replace),
        longest_part=command.max_length,
        read_ahead=0 if interactive else command.read_ahead,
        n_best=command.n_best or 1,
        aligned=aligned,
        copy_unknown=command.unk_replace,
        utility=sentence_utility(command.mbr) if command.mbr else None,
    )


def _weights(command: Command, models: int) -> list[float] | None:
    if command.weights is None:
        return None
    try:
        return [float(weight) for weight in command.weights.split(",")]
    except ValueError:
        raise UsageError(
            f"--weights {command.weights}: expected {models} numbers, by comma, such as 2,1"
        ) from None


def _search(command: Command, recipes: Options, *, attention: bool) -> Options:
    """The recipe's search, changed where the command line says so."""
    sampled = command.sample or command.samples is not None
    wanted = command.samples or command.n_best or 1
    beam = command.beam or (recipes.beam if sampled else max(recipes.beam, wanted))
    by_reward = command.length_penalty_kind == "reward"
    penalty = recipes.length_penalty if command.length_penalty is None else command.length_penalty
    return replace(
        recipes,
        beam=beam,
        batch=command.batch or recipes.batch,
        n_best=beam if command.mbr and not sampled else wanted,
        normalisation="none" if by_reward else command.length_penalty_kind,
        length_penalty=0.0 if by_reward else penalty,
        word_reward=penalty if by_reward else 0.0,
        coverage_penalty=command.coverage_penalty,
        min_ratio=command.min_ratio,
        max_ratio=recipes.max_ratio if command.max_ratio is None else command.max_ratio,
        max_extra=recipes.max_extra if command.max_extra is None else command.max_extra,
        no_repeat_ngram=command.no_repeat_ngram,
        unk=not command.no_unk,
        attention=attention,
        groups=command.groups,
        diversity=command.diversity,
        sample=sampled,
        temperature=command.temperature,
        top_k=command.top_k,
        top_p=command.top_p,
        seed=command.seed,
    )
