"""File formats that hold both sides of pairs: TSV, JSON lines, TMX and Parquet, read as rows of columns."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from xml.parsers import expat

from nmt.data.script import find_primary_language
from nmt.data.text import LONGEST_LINE, open_file, read_lines, strip_compression, survey_file
from nmt.errors import DataError, UsageError, report_missing_packages

Row = tuple[str, ...]
Reader = Callable[[Path, Sequence[str], Sequence[str]], Iterator[Row]]
CODES = frozenset(["bpt", "ept", "it", "ph", "ut"])  # of a TMX text: formatting codes
HEAD = 1 << 16  # bytes of a TMX file in which its languages are looked for
PARQUET_ROWS = 4096  # rows read at once
NESTED = "translation"  # field of a JSON object or Parquet row that may contain the texts
LINE_END = re.compile(r"\s*\n\s*")


def read_tsv(path: Path, languages: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """Yield source, target and further columns, numbered from 1; DataError for a line with more or fewer."""
    for name in columns:
        if not name.isdecimal() or int(name) < 3:
            raise UsageError(f"column:{name}: columns of a TSV file are numbers, and 1 and 2 are the texts")
    chosen = [0, 1, *(int(name) - 1 for name in columns)]
    expected = max(chosen) + 1
    for number, line in enumerate(read_lines(path), 1):
        row = line.split("\t") if line else [""] * expected
        if len(row) != expected:
            found = f"{len(row)} column" + "s" * (len(row) != 1)
            wanted = "two: source, tab, target" if expected == 2 else f"{expected}, separated by tabs"
            if len(row) > expected == 2:
                wanted += "; `cut -f1,2` keeps the first two"
            raise DataError(f"{path}, line {number}: {found}, expected {wanted}")
        yield tuple(row[i] for i in chosen)


def read_json_lines(path: Path, languages: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """Yield a text for each language and further fields of JSON objects; a blank line is a blank pair."""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            yield ("",) * (2 + len(columns))
            continue
        where = f"{path}, line {number}"
        yield _fields(_read_object(line, where), languages, columns, where)


def _read_object(line: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        array = "; this looks like an array: `jq -c .[]` writes an object per line" * line.startswith("[")
        raise DataError(f"{where}: invalid JSON ({error}){array}") from None
    if not isinstance(entry, dict):
        array = "; `jq -c .[]` writes the objects of an array, one per line" * isinstance(entry, list)
        raise DataError(f"{where}: expected a JSON object such as {{…}}{array}")
    return _unnest(entry)


def _unnest(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the texts of its field `translation`, where Hugging Face Datasets has them."""
    texts = entry.get(NESTED)
    return {**entry, **texts} if isinstance(texts, dict) else entry


def _fields(entry: dict[str, Any], languages: Sequence[str], columns: Sequence[str], where: str) -> Row:
    """Return the texts, which are required, and the further fields, which are optional."""
    for name in languages:
        if not isinstance(entry.get(name), str):
            raise DataError(f"{where}: no text '{name}'; available: {', '.join(map(str, entry))}")
    further = (entry.get(name) for name in columns)
    row = *(entry[name] for name in languages), *("" if value is None else str(value) for value in further)
    try:
        "".join(row).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: {error.object[error.start]!a} is half of a surrogate pair") from None
    return row


def read_tmx(path: Path, languages: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """Yield the translation units of a translation memory (TMX 1.4): the first text of each language.

    A unit without one of the languages has a blank side. Formatting codes are removed, and line ends become
    spaces. A DOCTYPE is rejected: it can make a parser read files and exhaust the memory.
    """
    reject_columns(columns, "a TMX file has")
    memory = _TmxParser(languages)
    with open_file(path) as stream:
        while block := stream.read(1 << 16):
            yield from memory.units(path, block)
        yield from memory.units(path, b"")
    memory.check(path)


def reject_columns(columns: Sequence[str], where: str) -> None:
    """Raise UsageError if columns are requested; `where` names the format without columns."""
    if columns:
        raise UsageError(f"column:{columns[0]}: {where} no columns; use a separate file")


class _TmxParser:
    """An incremental parser of TMX."""

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = [language.lower() for language in languages]
        self.done: list[Row] = []
        self.unit: dict[str, str] = {}
        self.language: str | None = None
        self.text: list[str] | None = None
        self.length = 0  # of this text
        self.root, self.codes, self.given = "", 0, dict[str, str | None]()
        self.source = ""  # language of the sources, in the header
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler, self.parser.EndElementHandler = self.start, self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.doctype

    def units(self, path: Path, block: bytes) -> list[Row]:
        """Parse a block of the file (empty: its end) and return the units that end in it."""
        try:
            self.parser.Parse(block, not block)
        except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: of encodings
            problem = survey_file(path, [block]).describe() if block else "the file ends too early"
            raise DataError(f"{path} is not TMX: {error}" + (f"; {problem}" if problem else "")) from None
        except DataError as error:
            raise DataError(f"{path}, line {self.parser.CurrentLineNumber}: {error}") from None
        units, self.done = self.done, []
        return units

    def check(self, path: Path) -> None:
        """Raise DataError if the file was not TMX, or has no text of a language."""
        if self.root != "tmx":
            raise DataError(f"{path} is not TMX: it begins with <{self.root}>")
        for language in self.languages:
            if self.given and language not in self.given.values():
                there = ", ".join(sorted(self.given))
                raise DataError(f"{path}: no text in '{language}'; available: {there}")

    def doctype(self, *_: object) -> None:
        raise DataError("a DOCTYPE is not allowed: remove it (TMX does not need it)")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.root = self.root or name
        if name == "tu":
            self.unit = {}
        elif name == "header":
            self.source = attributes.get("srclang", "").lower().replace("_", "-")
        elif name == "tuv":
            given = attributes.get("xml:lang", attributes.get("lang", "")).lower().replace("_", "-")
            self.language = next((one for one in self.languages if f"{given}-".startswith(f"{one}-")), None)
            self.given[given] = self.language
        elif name == "seg":
            self.text, self.length, self.codes = [], 0, 0
        self.codes += name in CODES

    def end(self, name: str) -> None:
        self.codes -= name in CODES
        if name == "seg":
            if self.language is not None and self.text is not None:
                self.unit.setdefault(self.language, LINE_END.sub(" ", "".join(self.text)).strip())
            self.text = None
        elif name == "tu":
            self.done.append(tuple(self.unit.get(language, "") for language in self.languages))

    def characters(self, text: str) -> None:
        if self.text is not None and not self.codes:
            self.text.append(text)
            self.length += len(text)
            if self.length > LONGEST_LINE:
                raise DataError(f"a segment is longer than {LONGEST_LINE:,} characters")


def read_parquet(path: Path, languages: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """Yield the columns named like the languages, and further ones; MissingPackage without pyarrow."""
    wanted = [*languages, *columns]
    with _open_parquet(path) as file:
        holders = {field.name: column for column, field in _list_parquet_fields(file)}
        missing = [column for column in wanted if column not in holders]
        if missing:
            raise DataError(f"{path}: no column '{missing[0]}'; available: {', '.join(holders)}")
        read = sorted({holders[column] for column in wanted})
        batches = (batch.to_pylist() for batch in file.iter_batches(PARQUET_ROWS, columns=read))
        for number, row in enumerate(chain.from_iterable(batches), 1):
            yield _fields(_unnest(row), languages, columns, f"{path}, row {number}")


def _list_parquet_fields(file: Any) -> list[tuple[str, Any]]:
    """Return each column of a file, and each text in `translation`, with the column that holds it."""
    schema = file.schema_arrow
    nested = [field for field in schema if field.name == NESTED and str(field.type).startswith("struct")]
    return [(field.name, field) for field in schema] + [
        (NESTED, one) for field in nested for one in field.type
    ]


@contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    """Open a Parquet file; DataError if it cannot be read, MissingPackage without pyarrow."""
    with report_missing_packages():
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    try:
        yield ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise DataError(f"cannot read {path}: {error}") from None


READERS: dict[str, Reader] = {
    ".tsv": read_tsv,
    ".jsonl": read_json_lines,
    ".tmx": read_tmx,
    ".parquet": read_parquet,
}


def find_languages(path: Path) -> tuple[list[str], bool]:
    """Return the names of the texts of a file of pairs, and whether their order tells which is the source.

    They are read at its beginning; a TSV file has none. DataError if the file cannot be read.
    """
    form = Path(strip_compression(path.name)).suffix
    if form == ".jsonl":
        lines = ((number, line) for number, line in enumerate(read_lines(path), 1) if line.strip())
        entry = next((_read_object(line, f"{path}, line {number}") for number, line in lines), {})
        return [name for name, text in entry.items() if isinstance(text, str)], True
    if form == ".tmx":
        memory = _TmxParser([])
        with open_file(path) as stream:
            memory.units(path, stream.read(HEAD))
        found = sorted(memory.given, key=lambda name: (not f"{name}-".startswith(f"{memory.source}-"), name))
        is_known = bool(found) and f"{found[0]}-".startswith(f"{memory.source}-")
        primary = [*map(find_primary_language, found)]
        return (primary if len(set(primary)) == len(primary) else found), is_known
    if form == ".parquet":
        with _open_parquet(path) as file:
            return [one.name for _, one in _list_parquet_fields(file) if one.type == "string"], True
    return [], False
