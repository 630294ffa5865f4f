"""`nmt translate`: lines in, translations out."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from nmt.cli.options import Command
from nmt.cli.report import Report
from nmt.errors import DataError, UsageError
from nmt.files import check_writable

if TYPE_CHECKING:
    from nmt.decoding.job import Job, Window
    from nmt.decoding.resume import Identity, JobOutput
    from nmt.decoding.translate import VerificationSample
    from nmt.decoding.translation import Translation

Work = Callable[[Iterable["Window"]], Iterator[tuple["Window", list["Translation"]]]]
Form = Callable[["Translation"], str]
WORKER_BATCHES = 4  # of lines that a worker is given at a time


def translate(**given: Any) -> None:
    """Translate lines: one in, one out, in order.

    OUTPUT gets its name when it is whole; until then it is OUTPUT.part.
    Notes on lines that could not be read or translated as they stand
    go to standard error.
    """
    run(Command(**given))


# Typer reads a verb's options from its signature.
translate.__signature__ = inspect.signature(Command)  # type: ignore[attr-defined]


def run(command: Command) -> None:
    """Translate what was asked for."""
    from nmt.cli import sources
    from nmt.decoding import resume as files
    from nmt.decoding import shards
    from nmt.decoding.job import JobProgress, LineReader
    from nmt.decoding.translate import VerificationSample

    _check(command)
    job, identity = _prepare(command)
    card = files.read_checkpoint(command.outputs, identity) if command.resume else None
    if card and card.whole:
        files.finish_files(command.outputs)
        typer.echo(f"nmt: {command.output} was whole already", err=True)
        return
    sample, forms = VerificationSample(command.verify), _forms(command)
    with (
        _workers(command, job) as work,
        sources.opened(command) as source,
        files.open_output(sys.stdout.buffer, command.outputs, identity, card) as output,
        _saying_what_stands(output),
    ):
        reader, report = LineReader(source.lines), Report(command.quiet, source.total, output.done)
        reader.skip(output.done)
        with report.progress:
            for window, translations in work(reader.windows(_window(command, job))):
                for translation in translations:
                    output.write([form(translation) for form in forms])
                    report.line(translation)
                    sample.take(translation)
                output.stands(JobProgress(report.before + report.lines, report.notes, window.digest))
        if source.stretch:
            shards.write_shard_info(source.stretch, output)
    report.summary()
    _prove(sample, job, report)


def _check(command: Command) -> None:
    """Refuse what cannot be done, before the model is read."""
    output, alignments = command.output, command.alignments
    if command.scores and command.n_best:
        raise UsageError("--n-best writes the scores already: leave --scores out")
    if output and alignments and output.resolve() == alignments.resolve():
        raise UsageError(f"{output} is to hold the translations and the alignments: name two files")
    for path in command.outputs:
        if path:
            check_writable(path)
    if command.resume and not output:
        raise UsageError("--resume goes on with OUTPUT.part: name the file with --output")
    if command.shard and not (command.source and output):
        raise UsageError("--shard reads a part of a file and is put together by its name: give -i and -o")
    if command.samples and not command.mbr:
        raise UsageError("--samples are what --mbr chooses from: name a metric, or sample with --n-best")
    if command.weights and not command.ensemble:
        raise UsageError("--weights are those of an ensemble: name the other models with --ensemble")
    if command.json and (command.prefix or command.must or command.must_not):
        raise UsageError("a JSON line holds its own wishes: the fields prefix, must and must_not")
    if command.shortlist and (command.prefix or command.must):
        raise UsageError("what --prefix and --must ask for may not be on a list: leave --shortlist out")
    if command.workers > 1 and command.threads > 1:
        raise UsageError("each of the --workers has one thread: leave --threads out")


def _prepare(command: Command) -> tuple["Job", "Identity"]:
    """The job, and what must be the same for it to be gone on with."""
    from nmt import __version__
    from nmt.cli.job import prepare

    job, models = prepare(command)
    return job, {"nmt": __version__, "model": models, **job.settings(), **command.shape()}


@contextmanager
def _workers(command: Command, job: "Job") -> Iterator[Work]:
    """What translates windows: this process, or others."""
    from nmt.workers import METHOD, Workers

    if command.workers == 1:
        work = _translator(job)
        yield lambda windows: ((window, work(window)) for window in windows)
        return
    begin = partial(_translator, job) if METHOD == "fork" else partial(_load_translator, command)
    with Workers(begin, command.workers) as workers:
        yield workers.map


def _load_translator(command: Command) -> Callable[["Window"], list["Translation"]]:
    from nmt.cli.job import prepare

    return _translator(prepare(command)[0])


def _translator(job: "Job") -> Callable[["Window"], list["Translation"]]:
    from nmt.decoding.translate import translate_window

    return lambda window: translate_window(window.lines, job)


def _window(command: Command, job: "Job") -> int:
    """Lines that are translated together."""
    ahead = job.read_ahead if command.workers == 1 else min(job.read_ahead, WORKER_BATCHES)
    return max(1, ahead * job.options.batch)


def _forms(command: Command) -> list[Form]:
    """How each stream of the output is written."""
    from nmt.decoding import io as formats
    from nmt.decoding import io as json_lines

    forms: dict[str, Form] = {
        "plain": formats.plain,
        "scored": formats.scored,
        "moses": formats.moses,
        "fairseq": formats.fairseq,
        "json": partial(json_lines.write, n_best=command.n_best is not None, details=command.details),
    }
    return [forms[command.written_as], *([formats.pharaoh] if command.alignments else [])]


@contextmanager
def _saying_what_stands(output: "JobOutput") -> Iterator[None]:
    """Hours of translation are not thrown away because the last minute failed."""
    try:
        yield
    except BaseException:
        if output.places and not output.empty:
            names = " and ".join(sink.name for sink in output.sinks if sink.place)
            advice = "; --resume goes on" if output.can_be_gone_on_with else ""
            typer.echo(f"nmt: what was translated so far stands in {names}{advice}", err=True)
        raise


def _prove(sample: "VerificationSample", job: "Job", report: Report) -> None:
    """Translate a sample again; DataError if a line comes out otherwise."""
    from nmt.decoding.translate import BATCHES, find_differing_lines

    if not sample.drawn:
        return
    batches = ", ".join(map(str, BATCHES))
    if wrong := find_differing_lines(sample.drawn, job):
        lines = ", ".join(map(str, wrong))
        raise DataError(f"--verify: in other batches ({batches}) other translations of lines {lines}")
    report.say(f"verified: {len(sample.drawn):,} lines came out the same in batches of {batches}, shuffled")
