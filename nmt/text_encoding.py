"""Files that are not UTF-8 text: what they are instead, and the command that converts them."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from nmt.errors import escape_controls, report_missing_packages
from nmt.operating_system import IS_WINDOWS
from nmt.reservoir import Reservoir

ENCODINGS = {
    **{"utf-16": "UTF-16", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"},
    **{"utf-32": "UTF-32", "utf-32-le": "UTF-32LE", "utf-32-be": "UTF-32BE"},
    **{"cp949": "CP949", "euc_kr": "EUC-KR", "johab": "JOHAB", "iso2022_kr": "ISO-2022-KR"},
    **{"gb18030": "GB18030", "big5hkscs": "BIG5-HKSCS", "cp932": "CP932"},
    **{"euc_jis_2004": "EUC-JISX0213", "shift_jis_2004": "SHIFT_JISX0213", "iso2022_jp_2": "ISO-2022-JP-2"},
    **{"koi8-r": "KOI8-R", "koi8-u": "KOI8-U", "tis-620": "TIS-620", "mac-roman": "MACINTOSH"},
    **{f"cp{number}": f"CP{number}" for number in (874, 850, 852, 866, *range(1250, 1259))},
    **{f"iso8859-{part}": f"ISO-8859-{part}" for part in (*range(1, 11), 13, 14, 15, 16)},
}
"""Encodings that are recognised, by their names in chardet and Python, and their names in iconv."""

EXPORT = "save its text as UTF-8, one sentence on a line"
MAGIC = {
    rb"\x1f\x8b": ("gzip-compressed", "decompress it (gzip -dc)"),
    rb"BZh[1-9][1\x17]": ("bzip2-compressed", "decompress it (bzip2 -dc)"),
    rb"\xfd7zXZ\0": ("xz-compressed", "decompress it (xz -dc)"),
    rb"\x28\xb5\x2f\xfd": ("zstd-compressed", "decompress it (zstd -dc)"),
    rb"7z\xbc\xaf": ("a 7z archive", "extract the text (7z x)"),
    rb"Rar!\x1a": ("a RAR archive", "extract the text (unrar x)"),
    rb"PK\x03\x04": ("a ZIP archive", "extract the text (unzip)"),
    rb"%PDF-\d\.\d[\r\n]": ("a PDF document", f"{EXPORT} (pdftotext)"),
    rb"\{\\rtf\d": ("an RTF document", EXPORT),
    rb"\xd0\xcf\x11\xe0": ("a document of Microsoft Office", EXPORT),
    rb"PAR1[\0-\x1f]": ("a Parquet file", "add .parquet to its name"),
    rb"SQLite format 3\0": ("an SQLite database", EXPORT),
    rb"\x89PNG\r\n": ("a PNG picture", EXPORT),
    rb"\xff\xd8\xff": ("a JPEG picture", EXPORT),
    rb"\x7fELF": ("a program", "check the name"),
}
"""What a file is by its first bytes, and what to do."""
ZIP = rb"PK\x03\x04"
ZIP_MEMBERS = {
    "word/": ("a Word document", EXPORT),
    "xl/": ("an Excel workbook", "save the sheet as tab-separated UTF-8 text"),
    "ppt/": ("a PowerPoint presentation", EXPORT),
    "content.xml": ("an OpenDocument document", EXPORT),
}
"""What a ZIP archive is by the beginning of the names in it."""
BYTE_ORDER_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
NUL = b"\0"
ESCAPE = b"\x1b$"  # of ISO 2022, whose text is ASCII
CONTROLS = bytes([*range(9), *range(14, 27), *range(28, 32), 127])
DECOMPRESSORS = {
    ".gz": (b"\x1f\x8b", "gzip -dc"),
    ".bz2": (b"BZh", "bzip2 -dc"),
    ".xz": (b"\xfd7zXZ\0", "xz -dc"),
    ".zst": (b"\x28\xb5\x2f\xfd", "zstd -dc"),
}
"""The first bytes of each kind of compressed file, by its suffix, and the command that decompresses it."""

HEAD = 1 << 16  # bytes of the beginning of a file that are kept
SAMPLE = 500  # lines from which an encoding is guessed
LINE = 4000  # bytes of such a line
EXAMPLE = 30  # characters of an example
LISTED = 10  # line numbers in a message
MACINTOSH = 10  # carriage returns in a first line that ends with \n, from which they are line ends
MANY_CONTROLS = 0.1  # share of control characters above which bytes are not text


class ByteSurvey:
    """Counts of the bytes and lines of a file, and a sample of the lines that are not UTF-8."""

    def __init__(self, path: Path | None) -> None:
        """Begin with no line. A stream has no path."""
        self.path = path
        self.head, self.bad_lines = b"", list[int]()
        self._sample = Reservoir[bytes](SAMPLE, seed=0)
        self.size = self.controls = self.lines = self.good = self.bad = 0
        self.has_escapes = self.has_nuls = False

    def add(self, raw: bytes) -> None:
        """Count a line; the memory does not depend on the number of lines."""
        self.lines += 1
        self.size += len(raw)
        self.controls += count_controls(raw)
        if len(self.head) < HEAD:
            self.head += raw[: HEAD - len(self.head)]
        self.has_nuls = self.has_nuls or NUL in raw
        if ESCAPE in raw:
            self.has_escapes = True
            self._sample.add(_shorten(raw))
        if not raw.isascii():
            if _is_utf8(raw):
                self.good += 1
            else:
                self.bad += 1
                self.good += _is_nearly_utf8(raw)
                self._sample.add(_shorten(raw))
                if len(self.bad_lines) < LISTED:
                    self.bad_lines.append(self.lines)

    def find_encoding(self) -> str | None:
        """Return the name in Python of the encoding, None if it is UTF-8 or not recognised."""
        for mark, name in BYTE_ORDER_MARKS.items():
            if self.head.startswith(mark):
                return name
        if NUL in self.head and (guess := guess_encoding(self.head)) and guess.startswith("utf"):
            return guess
        return guess_encoding(b"\n".join(self._sample.items)) if self.bad or self.has_escapes else None

    @property
    def is_mostly_utf8(self) -> bool:
        """Whether a good part of the lines with other characters than those of ASCII is UTF-8, or nearly."""
        return self.good > 0 and self.good * 10 >= self.bad

    @property
    def is_suspicious(self) -> bool:
        """Whether a line may be one of another encoding."""
        return self.bad > 0 or self.has_escapes or self.has_nuls

    def describe(self) -> str | None:
        """Return what is wrong with the text and what to do; None if nothing is."""
        if kind := find_binary_kind(self.head, self.path):
            return kind
        encoding = self.find_encoding()
        if encoding and not (self.bad and self.is_mostly_utf8):
            command = conversion(self.path, f"iconv -f {ENCODINGS[encoding]} -t UTF-8")
            example = self._find_example(encoding)
            return f"it looks like {ENCODINGS[encoding]} text ({example}): convert it with {command}"
        if self.controls > MANY_CONTROLS * self.size:
            return "it is binary data, not plain text: check the name"
        if not self.bad:
            return None
        if self.is_mostly_utf8:
            return self._describe_bad_lines(encoding)
        command = conversion(self.path, "iconv -f NAME -t UTF-8")
        return f"its encoding was not recognised: convert it with {command}"

    def _describe_bad_lines(self, encoding: str | None) -> str:
        """Describe the lines that are not UTF-8 in a file that is otherwise."""
        listed, more = ", ".join(f"{number:,}" for number in self.bad_lines), self.bad - len(self.bad_lines)
        where = f"line{'s' * (self.bad > 1)} {listed}" + (f" and {more:,} more" if more else "")
        verb, lines = ("is", "this line") if self.bad == 1 else ("are", "these lines")
        if encoding and self.bad >= LISTED:
            lines += f", which look like {ENCODINGS[encoding]} text"
        command = conversion(self.path, "iconv -c -f UTF-8 -t UTF-8")
        return (
            f"{self.bad:,} of its {self.lines:,} lines {verb} not UTF-8 ({where}), but the rest is: "
            f"correct or delete {lines}, or remove the bytes with {command}"
        )

    def _find_example(self, encoding: str) -> str:
        """Return the beginning of the text as it reads in an encoding, by which a wrong guess is noticed."""
        source = self.head if encoding.startswith("utf") else b"\n".join(self._sample.items)[:LINE]
        text = source[: len(source) // 4 * 4].decode(encoding, "ignore").lstrip("\ufeff\r\n")
        words = re.split(r"[\r\n]", text)[0]
        return f'it reads "{escape_controls(words[:EXAMPLE])}{"…" * (len(words) > EXAMPLE)}"'


def count_controls(raw: bytes) -> int:
    """Count control characters that are not white space or escapes."""
    return len(raw) - len(raw.translate(None, CONTROLS))


def _shorten(raw: bytes) -> bytes:
    """Return a line, or the beginning of a long one, if possible up to a space."""
    return raw if len(raw) <= LINE else raw[:LINE].rpartition(b" ")[0] or raw[:LINE]


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_nearly_utf8(raw: bytes) -> bool:
    """Return True for a line of UTF-8 with some broken bytes; other encodings have hardly any UTF-8."""
    text = raw.decode(errors="replace")
    broken = text.count("\ufffd")
    return sum(not char.isascii() for char in text) - broken >= max(3, 2 * broken)


def guess_encoding(sample: bytes) -> str | None:
    """Guess the encoding of bytes that are not UTF-8; None if no encoding fits all of them."""
    if not sample:
        return None
    with report_missing_packages():
        import chardet
    found = chardet.detect(sample, include_encodings=ENCODINGS, compat_names=False)
    name = (found["encoding"] or "").lower()
    if name not in ENCODINGS:
        return None
    try:
        sample.decode(name)
    except UnicodeDecodeError:
        return None
    return name


def find_binary_kind(head: bytes, path: Path | None) -> str | None:
    """Return what a file is by its first bytes, and what to do; None if it may be text."""
    for magic, (kind, advice) in MAGIC.items():
        if re.match(magic, head):
            if magic == ZIP and path is not None:
                kind, advice = _find_zip_kind(path)
            return f"it is {kind}, not plain text: {advice}"
    return None


def _find_zip_kind(path: Path) -> tuple[str, str]:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, BadZipFile, ValueError, NotImplementedError):
        names = []
    kinds = (kind for start, kind in ZIP_MEMBERS.items() if any(name.startswith(start) for name in names))
    return next(kinds, MAGIC[ZIP])


def survey_lines(lines: Iterable[bytes], path: Path | None) -> ByteSurvey:
    """Survey a text, whose lines have their line ends."""
    survey = ByteSurvey(path)
    for raw in lines:
        survey.add(raw)
    return survey


def find_mac_line_ends(first: bytes, path: Path | None) -> str | None:
    r"""Return what is wrong if the first line of a text is the whole of it, and its line ends are "\r"."""
    line = first.removesuffix(b"\n").removesuffix(b"\r")
    count = line.count(b"\r")
    if count < (MACINTOSH if first.endswith(b"\n") else 1):
        return None
    command = conversion(path, r"tr '\r' '\n'")
    return (
        rf"{count:,} of its lines end{'s' * (count == 1)} in a carriage return (\r), as on classic Mac OS, "
        rf"and only \n ends a line: convert it with {command}"
    )


def conversion(path: Path | None, program: str) -> str:
    """Return the command that converts a file to `FILE.utf8`, or a stream in a pipe; Windows has none."""
    if IS_WINDOWS:
        return "an editor that saves it as UTF-8 with line ends LF"
    if path is None or path.parts[:2] in (("/", "dev"), ("/", "proc")):
        return f"`{program}` before it is read"
    with path.open("rb") as file:
        head = file.read(HEAD)
    source = next((command for magic, command in DECOMPRESSORS.values() if head.startswith(magic)), None)
    name = quote(str(path))
    result = quote(f"{path.with_suffix('') if path.suffix in DECOMPRESSORS else path}.utf8")
    if source:
        return f"`{source} {name} | {program} > {result}`"
    return (
        f"`{program} < {name} > {result}`" if program.startswith("tr") else f"`{program} {name} > {result}`"
    )


def quote(name: str) -> str:
    """Quote a file name for a shell; what cannot be printed is escaped as bash, ksh and zsh read it."""
    if name.isprintable():
        return shlex.quote(name if not name.startswith("-") else f"./{name}")
    raw = (byte.to_bytes() for byte in name.encode("utf-8", "surrogateescape"))
    return "$'" + "".join(b.decode() if b.isalnum() or b in b"/._-" else f"\\x{b.hex()}" for b in raw) + "'"
