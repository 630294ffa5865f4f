"""Corpora on disk: the files that a recipe's names stand for, and their rows one by one."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice, zip_longest
from operator import itemgetter
from pathlib import Path
from typing import IO, NamedTuple

from nmt.data.formats import READERS, Row, pair_format, refuse_columns
from nmt.data.text import COMPRESSIONS, bare_name, read_lines
from nmt.errors import DataError, UsageError
from nmt.files import atomic_file

COLUMN = "column:"  # so begins the name of a column, where a file could stand, too


class Corpus(NamedTuple):
    """Text on disk: one file that holds both sides of its pairs, or a source and a target file, line by line.

    Where it is not `parallel`, one file of plain text; its lines count as pairs with a source of nothing.
    What stands beside the pairs is a file with a line for each, or the name of a column of theirs. Of files
    that do not match, only as many rows are compared as are read.
    """

    files: tuple[Path, ...]
    parallel: bool = True
    languages: tuple[str, str] = ("source", "target")
    name: str = ""
    tag: str | None = None
    weights: Path | str | None = None
    alignments: Path | str | None = None
    first: int | None = None  # so many of its rows, where not all are read

    def __str__(self) -> str:
        return " and ".join(map(str, self.files))

    @property
    def beside(self) -> dict[str, Path | str]:
        """What stands beside the pairs, by what it is."""
        found = {"weights": self.weights, "links": self.alignments}
        return {name: place for name, place in found.items() if place is not None}

    @property
    def columns(self) -> dict[str, str]:
        """What of it are columns of the pairs' file."""
        return {name: place for name, place in self.beside.items() if isinstance(place, str)}

    def place(self, name: str) -> str:
        """Where something beside the pairs stands, for a message."""
        place = self.beside[name]
        return f"{self}, column {place}" if isinstance(place, str) else str(place)

    @property
    def all_files(self) -> list[Path]:
        """Every file that is read."""
        return [*self.files, *(place for place in self.beside.values() if isinstance(place, Path))]


def find_corpus(pairs: str | list[str], *, root: Path, src: str, tgt: str) -> Corpus:
    """The files that a prefix (`train`), a file of pairs (`a.tsv`) or two files (`[a.de, a.en]`) stand for.

    Each may be compressed, with the ending added to its name. Raises DataError saying what was looked for.
    """
    if isinstance(pairs, str):
        names = [pairs] if pair_format(pairs) else [f"{pairs}.{src}", f"{pairs}.{tgt}"]
    else:
        names = pairs
    return Corpus(tuple(find_file(root, name) for name in names), languages=(src, tgt))


def find_text(name: str, *, root: Path) -> Corpus:
    """The file of plain text that a name stands for; it may be compressed. DataError as `find_corpus`."""
    return Corpus((find_file(root, name),), parallel=False)


def find_file(root: Path, name: str) -> Path:
    """A file that may be compressed; DataError saying what was looked for."""
    for ending in COMPRESSIONS:
        if (path := root / (name + ending)).is_file():
            return path
    endings = ", ".join(COMPRESSIONS[1:])
    raise DataError(
        f"no file {root / name} (nor with {endings}): check data.root, the name and the languages"
    )


def read_pairs(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """The pairs of a corpus as (source, target), one at a time; DataError if its files do not match."""
    return ((row[0], row[1]) for row in read_rows(corpus._replace(weights=None, alignments=None)))


def read_rows(corpus: Corpus) -> Iterator[Row]:
    """Source, target, and then what stands beside them, in the order of `corpus.beside`."""
    columns = corpus.columns
    files = {name: place for name, place in corpus.beside.items() if isinstance(place, Path)}
    rows = _read_columns(corpus, list(columns.values()))
    for path in files.values():
        rows = _add_lines(rows, corpus.files[0], path)
    rows = islice(rows, corpus.first)
    order = [2 + [*columns, *files].index(name) for name in corpus.beside]
    return map(itemgetter(0, 1, *order), rows) if order else rows


def _read_columns(corpus: Corpus, columns: Sequence[str]) -> Iterator[Row]:
    first, *others = corpus.files
    if not corpus.parallel:
        return (("", line) for line in read_lines(first))
    if others:
        refuse_columns(columns, "two files have")
        return _add_lines(((line,) for line in read_lines(first)), first, others[0])
    return READERS[pair_format(first.name) or ".tsv"](first, corpus.languages, columns)


def _add_lines(rows: Iterator[Row], first: Path, path: Path) -> Iterator[Row]:
    """Rows of a file, each with the line of another; DataError unless there are equally many."""
    lines = read_lines(path)
    for number, (row, line) in enumerate(zip_longest(rows, lines)):
        if row is None or line is None:
            longer = number + 1 + sum(1 for _ in chain(rows, lines))
            counts = (number, longer) if row is None else (longer, number)
            raise DataError(
                f"{first} has {counts[0]:,} lines but {path} has {counts[1]:,}: "
                f"line n of one must correspond to line n of the other"
            )
        yield (*row, line)


WritePair = Callable[[str, str], object]
WRITABLE = (".tsv", ".jsonl", None)


@contextmanager
def pair_writer(output: str, languages: tuple[str, str], *, beside: Sequence[Path]) -> Iterator[WritePair]:
    """Takes pairs, for a .tsv or .jsonl file or two files `output.LANGUAGE`.

    UsageError for another form, two sides of one name, a file that is one of those read, `beside`, or a
    place where no file can be.
    """
    form = pair_format(output)
    if form not in WRITABLE or bare_name(output) != output:
        raise UsageError(f"{output}: give a .tsv or .jsonl file, or a prefix for two plain files")
    if form != ".tsv" and languages[0] == languages[1]:
        raise UsageError(f"both sides are named '{languages[0]}': give different names with --src and --tgt")
    paths = [Path(output)] if form else [Path(f"{output}.{language}") for language in languages]
    for path in paths:
        if path.exists() and any(path.samefile(one) for one in beside):
            raise UsageError(f"{path} is an input file: choose another --output")
    with ExitStack() as stack:
        asides = [stack.enter_context(atomic_file(path)) for path in paths]
        files = [stack.enter_context(aside.open("w", encoding="utf-8", newline="\n")) for aside in asides]
        yield _make_writer(form, languages, files)


def _make_writer(form: str | None, languages: tuple[str, str], files: Sequence[IO[str]]) -> WritePair:
    if form == ".tsv":
        return lambda src, tgt: files[0].write(f"{src}\t{tgt}\n")
    if form == ".jsonl":
        return lambda src, tgt: files[0].write(_json_line(languages, src, tgt))
    return lambda src, tgt: (files[0].write(f"{src}\n"), files[1].write(f"{tgt}\n"))


def _json_line(languages: tuple[str, str], src: str, tgt: str) -> str:
    return json.dumps({languages[0]: src, languages[1]: tgt}, ensure_ascii=False) + "\n"
