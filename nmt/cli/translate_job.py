"""The models, the search and the input lines of `nmt translate`, from its options."""

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nmt.api import loading
from nmt.cli.options import parse_numbers
from nmt.cli.translate_options import TranslateOptions
from nmt.data.pipes import PipeLines, open_pipe
from nmt.data.text import COMPRESSIONS, count_lines, iterate_lines, open_file, read_lines_leniently
from nmt.decoding import io, shards
from nmt.decoding.ensemble import combine_jobs
from nmt.decoding.glossary import read_glossary
from nmt.decoding.job import Job, Line, add_constraints, number_lines
from nmt.decoding.options import Options
from nmt.errors import DataError, UsageError
from nmt.evaluation.metrics import find_metric, sentence_utility
from nmt.evaluation.quality import request_quality

SAME_NAMES = (
    *("batch", "max_ratio", "max_extra", "coverage_penalty", "min_ratio", "no_repeat_ngram", "groups"),
    *("diversity", "temperature", "top_k", "top_p", "seed", "suggestion_margin"),
)
"""Options of the search that have the same name in `nmt translate`."""


def prepare(options: TranslateOptions) -> tuple[Job, str]:
    """Load the models, and return their job and their fingerprints."""
    if options.mbr:
        find_metric(options.mbr)  # refuses an unknown metric before models are loaded
    paths = (options.model, *(options.ensemble or []))
    load = partial(load_job, threads=options.threads, shortlist=options.shortlist, int8=options.int8)
    loaded = [load(path) for path in paths]
    jobs, fingerprints = [one.job for one in loaded], [one.fingerprint() for one in loaded]
    job = _configure_job(options, combine_jobs(jobs, _parse_weights(options, len(jobs)), options.average))
    if options.lm:
        from nmt.recipe.artifact import model_fingerprint
        from nmt.recipe.tasks.language_model import fuse_language_model, load_language_model

        language_model = load_language_model(options.lm)
        job = fuse_language_model(job, language_model, options.lm_weight)
        fingerprints.append(model_fingerprint(language_model))
    if options.quality:
        job = request_quality(job)
    return job, " and ".join(fingerprints)


@contextmanager
def suspend_garbage_collection() -> Iterator[None]:
    """Collect no garbage while libraries and models are loaded, and never look through their objects."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


load_job = suspend_garbage_collection()(loading.load_job)


def _configure_job(options: TranslateOptions, job: Job) -> Job:
    """Apply the options to the first model's job."""
    interactive = options.source is None and sys.stdin.isatty()
    aligned = (options.details and job.attends) or options.alignments is not None
    return job._replace(
        options=_choose_search(options, job.options, attention=aligned or options.unk_replace),
        longest_part=options.max_length or job.longest_part,
        split=options.split,
        read_ahead=0 if interactive else options.read_ahead,
        n_best=options.n_best or 1,
        aligned=aligned,
        copy_unknown=options.unk_replace,
        glossary=read_glossary(options.glossary) if options.glossary else None,
        utility=sentence_utility(options.mbr, job.bleu_tokenizer) if options.mbr else None,
    )


def _parse_weights(options: TranslateOptions, models: int) -> list[float] | None:
    if options.weights is None:
        return None
    return parse_numbers("--weights", options.weights, f"{models} numbers, such as 2,1", lambda _: True)


def _choose_search(options: TranslateOptions, recipe: Options, *, attention: bool) -> Options:
    """Apply the options to the recipe's search."""
    sampled = options.sample or options.samples is not None
    candidates = options.samples or options.n_best or 1
    beam = options.beam or (recipe.beam if sampled else max(recipe.beam, candidates))
    by_reward = options.length_penalty_kind == "reward"
    penalty = recipe.length_penalty if options.length_penalty is None else options.length_penalty
    same = {name: getattr(options, name) for name in SAME_NAMES}
    return replace(
        recipe,
        beam=beam,
        n_best=beam if options.mbr and not sampled else candidates,
        normalisation="none" if by_reward else options.length_penalty_kind,
        length_penalty=0.0 if by_reward else penalty,
        word_reward=penalty if by_reward else 0.0,
        unk=recipe.unk and not options.no_unk,
        attention=attention,
        sample=sampled,
        **{name: value for name, value in same.items() if value is not None},
    )


class InputLines(NamedTuple):
    """The lines that a job translates."""

    lines: Iterator[Line]
    total: int | None  # number of lines, if they can be counted beforehand
    shard: shards.ShardRange | None  # their range in the file, if they are a shard of it
    pipe: PipeLines | None  # that they come from


@contextmanager
def open_input(options: TranslateOptions) -> Iterator[InputLines]:
    """Open the lines to translate, with their lexical constraints."""
    with _open_stream(options.source, seeks=options.shard is not None) as stream:
        shard = shards.find_shard(stream, *shards.parse_shard(options.shard)) if options.shard else None
        total = None if options.quiet else _count_lines(options.source, shard)
        pipe = None if shard else open_pipe(stream)
        raw = shards.read_shard(stream, shard) if shard else pipe or iterate_lines(stream, options.source)
        yield InputLines(_number_lines(raw, options, shard), total, shard, pipe)


@contextmanager
def _open_stream(path: Path | None, *, seeks: bool) -> Iterator[BinaryIO]:
    """Open a file, plain or compressed, or standard input; a file in which the job seeks must be plain."""
    if path is None:
        yield sys.stdin.buffer
        return
    if path.suffix in COMPRESSIONS[1:]:
        if seeks:
            plain = path.with_suffix("")
            raise UsageError(
                f"--shard needs a plain file: nmt decompresses none in parts; create {plain} first"
            )
        with open_file(path) as stream:
            yield stream
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    with stream:
        yield stream


def _number_lines(
    raw: Iterable[bytes], options: TranslateOptions, shard: shards.ShardRange | None
) -> Iterator[Line]:
    first = shard.first if shard else 1
    texts = read_lines_leniently(raw, top=first == 1, path=options.source)
    if options.json:
        return (io.read_json_line(number, *text, options.field) for number, text in enumerate(texts, first))
    paths = {"prefix": options.prefix, "must": options.must, "must_not": options.must_not}
    constraints = {name: path for name, path in paths.items() if path}
    lines = number_lines(texts, first)
    return add_constraints(lines, constraints, first, to_the_end=shard is None) if constraints else lines


def _count_lines(path: Path | None, shard: shards.ShardRange | None) -> int | None:
    """Count the lines for the progress."""
    if path is None or shard is None:
        return None if path is None else count_lines(path)
    with path.open("rb") as stream:
        return sum(1 for _ in shards.read_shard(stream, shard))
