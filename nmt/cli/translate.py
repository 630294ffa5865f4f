"""`nmt translate`: lines in, translations out."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nmt.decoding import LONGEST_PART, READ_AHEAD
from nmt.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmt.decoding.translate import Job, Translation

Form = Callable[["Translation"], str]


def translate(
    model: Annotated[Path, typer.Argument(help="A run or a model directory.", show_default=False)],
    source: Annotated[
        Path | None,
        typer.Option("--input", "-i", "--src", help="Lines to translate; without it, standard input."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where they go; without it, standard output.")
    ] = None,
    beam: Annotated[
        int | None, typer.Option("--beam", "--beam_size", min=1, help="Width of the search; 1 is greedy.")
    ] = None,
    length_penalty: Annotated[
        float | None, typer.Option(min=0.0, help="GNMT's alpha; 0 ranks by the sum of log probabilities.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Sentences translated together.")] = None,
    n_best: Annotated[
        int | None,
        typer.Option("--n-best", "--n_best", min=1, help="Candidates of each line, in Moses' format."),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Write score, tab, translation.")] = False,
    alignments: Annotated[
        Path | None, typer.Option(help="Write here which source word each word looked at (0-0 1-2).")
    ] = None,
    max_length: Annotated[
        int, typer.Option(min=1, help="Source pieces translated at once; longer lines go in parts.")
    ] = LONGEST_PART,
    read_ahead: Annotated[
        int, typer.Option(min=0, help="Batches of lines read ahead; 0 answers each line as it comes.")
    ] = READ_AHEAD,
    shortlist: Annotated[
        bool,
        typer.Option(
            "--shortlist/--no-shortlist", help="Write only likely pieces, faster; see nmt shortlist."
        ),
    ] = False,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads. A step is small: more pay on idle cores only.")
    ] = 1,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no summary; notes stay.")
    ] = False,
) -> None:
    """Translate lines: one in, one out, in order. What is not said here is as the recipe says.

    OUTPUT gets its name when it is whole; until then it is OUTPUT.part.
    Notes on lines that could not be read or translated as they stand
    go to standard error.
    """
    from nmt.decoding import formats
    from nmt.decoding.translate import translate_lines

    _check_options(output, alignments, scores=scores, n_best=n_best)
    with _reading(source) as stream, _writing(output) as text, _writing_if(alignments) as pairs:
        job = _job(
            model, beam, length_penalty, batch, n_best or 1, alignments is not None, threads, shortlist
        )
        interactive = source is None and sys.stdin.isatty()
        job = job._replace(longest_part=max_length, read_ahead=0 if interactive else read_ahead)
        report = _Report(quiet, _count_lines(source) if source and not quiet else None)
        form: Form = formats.moses if n_best else formats.scored if scores else formats.plain
        with report.progress:
            for translation in translate_lines(_lines(stream), job):
                _write(text, form(translation))
                if pairs:
                    _write(pairs, formats.pharaoh(translation))
                report.line(translation)
    report.summary()


def _check_options(output: Path | None, alignments: Path | None, *, scores: bool, n_best: int | None) -> None:
    """Refuse what cannot be done, before the model is read."""
    if scores and n_best:
        raise UsageError("--n-best writes the scores already: leave --scores out")
    if output and alignments and output.resolve() == alignments.resolve():
        raise UsageError(f"{output} is to hold the translations and the alignments: name two files")
    for path in (output, alignments):
        if path and path.is_dir():
            raise UsageError(f"{path} is a folder: name a file")


def _job(
    path: Path,
    beam: int | None,
    length_penalty: float | None,
    batch: int | None,
    n_best: int,
    alignments: bool,
    threads: int,
    shortlist: bool,
) -> "Job":
    """The model with its recipe's search, changed where the command line says so."""
    import torch

    from nmt.recipe.assemble.artifact import load_translator
    from nmt.recipe.assemble.experiment import job
    from nmt.recipe.assemble.shortlist import read_shortlist

    torch.set_num_threads(threads)
    translator = load_translator(path)
    recipes = job(translator, read_shortlist(path, translator) if shortlist else None)
    return recipes._replace(
        beam=beam or max(recipes.beam, n_best),
        length_penalty=recipes.length_penalty if length_penalty is None else length_penalty,
        batch=batch or recipes.batch,
        n_best=n_best,
        alignments=alignments,
    )


def _lines(stream: BinaryIO) -> Iterator[tuple[str, str | None]]:
    from nmt.data.text import read_lines_leniently

    return read_lines_leniently(stream)


def _write(stream: BinaryIO, line: str) -> None:
    stream.write(line.encode() + b"\n")
    stream.flush()


@contextmanager
def _reading(path: Path | None) -> Iterator[BinaryIO]:
    from nmt.data.text import COMPRESSIONS

    if path is None:
        yield sys.stdin.buffer
        return
    if path.suffix in COMPRESSIONS[1:]:
        raise UsageError(
            f"{path} is compressed: unpack it into standard input (zcat {path} | nmt translate ...)"
        )
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    with stream:
        yield stream


@contextmanager
def _writing(path: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that gets its name when it is whole."""
    if path is None:
        yield sys.stdout.buffer
        return
    if path.exists() and not path.is_file():  # a device or a pipe has nothing to be renamed over
        with _blaming(path), path.open("wb") as stream:
            yield stream
        return
    aside = path.resolve().with_name(path.resolve().name + ".part")
    try:
        stream = aside.open("wb")
    except OSError as error:
        raise DataError(f"cannot write {aside}: {error.strerror}") from None
    with _blaming(aside), stream, _keeping_what_stands(aside, stream):
        yield stream
    aside.replace(path.resolve())


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """A disk that is full names no file; this says which."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from None


@contextmanager
def _keeping_what_stands(aside: Path, stream: BinaryIO) -> Iterator[None]:
    """Hours of translation are not thrown away because the last minute failed."""
    try:
        yield
    except BaseException:
        if stream.tell():
            typer.echo(f"nmt: what was translated so far stands in {aside}", err=True)
        else:
            aside.unlink()
        raise


def _writing_if(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    return nullcontext() if path is None else _writing(path)


def _count_lines(path: Path) -> int | None:
    """Lines of a file, for the progress bar; a pipe cannot be read twice."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


class _Report:
    """What the user sees on standard error: notes, progress, a summary."""

    def __init__(self, quiet: bool, total: int | None) -> None:
        console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self.quiet, self.lines, self.notes, self.begun = quiet, 0, 0, time.perf_counter()
        self.progress = Progress(
            MofNCompleteColumn(),
            TextColumn("lines"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self.progress.add_task("", total=total, rate="")

    def line(self, translation: "Translation") -> None:
        for note in translation.notes:
            self.progress.console.print(f"line {translation.number}: {note}")
        self.lines += 1
        self.notes += len(translation.notes)
        self.progress.update(self._task, advance=1, rate=self._rate())

    def _rate(self) -> str:
        return f"{self.lines / (time.perf_counter() - self.begun):.1f} lines/s"

    def summary(self) -> None:
        if not self.quiet:
            seconds = time.perf_counter() - self.begun
            notes = f"; notes above: {self.notes:,}" if self.notes else ""
            self.progress.console.print(f"{self.lines:,} lines in {seconds:.1f} s ({self._rate()}){notes}")
