"""`nmt translate`: translate lines."""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from nmt.cli.progress import LineProgress
from nmt.cli.terminal import echo_note
from nmt.cli.translate_options import TranslateOptions
from nmt.errors import DataError, UsageError, escape_controls
from nmt.files import check_writable

if TYPE_CHECKING:
    from nmt.data.pipes import PipeLines
    from nmt.decoding.job import Job, JobProgress, Window
    from nmt.decoding.resume import JobOutput
    from nmt.decoding.translation import Translation

Work = Callable[[Iterable["Window"], "PipeLines | None"], Iterator[tuple["Window", list["Translation"]]]]
Formatter = Callable[["Translation"], str]
WORKER_BATCHES = 4  # batches that a worker gets at a time


def translate(**given: Any) -> None:
    """Translate a file or stdin, with exactly one output line per input line.

    OUTPUT is written as OUTPUT.part and renamed when it is complete. Warnings
    about lines that could not be read or translated as they are go to stderr.
    """
    from nmt import __version__
    from nmt.cli.translate_job import open_input, prepare
    from nmt.decoding import resume, shards
    from nmt.decoding.job import LineReader
    from nmt.reservoir import Reservoir

    options = TranslateOptions(**given)
    _check_options(options)
    job, models = prepare(options)
    identity = {"nmt": __version__, "model": models, **job.settings(), **options.identity()}
    checkpoint = resume.read_checkpoint(options.outputs, identity) if options.resume else None
    if checkpoint and checkpoint.whole:
        resume.rename_parts(options.outputs)
        echo_note(f"{options.output} was already complete")
        _check_failures(checkpoint.done.failed, options)
        return
    sample: Reservoir[Translation] = Reservoir(options.verify, seed=1)
    formatters = _choose_formatters(options)
    ahead = job.read_ahead if options.workers == 1 else min(job.read_ahead, WORKER_BATCHES)
    window_size = max(1, ahead * job.options.batch)
    with (
        _open_workers(options, job) as work,
        open_input(options) as source,
        resume.open_output(sys.stdout.buffer, options.outputs, identity, checkpoint) as output,
        _report_partial_output(output),
    ):
        reader = LineReader(source.lines)
        progress = TranslationProgress(options, source.total, output.done)
        reader.skip(output.done)
        with progress.show():
            for window, translations in work(reader.windows(window_size, source.pipe), source.pipe):
                for translation in translations:
                    output.write([format_(translation) for format_ in formatters])
                    progress.count(translation)
                    sample.add(translation)
                output.save(progress.state(window.digest))
        if source.shard:
            shards.write_shard_info(source.shard, output)
    progress.print_summary()
    _verify(sample.items, job, progress)
    _check_failures(progress.failed, options)


# Typer reads a verb's options from its signature.
translate.__signature__ = inspect.signature(TranslateOptions)  # type: ignore[attr-defined]


def _check_options(options: TranslateOptions) -> None:
    """Refuse impossible combinations before the model is loaded."""
    for path in options.outputs:
        if path:
            check_writable(path)
    samples_alone, required = options.samples and not options.mbr, options.prefix or options.must
    many_threads = options.workers > 1 and options.threads > 1
    conflicts = (
        (options.scores and options.n_best, "--n-best includes the scores: remove --scores"),
        (
            options.quality and options.output_format in ("moses", "fairseq"),
            f"the format {options.output_format} has no quality: add --format plain, scored or json",
        ),
        (options.resume and not options.output, "--resume needs the name of the output file: add --output"),
        (
            options.shard and not (options.source and options.output),
            "--shard needs files: add --input and --output",
        ),
        (samples_alone, "--samples are the candidates of --mbr: add --mbr, or use --n-best"),
        (options.weights and not options.ensemble, "--weights needs an ensemble: add --ensemble"),
        (
            options.json and (required or options.must_not),
            "with --json, constraints are the fields prefix, must and must_not of each line: "
            "remove --prefix, --must and --must-not",
        ),
        (
            options.shortlist and (required or options.glossary),
            "--shortlist may exclude the tokens that --prefix, --must and --glossary require: remove it",
        ),
        (
            options.suggestion_margin is not None and not (options.glossary or options.json),
            "--suggestion-margin is for the suggested terms of a glossary: add --glossary, or --json",
        ),
        (many_threads, "each of the --workers has one thread: remove --threads"),
    )
    for conflict, message in conflicts:
        if conflict:
            raise UsageError(message)


@contextmanager
def _open_workers(options: TranslateOptions, job: "Job") -> Iterator[Work]:
    """Yield a function that translates windows in this process, or in several worker processes."""
    from nmt.operating_system import START_METHOD
    from nmt.workers import Workers

    if options.workers == 1:
        work = _build_translator(options, job)
        yield lambda windows, _: ((window, work(window)) for window in windows)
        return
    begin = partial(_build_translator, options, job if START_METHOD == "fork" else None)
    with Workers(begin, options.workers) as workers:
        yield workers.map


def _build_translator(
    options: TranslateOptions, job: "Job | None"
) -> Callable[["Window"], list["Translation"]]:
    """Return the function that translates a window; without a job, the models are loaded again."""
    from nmt.cli.translate_job import prepare
    from nmt.decoding.translation import translate_window

    loaded = job or prepare(options)[0]
    return lambda window: translate_window(window.lines, loaded)


def _choose_formatters(options: TranslateOptions) -> list[Formatter]:
    """Return the function that formats each output stream."""
    from nmt.decoding import io

    json = partial(
        io.write_json_line,
        n_best=options.n_best is not None,
        details=options.details,
        quality=options.quality,
    )
    formatters: dict[str, Formatter] = {**io.FORMATS, "json": json}
    if options.quality:
        formatters |= io.QUALITY_FORMATS
    return [formatters[options.output_format], *([io.format_alignment] if options.alignments else [])]


@contextmanager
def _report_partial_output(output: "JobOutput") -> Iterator[None]:
    """After a failure, report where the finished translations are and how to resume."""
    try:
        yield
    except BaseException:
        if output.paths and not output.is_empty:
            names = " and ".join(stream.name for stream in output.streams if stream.path)
            advice = "; resume with --resume" if output.is_resumable else ""
            echo_note(f"the translations finished so far are in {names}{advice}")
        raise


def _verify(sample: "list[Translation]", job: "Job", progress: "TranslationProgress") -> None:
    """Translate a sample of the lines again in other batches; DataError if a translation differs."""
    if not sample:
        return
    from nmt.evaluation.invariance import VERIFICATION_BATCHES, find_differing_lines

    batches = ", ".join(map(str, VERIFICATION_BATCHES))
    if wrong := find_differing_lines(sample, job):
        lines = ", ".join(map(str, wrong))
        raise DataError(f"--verify: the translations of lines {lines} differ in batches of {batches}")
    progress.note(f"verified: {len(sample):,} lines are identical in shuffled batches of {batches}")


def _check_failures(failed: int, options: TranslateOptions) -> None:
    """Raise DataError if lines were not translated."""
    if failed:
        lines = "1 line was" if failed == 1 else f"{failed:,} lines were"
        where = '"error" in the output' if options.output_format == "json" else "the warnings"
        raise DataError(f"{lines} not valid, and not translated: see {where}")


class TranslationProgress(LineProgress):
    """The progress of a translation job, with counts of warnings and failures for the summary."""

    def __init__(self, options: TranslateOptions, total: int | None, before: "JobProgress") -> None:
        super().__init__(total, before.lines, quiet=options.quiet)
        self.notes, self.failed = before.notes, before.failed
        self.writes_errors = options.output_format == "json"

    def count(self, translation: "Translation") -> None:
        """Count a translated line, and print its warnings, without an error that the output contains."""
        error = translation.line.error
        notes = [note for note in translation.notes if note != error or not self.writes_errors]
        for note in notes:
            self.console.print(f"line {translation.number}: {escape_controls(note)}")
        self.notes += len(notes)
        self.failed += error is not None
        self.advance()

    def state(self, digest: str) -> "JobProgress":
        """Return the progress of the job, for its checkpoint; `digest` is that of the lines read."""
        from nmt.decoding.job import JobProgress

        return JobProgress(self.before + self.lines, self.notes, digest, self.failed)

    def note(self, text: str) -> None:
        """Print a message about the job, unless quiet."""
        if not self.quiet:
            self.console.print(escape_controls(text, keep="\n"))

    def print_summary(self) -> None:
        """Print lines, time and warnings of the job."""
        before = f", {self.before:,} before" if self.before else ""
        notes = f"; warnings above: {self.notes:,}" if self.notes else ""
        lines = f"{self.lines:,} line{'s' * (self.lines != 1)}"
        self.note(f"{lines} in {self.clock() - self.start:.1f} s ({self.rate()}){before}{notes}")
