"""Corpora on disk: their files, and their rows one by one."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice, zip_longest
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from nmt.data.formats import READERS, Row, reject_columns
from nmt.data.text import COMPRESSIONS, read_lines, strip_compression
from nmt.errors import DataError, UsageError
from nmt.files import atomic_file
from nmt.outputs import check_output_files

COLUMN = "column:"  # prefix of a column's name, as opposed to a file's


class Corpus(NamedTuple):
    """Text on disk: one file with both sides of its pairs, or a source and a target file, line by line.

    If it is not `parallel`, one file of plain text, whose lines count as pairs with an empty source. Weights
    and alignments are a file with one line per pair, or the name of a column of the pairs' file.
    """

    files: tuple[Path, ...]
    parallel: bool = True
    languages: tuple[str, str] = ("source", "target")
    name: str = ""
    tag: str | None = None
    weights: Path | str | None = None
    alignments: Path | str | None = None
    first: int | None = None  # number of rows to read; None: all

    def __str__(self) -> str:
        return " and ".join(map(str, self.files))

    @property
    def annotations(self) -> dict[str, Path | str]:
        """The files or columns with weights and alignments (`links`)."""
        sources = {"weights": self.weights, "links": self.alignments}
        return {name: source for name, source in sources.items() if source is not None}

    @property
    def columns(self) -> dict[str, str]:
        """The annotations that are columns of the pairs' file."""
        return {name: source for name, source in self.annotations.items() if isinstance(source, str)}

    def locate(self, annotation: str) -> str:
        """Return the file or column of an annotation, for a message."""
        source = self.annotations[annotation]
        return f"{self}, column {source}" if isinstance(source, str) else str(source)

    @property
    def all_files(self) -> list[Path]:
        """All files of the corpus."""
        return [*self.files, *(source for source in self.annotations.values() if isinstance(source, Path))]


def pair_format(name: str) -> str | None:
    """Return the suffix of a file with both sides of its pairs (without compression), or None."""
    suffix = Path(strip_compression(name)).suffix
    return suffix if suffix in READERS else None


def find_corpus(pairs: str | list[str], *, root: Path, src: str, tgt: str) -> Corpus:
    """Find the files of a prefix (`train`), a file of pairs (`a.tsv`) or two files (`[a.de, a.en]`).

    Each may be compressed, with the ending added to its name. Raises DataError if one is missing.
    """
    names = list_pair_files(pairs, src, tgt)
    return Corpus(tuple(find_file(root, name) for name in names), languages=(src, tgt))


def list_pair_files(pairs: str | list[str], src: str, tgt: str) -> list[str]:
    """Return the names of the files of a prefix, a file of pairs, or two files."""
    if isinstance(pairs, str):
        return [pairs] if pair_format(pairs) else [f"{pairs}.{src}", f"{pairs}.{tgt}"]
    return pairs


def find_text_file(name: str, *, root: Path) -> Corpus:
    """Find a file of plain text, which may be compressed; DataError if it is missing."""
    return Corpus((find_file(root, name),), parallel=False)


def find_file(root: Path, name: str) -> Path:
    """Find a file that may be compressed; DataError if it is missing."""
    for ending in COMPRESSIONS:
        if (path := root / (name + ending)).is_file():
            return path
    endings = ", ".join(COMPRESSIONS[1:])
    advice = "check data.root, the name and the languages"
    if any(char < " " for char in str(root / name)):
        advice = "it has control characters, as \\n and \\t are between double quotes: use single quotes"
    raise DataError(f"no file {root / name} (nor with {endings}): {advice}")


def read_pairs(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a corpus as (source, target); DataError if its files do not match."""
    return ((row[0], row[1]) for row in read_rows(corpus._replace(weights=None, alignments=None)))


def read_rows(corpus: Corpus) -> Iterator[Row]:
    """Yield source, target and annotations, in the order of `corpus.annotations`."""
    columns = corpus.columns
    files = {name: source for name, source in corpus.annotations.items() if isinstance(source, Path)}
    first, *others = corpus.files
    if not corpus.parallel:
        rows: Iterator[Row] = (("", line) for line in read_lines(first))
    elif others:
        if columns:
            reject_columns([*columns.values()], "two files have")
        rows = _add_lines(((line,) for line in read_lines(first)), first, others[0])
    else:
        rows = READERS[pair_format(first.name) or ".tsv"](first, corpus.languages, [*columns.values()])
    for path in files.values():
        rows = _add_lines(rows, first, path)
    rows = islice(rows, corpus.first)
    order = [2 + [*columns, *files].index(name) for name in corpus.annotations]
    return map(itemgetter(0, 1, *order), rows) if order else rows


def _add_lines(rows: Iterator[Row], first: Path, path: Path) -> Iterator[Row]:
    """Add to each row the line of another file; DataError if the numbers differ."""
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


@contextmanager
def open_pair_writer(
    output: str, languages: tuple[str, str], *, inputs: Sequence[Path]
) -> Iterator[WritePair]:
    """Yield a function that writes pairs to a .tsv or .jsonl file, or to two files `output.LANGUAGE`.

    Raises UsageError for another format, equal languages, an output that is one of `inputs`, or a path that
    cannot be written.
    """
    form = pair_format(output)
    if form not in (".tsv", ".jsonl", None) or strip_compression(output) != output:
        raise UsageError(f"{output}: give a .tsv or .jsonl file, or a prefix for two plain files")
    if form != ".tsv" and languages[0] == languages[1]:
        raise UsageError(f"both sides are named '{languages[0]}': give different names with --src and --tgt")
    paths = [Path(output)] if form else [Path(f"{output}.{language}") for language in languages]
    check_output_files({f"--output ({path.suffix[1:]})": path for path in paths}, inputs)
    with ExitStack() as stack:
        sides = [stack.enter_context(atomic_file(path)) for path in paths]
        files = [stack.enter_context(side.open("w", encoding="utf-8", newline="\n")) for side in sides]

        def write(src: str, tgt: str) -> None:
            if form == ".tsv":
                files[0].write(f"{src}\t{tgt}\n")
            elif form == ".jsonl":
                entry = {languages[0]: src, languages[1]: tgt}
                files[0].write(json.dumps(entry, ensure_ascii=False) + "\n")
            else:
                files[0].write(f"{src}\n")
                files[1].write(f"{tgt}\n")

        yield write
