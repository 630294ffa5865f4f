"""Text on disk: lines, pairs of lines that belong together, and lines that stand alone.

A line ends at "\\n" and nowhere else: what other programs may take for a line end (U+2028, U+0085, a lone
"\\r", form feeds, NUL) stays inside it.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from pathlib import Path
from random import Random
from typing import NamedTuple

from xopen import xopen

from nmt.errors import DataError

COMPRESSIONS = ("", ".gz", ".bz2", ".xz", ".zst")
BOM = b"\xef\xbb\xbf"


class Corpus(NamedTuple):
    """Text on disk: one file of tab-separated pairs, or a source and a target file, line by line.

    Where it is not `parallel`, one file of plain text; its lines count as pairs with a source of nothing.
    """

    files: tuple[Path, ...]
    parallel: bool = True
    name: str = ""

    def __str__(self) -> str:
        return " and ".join(map(str, self.files))


def find_corpus(pairs: str | list[str], *, root: Path, src: str, tgt: str) -> Corpus:
    """The files that a prefix (`train`), a TSV file (`train.tsv`) or two files (`[a.de, a.en]`) stand for.

    Each may be compressed, with the ending added to its name. Raises DataError saying what was looked for.
    """
    if isinstance(pairs, str):
        names = [pairs] if _is_tsv(pairs) else [f"{pairs}.{src}", f"{pairs}.{tgt}"]
    else:
        names = pairs
    return Corpus(tuple(_find(root, name) for name in names))


def find_text(name: str, *, root: Path) -> Corpus:
    """The file of plain text that a name stands for; it may be compressed. DataError as `find_corpus`."""
    return Corpus((_find(root, name),), parallel=False)


def _is_tsv(name: str) -> bool:
    return name.endswith(tuple(f".tsv{ending}" for ending in COMPRESSIONS))


def _find(root: Path, name: str) -> Path:
    for ending in COMPRESSIONS:
        if (path := root / (name + ending)).is_file():
            return path
    endings = ", ".join(COMPRESSIONS[1:])
    raise DataError(
        f"no file {root / name} (nor with {endings}): check data.root, the name and the languages"
    )


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or compressed, without their ends; DataError names file and line."""
    for number, raw in enumerate(_raw_lines(path), 1):
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: {_bad_byte(error)}; "
                f"convert the file (iconv -f LATIN1 -t UTF-8, say) or mend the line"
            ) from None


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with xopen(path, "rb", threads=0) as stream:
            yield from _bare(stream)
    except FileNotFoundError:
        raise DataError(f"no file {path}") from None
    except Exception as error:  # every decompressor has error classes of its own
        why = getattr(error, "strerror", None) or error
        advice = "if it is damaged or cut short, fetch or pack it again"
        raise DataError(f"cannot read {path}: {why}; {advice}") from error


def _bare(stream: Iterable[bytes], *, top: bool = True) -> Iterator[bytes]:
    """Lines without their ends, the first without a byte-order mark if it is the file's first."""
    for number, line in enumerate(stream):
        text = line.removeprefix(BOM) if top and number == 0 else line
        yield text.removesuffix(b"\n").removesuffix(b"\r")


def read_lines_leniently(stream: Iterable[bytes], *, top: bool = True) -> Iterator[tuple[str, str | None]]:
    """Every line of a stream as text, and a note if bytes that are not UTF-8 were replaced by U+FFFD.

    `top` says that the stream begins where its file does, so that a byte-order mark is no text.
    """
    for raw in _bare(stream, top=top):
        try:
            yield raw.decode("utf-8"), None
        except UnicodeDecodeError as error:
            yield raw.decode("utf-8", "replace"), f"{_bad_byte(error)} and was replaced by U+FFFD"


def _bad_byte(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} is not UTF-8"


def read_pairs(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """The pairs of a corpus as (source, target), one at a time; DataError if its files do not match."""
    if not corpus.parallel:
        return (("", line) for line in read_lines(corpus.files[0]))
    if len(corpus.files) == 1:
        return _read_tsv(corpus.files[0])
    return _read_side_by_side(*corpus.files)


def _read_tsv(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), 1):
        columns = line.split("\t") if line else ["", ""]
        if len(columns) != 2:
            found = f"{len(columns)} column" + "s" * (len(columns) != 1)
            raise DataError(f"{path}, line {number}: {found}, expected two: source, tab, target")
        yield columns[0], columns[1]


def _read_side_by_side(src: Path, tgt: Path) -> Iterator[tuple[str, str]]:
    src_lines, tgt_lines = read_lines(src), read_lines(tgt)
    for number, (one, other) in enumerate(zip_longest(src_lines, tgt_lines)):
        if one is None or other is None:
            longer = number + 1 + sum(1 for _ in chain(src_lines, tgt_lines))
            counts = (number, longer) if one is None else (longer, number)
            raise DataError(
                f"{src} has {counts[0]:,} lines but {tgt} has {counts[1]:,}: "
                f"line n of one must be the translation of line n of the other, so nothing is read from them"
            )
        yield one, other


def sample_lines(lines: Iterable[str], size: int, seed: int) -> list[str]:
    """`size` lines drawn evenly, or all of fewer (reservoir sampling: Vitter, 1985, algorithm R)."""
    rng, sample = Random(seed), list[str]()
    for seen, line in enumerate(lines, 1):
        if len(sample) < size:
            sample.append(line)
        elif (slot := int(rng.random() * seen)) < size:
            sample[slot] = line
    return sample
