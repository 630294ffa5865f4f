"""Protected spans of the lines of a job: their copy symbols, and their text and words in the output."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple

from nmt.data.protection import Copy, Protection, is_set_off, restore
from nmt.data.vocabulary import COPY
from nmt.decoding.job import Job, Line, LineConstraints, Tokenizer
from nmt.decoding.model import Floats
from nmt.decoding.options import Request
from nmt.decoding.parts import SPACE, Part, begins_next_word, has_subwords

Alignment = list[tuple[int, int]]  # pairs of source word and target word, from 0


class ProtectedLine(NamedTuple):
    """A line with copy symbols in its text and its constraints, and what they stand for, in order."""

    line: Line
    copies: tuple[Copy, ...] = ()


def protect_line(line: Line, protection: Protection, source: Tokenizer) -> ProtectedLine:
    """Replace the protected spans of a line; one that it forbids is translated like other text."""
    constraints = line.constraints
    text, copies = protection.protect(line.text, source.tag(line.text), constraints.must_not)
    if not copies:
        return ProtectedLine(line)
    by_number = {i + 1: copy for i, copy in enumerate(copies[: protection.count])}
    constraints = _protect_constraints(constraints, protection, by_number)
    return ProtectedLine(line._replace(text=text, constraints=constraints), copies)


def _protect_constraints(
    constraints: LineConstraints, protection: Protection, copies: Mapping[int, Copy]
) -> LineConstraints:
    """Replace the spans that constraints share with their line; a symbol is used by one of them."""
    prefix, used = protection.protect_given(constraints.prefix, copies)
    given, must = [constraints.prefix], list[str]()
    for phrase in constraints.must:
        is_repeated = any(phrase in text for text in given)
        left = {number: copy for number, copy in copies.items() if is_repeated or number not in used}
        text, numbers = protection.protect_given(phrase, left)
        must.append(text)
        used += numbers
        given.append(phrase)
    forbidden = [protection.protect_given(phrase, copies)[0] for phrase in constraints.must_not]
    must_not = tuple(dict.fromkeys([*constraints.must_not, *forbidden]))
    return constraints._replace(prefix=prefix, must=tuple(must), must_not=must_not)


def protect_given_pair(source: str, target: str, job: Job) -> tuple[str, str]:
    """Replace the spans of a source, and of its given translation those that it shares with the source."""
    if job.protection is None:
        return source, target
    given = Line(0, source, constraints=LineConstraints(prefix=target))
    line, _ = protect_line(given, job.protection, job.source)
    return line.text, line.constraints.prefix


def request_copies(request: Request, job: Job) -> Request:
    """Require each copy symbol of a request's source in its output, and no other."""
    ours, theirs = job.source.copies, job.target.copies
    return request._replace(
        copies=[theirs[ours.index(token)] for token in request.source if token in ours], symbols=theirs
    )


class PartWords(NamedTuple):
    """The words of the line to which the tokens of a part belong, and its copies by their numbers."""

    words: list[int]
    copies: Mapping[int, Copy]
    first_words: Mapping[int, int]  # of the copies

    def restore(self, text: str) -> str:
        """Return a text of the part with the copies instead of their symbols."""
        return restore(text, self.copies)

    def mark(self, tokens: Sequence[str]) -> list[Copy | None]:
        """Return the copy of each token that is a symbol."""
        return [_find_copy(token, self.copies) for token in tokens]

    def link(self, tokens: Sequence[str], words: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
        """Return the pairs of equal words, for the tokens of an output that belong to a symbol."""
        links = dict[int, list[tuple[int, int]]]()
        for index, copy in enumerate(self.mark(tokens)):
            if copy is not None:
                number = int(COPY.sub(r"\1", tokens[index]))
                links[index] = [(self.first_words[number] + i, words[index] + i) for i in range(copy.words)]
                if index > 0 and tokens[index - 1] == SPACE:
                    links[index - 1] = []
        return links


def _find_copy(token: str, copies: Mapping[int, Copy]) -> Copy | None:
    match = COPY.fullmatch(token) if copies else None
    return copies.get(int(match[1])) if match else None


def index_words(tokens: Sequence[str], subwords: bool, copies: Sequence[Copy | None] = ()) -> list[int]:
    """Return the index of the word of the text to which each token belongs, and the number of words at last.

    Words are separated by spaces. `copies` are those that the tokens stand for; a copy may be several words.
    """
    starts = [begins_next_word(tokens, index, subwords) for index in range(len(tokens))]
    if any(copies):
        starts = [_starts_word(i, tokens, copies, start) for i, start in enumerate(starts)]
    following = [*starts[1:], True][: len(tokens)]
    lengths = [copy.words - 1 if copy else 0 for copy in copies] if copies else [0] * len(tokens)
    return list(accumulate(map(sum, zip(following, lengths, strict=True)), initial=0))


def _starts_word(index: int, tokens: Sequence[str], copies: Sequence[Copy | None], starts: bool) -> bool:
    """Return True if a token starts a word of the text after `restore` has joined what belongs together."""
    token, copy = tokens[index], copies[index]
    before, last = (copies[index - 1], tokens[index - 1]) if index else (None, "")
    if token == SPACE and index + 1 < len(tokens) and (following := copies[index + 1]):
        return not (following.joins_left or (before is not None and before.joins_right))
    if copy is not None and last != SPACE:
        if before is not None:
            return not (copy.joins_left or before.joins_right)
        return starts or (not copy.joins_left and is_set_off(last[-1:]))
    if before is not None:
        return not before.joins_right and (starts or is_set_off(token[:1]))
    return starts


def locate_copies(parts: Sequence[Part], copies: Sequence[Copy], job: Job) -> list[PartWords]:
    """Return the words of the line to which the tokens of each part belong, and the copies of the part."""
    left, symbols = iter(copies), job.source.copies if copies else range(0)
    subwords = has_subwords([token for part in parts for token in part.tokens])
    found, last = list[PartWords](), 0  # the last word before a part
    for number, part in enumerate(parts):
        marks = [next(left) if token in symbols else None for token in part.ids] if symbols else []
        first = last + _starts_new_word(parts, number, subwords) if number else 0
        *indices, count = index_words(part.tokens[part.tagged :], subwords, marks[part.tagged :])
        words = [0] * part.tagged + [first + index for index in indices]
        last = first + max(count, 1) - 1
        numbered = [
            (symbols.index(token) + 1, copy, word)
            for token, copy, word in zip(part.ids, marks, words, strict=False)
            if copy is not None
        ]
        by_number = {number: copy for number, copy, _ in numbered}
        found.append(PartWords(words, by_number, {number: word for number, _, word in numbered}))
    return found


def _starts_new_word(parts: Sequence[Part], number: int, subwords: bool) -> bool:
    """Return True if a part that is not the first does not continue the last word of the one before it."""
    before, part = parts[number - 1], parts[number]
    if part.span != before.span:
        return bool(part.gap)
    return begins_next_word([before.tokens[-1], *part.tokens[part.tagged :]], 1, subwords)


def align_words(
    weights: Floats,
    source_words: list[int],
    target_words: list[int],
    known: Mapping[int, list[tuple[int, int]]] = MappingProxyType({}),
) -> Alignment:
    """Align each target token with its most attended source token, as distinct word pairs; weights [T, S].

    Of some tokens, given by their index, the pairs are `known`.
    """
    attended = weights.argmax(axis=-1).tolist()
    aligned = enumerate(zip(attended, target_words, strict=True))
    pairs = {(source_words[s], target) for index, (s, target) in aligned if index not in known}
    pairs.update(pair for of_token in known.values() for pair in of_token)
    return sorted(pairs, key=lambda pair: pair[::-1])
