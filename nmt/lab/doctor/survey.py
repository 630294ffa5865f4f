"""A survey of a corpus in one pass: unusual lines, and statistics in 26 bytes per pair."""

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from unicodedata import east_asian_width

from nmt.data.pair_rules import LINE_RULES, LineRule, is_identical
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.script import find_main_script
from nmt.errors import DataError

LISTED = 5  # line numbers that are listed for a problem
EXCERPT_WIDTH = 56  # columns of an example on the terminal


@dataclass
class OccurrenceCounter:
    """The count of a problem, its first lines, and an example."""

    count: int = 0
    lines: list[int] = field(default_factory=list)
    example: str = ""

    def add(self, line: int, text: str) -> None:
        """Count an occurrence."""
        self.count += 1
        if len(self.lines) < LISTED:
            self.lines.append(line)
            self.example = self.example or text

    def format_lines(self) -> str:
        """Format `lines 4, 17 and 9 more`."""
        listed, rest = ", ".join(f"{line:,}" for line in self.lines), self.count - len(self.lines)
        return f"line{'s' * (self.count > 1)} {listed}" + (f" and {rest:,} more" if rest > 0 else "")


class Survey:
    """Statistics of the pairs (or lines of plain text) of a corpus."""

    def __init__(self, corpus: Corpus, limit: int | None = None) -> None:
        """Read the corpus, or its first `limit` pairs, up to the first error."""
        self.corpus, self.sides = corpus, (0, 1) if corpus.parallel else (1,)
        self.failure: str | None = None
        self.lines: dict[tuple[LineRule, int], OccurrenceCounter] = defaultdict(OccurrenceCounter)
        self.pairs: dict[str, OccurrenceCounter] = defaultdict(OccurrenceCounter)
        self.hashes = (array("q"), array("q"))
        self.lengths = (array("I"), array("I"))
        self.scripts = (array("b"), array("b"))  # indices in `script_names`
        self.script_names: list[str | None] = [None]  # None: no letters
        try:
            for number, (src, tgt) in enumerate(islice(read_pairs(corpus), limit), 1):
                self._add(number, (src, tgt))
        except DataError as error:
            self.failure = str(error)

    def __len__(self) -> int:
        return len(self.hashes[1])

    @property
    def unit(self) -> str:
        """The unit that is counted."""
        return "pairs" if self.corpus.parallel else "lines"

    def file(self, side: int) -> str:
        """Return the name of the file of a side."""
        return self.corpus.files[min(side, len(self.corpus.files) - 1)].name

    def files(self) -> str:
        """Return the names of all files."""
        return " and ".join(file.name for file in self.corpus.files)

    def _add(self, number: int, pair: tuple[str, str]) -> None:
        if self.corpus.parallel and not all(map(str.strip, pair)):
            self.pairs["blank"].add(number, "")
        if self.corpus.parallel and is_identical(*pair) and any(map(str.isalpha, pair[0])):
            self.pairs["identical"].add(number, _shorten(pair[0], EXCERPT_WIDTH // 2))
        if all(len(text) > 1 and text[0] == text[-1] == '"' for text in map(str.strip, pair)):
            self.pairs["quoted"].add(number, excerpt(*pair))
        for side in self.sides:
            line = pair[side]
            for rule in LINE_RULES:
                if rule.pattern.search(line):
                    self.lines[rule, side].add(number, excerpt(line))
            text = line.strip()
            self.hashes[side].append(hash(text))
            self.lengths[side].append(len(text))
            script = find_main_script(text)
            if script not in self.script_names:
                self.script_names.append(script)
            self.scripts[side].append(self.script_names.index(script))


def excerpt(*lines: str) -> str:
    """Shorten lines for a message; control characters are escaped."""
    return " | ".join(_shorten(line, EXCERPT_WIDTH // len(lines)) for line in lines)


def _shorten(line: str, columns: int) -> str:
    """Cut a line to a number of columns; Hangul, Han and the like take two each."""
    shown, free = "", columns
    for character in line:
        visible = character if character.isprintable() else character.encode("unicode_escape").decode()
        free -= sum(2 if east_asian_width(c) in "WF" else 1 for c in visible)
        if free < 1:
            return shown + "…"
        shown += visible
    return shown
