"""Protection of what is not a word: addresses, tags, placeholders, numbers and emoji are replaced by copy
symbols, which a model copies from source to target, and are then written as they were.

A symbol is set off from letters by spaces, which are not written again, so that a model reads the words next
to it as it does elsewhere. The symbols of a line are numbered around: any `count` successive ones differ.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from nmt.data.protection.spans import Span, find_spans
from nmt.data.script import find_script, is_written_with_spaces
from nmt.data.vocabulary import COPY, SentencePieceVocabulary, Vocabulary, copy_symbol


class Copy(NamedTuple):
    """A span of a line that a symbol replaces."""

    text: str
    joins_left: bool  # written without a space before it, although its symbol may have one
    joins_right: bool

    @property
    def words(self) -> int:
        """The number of words that it consists of."""
        return max(1, len(self.text.split()))


class ProtectedText(NamedTuple):
    """A line with symbols, and what they replace, in order."""

    text: str
    copies: tuple[Copy, ...]

    def locate(self, position: int) -> int:
        """Return the index in the line of a character of the text."""
        shift = 0
        for match, copy in zip(COPY.finditer(self.text), self.copies, strict=False):
            left = copy.joins_left and self.text[match.start() - 1 : match.start()] == " "
            right = copy.joins_right and self.text[match.end() : match.end() + 1] == " "
            if match.start() - left >= position:
                break
            shift += len(copy.text) - len(match[0]) - left - right
        return position + shift


@dataclass(frozen=True)
class Protection:
    """The kinds of spans that are protected, and the number of symbols that a vocabulary has for them.

    With `whole_words` only spans between spaces are protected: for text whose words are not divided.
    """

    kinds: tuple[str, ...]
    count: int
    whole_words: bool = False

    def protect(self, line: str, tag: str = "", forbidden: Sequence[str] = ()) -> ProtectedText:
        """Replace the spans of a line, after the tag at its beginning, that contain no forbidden phrase."""
        spans = [
            (start, end)
            for start, end in self._find(line)
            if start >= len(tag) and not any(phrase in line[start:end] for phrase in forbidden if phrase)
        ]
        return _replace(line, spans, [i % self.count + 1 for i in range(len(spans))])

    def protect_pair(self, source: str, target: str) -> tuple[str, str]:
        """Replace the spans that both sides of a pair contain, at most `count`."""
        source_spans = self._find(source)
        if not source_spans:
            return source, target
        target_spans = self._find(target)
        common = _texts(source, source_spans) & _texts(target, target_spans)
        chosen = _choose(source, source_spans, common)[: self.count]
        numbers = defaultdict[str, list[int]](list)
        for number, (start, end) in enumerate(chosen, 1):
            numbers[source[start:end]].append(number)
        counts = Counter({text: len(of_text) for text, of_text in numbers.items()})
        written = _choose(target, target_spans, counts)
        order = [numbers[target[start:end]].pop(0) for start, end in written]
        return _replace(source, chosen, range(1, len(chosen) + 1)).text, _replace(target, written, order).text

    def protect_given(self, text: str, copies: Mapping[int, Copy]) -> tuple[str, list[int]]:
        """Replace the spans of a given output that are among the copies of its source, each once.

        Also returns the numbers of their symbols.
        """
        numbers = defaultdict[str, list[int]](list)
        for number, copy in copies.items():
            numbers[copy.text].append(number)
        counts = Counter({copy: len(of_text) for copy, of_text in numbers.items()})
        spans = _choose(text, self._find(text) if copies else [], counts)
        order = [numbers[text[start:end]].pop(0) for start, end in spans]
        return _replace(text, spans, order).text, order

    def _find(self, line: str) -> list[Span]:
        spans = find_spans(line, self.kinds)
        if COPY.search(line):  # a text that looks like a symbol
            others = (match.span() for match in COPY.finditer(line))
            spans = sorted([*spans, *(one for one in others if not any(map(_overlap(one), spans)))])
        return [span for span in spans if _is_whole_word(line, span)] if self.whole_words else spans


def build_protection(kinds: tuple[str, ...], source: Vocabulary, target: Vocabulary) -> Protection | None:
    """Return the protection of a translator's lines; None without kinds, or symbols in both vocabularies."""
    count = min(len(source.copies), len(target.copies))
    divides_words = all(isinstance(vocabulary, SentencePieceVocabulary) for vocabulary in (source, target))
    return Protection(kinds, count, not divides_words) if kinds and count else None


def _overlap(one: Span) -> Callable[[Span], bool]:
    return lambda other: one[0] < other[1] and other[0] < one[1]


def _is_whole_word(line: str, span: Span) -> bool:
    return line[span[0] - 1 : span[0]] in ("", " ") and line[span[1] : span[1] + 1] in ("", " ")


def _texts(line: str, spans: Iterable[Span]) -> Counter[str]:
    return Counter(line[start:end] for start, end in spans)


def _choose(line: str, spans: Iterable[Span], counts: Counter[str]) -> list[Span]:
    """Return the first spans of each text, as many as counted."""
    left, chosen = counts.copy(), []
    for start, end in spans:
        if left[line[start:end]] > 0:
            left[line[start:end]] -= 1
            chosen.append((start, end))
    return chosen


def _replace(line: str, spans: Sequence[Span], numbers: Sequence[int]) -> ProtectedText:
    """Replace spans by the symbols of some numbers."""
    texts, copies, last = list[str](), list[Copy](), 0
    for index, ((start, end), number) in enumerate(zip(spans, numbers, strict=True)):
        follows = index > 0 and start == last
        precedes = index + 1 < len(spans) and spans[index + 1][0] == end
        left, right = (not follows and is_set_off(line[start - 1 : start])), is_set_off(line[end : end + 1])
        right = right and not precedes
        texts += [line[last:start], " " * left, copy_symbol(number), " " * right]
        copies.append(Copy(line[start:end], left or follows, right or precedes))
        last = end
    return ProtectedText("".join([*texts, line[last:]]), tuple(copies))


def is_set_off(character: str) -> bool:
    """Return True for a letter or digit from which a symbol is separated by a space.

    In scripts without spaces, and before the particles of Korean, text continues right after a symbol.
    """
    return character != "" and is_written_with_spaces(character) and find_script(character) != "Hangul"


def restore(text: str, copies: Mapping[int, Copy]) -> str:
    """Replace the symbols of a text by what they stand for."""
    if not copies:
        return text
    first, *rest = COPY.split(text)
    texts, shown = [first], [copies.get(int(number)) for number in rest[::2]]
    for number, copy, after in zip(rest[::2], shown, rest[1::2], strict=True):
        texts += [copy_symbol(int(number)) if copy is None else copy.text, after]
    for index, copy in enumerate(shown):
        if copy is not None:
            before, after = 2 * index, 2 * index + 2
            texts[before] = _join_left(texts[before], copy)
            texts[after] = _join_right(texts[after], copy)
    for index, (one, other) in enumerate(pairwise(shown), 1):
        if one and other and texts[2 * index] == "" and not (one.joins_right or other.joins_left):
            texts[2 * index] = " "
    return "".join(texts)


def _join_left(before: str, copy: Copy) -> str:
    if copy.joins_left:
        return before.removesuffix(" ")
    return before + " " * is_set_off(before[-1:])


def _join_right(after: str, copy: Copy) -> str:
    if copy.joins_right:
        return after.removeprefix(" ")
    return " " * is_set_off(after[:1]) + after
