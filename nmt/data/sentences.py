"""The sentences and clauses of a line, for any script, and the white space between their translations.

The library `sentencex` knows abbreviations, initials and ordinal numbers of many languages (decision 0032).
It is completed here by the sentence ends of all scripts, and guarded against text that it cannot process.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import sentencex

from nmt.data.script import find_primary_language

BLOCK = 1024  # characters: the time of the library grows with the square of the text
LONG_CODES = (
    "am=amh, ar=ara/arb, az=aze, be=bel, bg=bul, bn=ben, ca=cat, cs=ces/cze, da=dan, de=deu/ger, "
    "el=ell/gre, en=eng, es=spa, et=est, fa=fas/per, fi=fin, fr=fra/fre, gu=guj, he=heb, hi=hin, hr=hrv, "
    "hu=hun, hy=hye, id=ind, is=isl, it=ita, ja=jpn, ka=kat, kk=kaz, km=khm, kn=kan, ko=kor, lo=lao, "
    "lt=lit, lv=lav, ml=mal, mr=mar, my=mya, nl=nld/dut, no=nob/nor, pa=pan, pl=pol, pt=por, ro=ron/rum, "
    "ru=rus, sk=slk, sl=slv, sr=srp, sv=swe, sw=swh, ta=tam, te=tel, th=tha, tr=tur, uk=ukr, ur=urd, "
    "vi=vie, zh=chi/cmn/zho "
)
"""Codes of ISO 639-1, which the library knows, and those of ISO 639-2 and 639-3."""
SHORT_CODES = {
    long: short
    for entry in LONG_CODES.split(",")
    for short, _, codes in [entry.strip().partition("=")]
    for long in codes.split("/")
}

WIDE_ENDS = "。！？｡"  # not followed by a space
OTHER_ENDS = "।॥؟۔։።፧፨។៕།༎။᠃᠉᙮꓿"
ENDS = ".!?…‥" + WIDE_ENDS + OTHER_ENDS
CLOSERS = "\"'”’»›」』〉》】）)]"
CLOSED = f"[{re.escape(CLOSERS)}]*"
OTHER_END = re.compile(f"[{WIDE_ENDS}{OTHER_ENDS}][{ENDS}]*{CLOSED}\\s*(?=[^\\s{ENDS}{re.escape(CLOSERS)}])")
ELLIPSIS = re.compile(f"[…‥]{CLOSED}\\s+")
CAPITAL = "(?=[“„«‘\"'(]?[A-ZÀ-ÖØ-Þ])"
ORDINARY_WORDS = {
    "en": f"(?<![\\w.])(?:ark|art|fed|ill|may|me|miss|no|ore|May|No|OK)[.]{CLOSED}\\s+{CAPITAL}",
    "de": f"(?<![\\w.])(?:mag|mich|Art|Bart|OK)[.]{CLOSED}\\s+{CAPITAL}",
}
"""Ends of sentences after words that the library takes for abbreviations, such as `me` for Maine."""
BEFORE_NUMBER = f"[^\\W\\d_]{{5}}[.]{CLOSED}\\s+(?=\\d)"
"""The end of a sentence before a number, after a word that is too long for an abbreviation."""
NEVER_BEFORE_NUMBER = ("ca", "cs", "da", "de", "fi", "kk", "sk")
"""Languages in which the library ends no sentence before a number."""
LANGUAGE_ENDS = {
    language: re.compile("|".join(filter(None, (ORDINARY_WORDS.get(language), number))))
    for language in {*ORDINARY_WORDS, *NEVER_BEFORE_NUMBER}
    for number in [BEFORE_NUMBER if language in NEVER_BEFORE_NUMBER else ""]
}
CONTINUATION = re.compile("[\u3040-\u309f\uac00-\ud7a3]")  # particles after a quotation in Japanese, Korean
UNKNOWN_SPACE = re.compile("[^\\S\n]|[\ud800-\udfff]")  # the library fails at some of these
LIST_NUMBER = re.compile(r"\W*\d{1,3}[.)]\W*")
CLAUSE_END = re.compile(
    f"(?:[,;:،؛]{CLOSED}(?:\\s+|(?=[\u3040-\u30ff\u3400-\u9fff]))|[，、；：၊፣፤፥།]{CLOSED}\\s*|\\s[–—-]+\\s+)"
)
UNSPACED = re.compile(
    "[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff]"
)
"""Characters of scripts that are written without spaces between sentences."""
LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


class Span(NamedTuple):
    """A part of a text, by the indices of its characters."""

    start: int
    end: int


def split_sentences(text: str, language: str = "") -> list[Span]:
    """Return the sentences of a text in a language (a code; unknown ones by general rules), in order.

    White space around them belongs to none. A text without letters and digits is one sentence.
    """
    if not _may_have_several(text):
        return _strip_spans(text, [0, len(text)])
    language = _language_code(language)
    edges = {*_library_edges(text, language)}
    if language in LANGUAGE_ENDS:
        edges.update(match.end() for match in LANGUAGE_ENDS[language].finditer(text))
    edges.update(match.end() for match in OTHER_END.finditer(text))
    edges.update(m.end() for m in ELLIPSIS.finditer(text) if text[m.end() : m.end() + 1].isupper())
    edges = {edge for edge in edges if not _continues_quotation(text, edge)}
    return _strip_spans(text, _join_fragments(text, sorted({0, *edges, len(text)})))


def split_clauses(text: str, span: Span) -> list[Span]:
    """Return the clauses of a sentence, in order: it is cut after commas, colons, semicolons and dashes."""
    ends = [match.end() for match in CLAUSE_END.finditer(text, *span)]
    edges = _join_fragments(text, sorted({span.start, *ends, span.end}))
    return _strip_spans(text, edges)


def find_separator(first: str, second: str, gap: str) -> str:
    """Return what to write between two translated parts, whose sources are separated by `gap`.

    One space, or none, becomes what the script of the translation has there; other white space is layout,
    which is kept, but contains no line ends.
    """
    if not first or not second:
        return ""
    is_unspaced = bool(UNSPACED.match(first[-1]) or UNSPACED.match(second[0]))
    if gap in ("", " "):
        return "" if is_unspaced else " "
    gap = LINE_END.sub(" ", gap)
    return gap if is_unspaced else gap.replace("\u3000", " ")


def _may_have_several(text: str) -> bool:
    """Return True if a sentence may end before the end of the text."""
    inner = text.strip().rstrip(ENDS + CLOSERS)
    return any(end in inner for end in f"\n;\u037e{ENDS}")  # in Greek, a semicolon ends a question


def _language_code(language: str) -> str:
    code = find_primary_language(language)
    return SHORT_CODES.get(code, code)


def _library_edges(text: str, language: str) -> Iterator[int]:
    """Yield the sentence ends that the library finds; it gets blocks of about equal size."""
    start, size = 0, BLOCK
    text = UNKNOWN_SPACE.sub(" ", text)
    while start < len(text):
        block = text[start : start + size]
        pieces = _segment(block, language)
        is_last = start + size >= len(text)
        if len(pieces) == 1 and not is_last:
            size *= 2  # no end of a sentence
            continue
        for piece in pieces if is_last else pieces[:-1]:
            start += len(piece)
            yield start
        size = BLOCK


def _segment(block: str, language: str) -> list[str]:
    try:
        pieces = sentencex.segment(language, block)
    except BaseException as error:  # the class of an error in the library's Rust code cannot be imported
        if type(error).__name__ != "PanicException":
            raise
        return [block]
    return pieces if "".join(pieces) == block and all(pieces) else [block]


def _continues_quotation(text: str, edge: int) -> bool:
    """Return True if the text before an edge is quoted by the sentence that continues after it."""
    end = edge
    while end > 0 and text[end - 1].isspace():
        end -= 1
    if end == 0 or text[end - 1] not in CLOSERS:
        return False
    following = text[edge : edge + 1]
    return following.islower() if end < edge else bool(CONTINUATION.match(following))


def _join_fragments(text: str, edges: list[int]) -> list[int]:
    """Join the number of a list with what follows, and what has no letter and no digit with what precedes."""
    kept = edges[:1]
    for edge in edges[1:]:
        piece = text[kept[-1] : edge]
        has_word = any(map(str.isalnum, piece))
        if not has_word and len(kept) > 1:
            kept[-1] = edge
        elif edge == edges[-1] or (has_word and not LIST_NUMBER.fullmatch(piece)):
            kept.append(edge)
    return kept


def _strip_spans(text: str, edges: list[int]) -> list[Span]:
    """Return the spans between edges without the white space around them, and without blank ones."""
    spans = []
    for start, end in pairwise(edges):
        piece = text[start:end]
        stripped = piece.strip()
        if stripped:
            start += len(piece) - len(piece.lstrip())
            spans.append(Span(start, start + len(stripped)))
    return spans
