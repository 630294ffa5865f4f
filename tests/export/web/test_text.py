"""The page divides, normalises and protects text as Python does, for all scripts and random text."""

import random
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from itertools import product
from typing import Any

import pytest

from nmt.data import sentences
from nmt.data.protection import Protection, restore
from nmt.data.protection.spans import DEFAULT_KINDS, KINDS
from nmt.data.trained_lengths import TrainedLengths
from nmt.data.vocabulary import Vocabulary, WordVocabulary
from nmt.data.vocabulary.capitals import upper
from nmt.data.vocabulary.codes import BpeCodes
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.decoding.job import Job
from nmt.decoding.options import Options
from nmt.decoding.parts import plan_parts
from nmt.export.web.patterns import convert_pattern, describe_text
from tests.export.web.node import BROWSER, run_script
from tests.grid import mark_slow

NASTY = [
    *("", "  \ta  b\v c\x1c", "a\u00adb\u200bc\ufeff\x00\x01\x7f", "x\u2028y\u0085z"),
    *("\u3000全角　スペース ｱｲｳﾊﾞ ﬁne ① ½ ㍿ ﷺ ℃ Å", "e\u0301 é á̧̂ z̶ A\u030a \u1100\u1161\u11a8 각"),
    *("مرحبا\u200cبك क्\u200dष क्\u200cष ᠮᠣᠩ\u200dᠭ א\u200dב a\u200d b\u200c", "\u200d\u200c"),
    "👨\u200d👩\u200d👧 😀\u200d 🏴\U000e0067\U000e0062\U000e007f ☂\ufe0f\u200d☀",
    "<copy1> x <copy2> <unk> </s> <s> <2de> ▁▁ a ▁b <0x41>",
    *("Straße STRASSE ẞ İstanbul ıI ΑΣ Σ ς Ǆ ǅ ǆ", "iPhone McDonald eBay"),
    *("𝒳𝓎 𠮷野家 \u0378\u0fff \ue000", "\ufdd0\ufffe \ufdd1 \ufdd2"),
    "ไทยภาษา ພາສາລາວ བོད་ཡིག មនុស្ស မြန်မာ עברית\u200f ᠮᠣᠩᠭᠣᠯ",
    "THE OLD MAN SEES THE BIG HOUSE AND THE TREE. NATO UN EU",
    "See https://a.org/x_(y)?q=1,2. Mail me@x.org! <b>5%</b> {name} %s $5 1,234.5 한국은 3.5%입니다 😀x",
    'Dr. Smith came. He left! (Why?) "No." said he… 他说：“好！”然后走了。是吗？؟ हाँ। 뭐?"라고 했다.',
    "1. One. 2. Two; three, four: five – six",
    "He saw me. No. I was ill. In May. “OK. Art. 5 mag mich. Der Bart. Alle Leute. 3 Männer",
]


def nonsense(count: int, draw: random.Random) -> list[str]:
    """Lines of random characters of many scripts, and crossings of lines."""
    codes = [*range(0x20, 0x3000), *range(0x3000, 0xD800, 37), *range(0x1F300, 0x1F700, 3)]
    codes += range(0xE000, 0x10000, 11)
    pool = [*map(chr, codes), *["\u200d", "\u200c", "\u0301", " ", ".", "!", "。", "A", "b"] * 200]
    lines = ["".join(draw.choices(pool, k=draw.randint(1, 20))).replace("\n", "") for _ in range(count)]
    for _ in range(count):
        one, other = draw.choice(NASTY), draw.choice([*NASTY, *lines])
        lines.append(one[: draw.randint(0, len(one))] + other[draw.randint(0, len(other)) :])
    return [line for line in lines if not any("\ud800" <= character < "\ue000" for character in line)]


@cache
def rules(kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, object]:
    return describe_text(kinds, has_case=True)


TEXTS = [
    *("Der alte Hund sucht einen Vogel im Garten.", "Die kleine Katze schläft auf dem Baum."),
    *("the old man sees the big house and the tree", "나는 오늘 학교에 갑니다."),
    *("我今天去学校。你呢？", "Ελλάδα и Россия"),
]


TAGGED = "<2de>"


def trained(kind: str, *, marks_case: bool = False, **settings: Any) -> Vocabulary:
    lines = [f"{text} {other}" for text in TEXTS for other in TEXTS] * 5
    chosen = SubwordSettings(kind=kind, size=150, **settings)
    return train_vocabulary(lines, chosen, copies=4, tags=[TAGGED], marks_case=marks_case)


def with_codes() -> Vocabulary:
    merges = ["#version: 0.2", "d e", "de r</w>", "H u", "n d</w>", "Hu nd</w>"]
    return WordVocabulary([TAGGED, "der", "de@@", "d@@", "e@@", "r", "Hund"], "nfc", codes=BpeCodes(merges))


VOCABULARIES: dict[str, Callable[[], Vocabulary]] = {
    "unigram": lambda: trained("unigram", normalisation="nmt_nfkc"),
    "unigram-bytes": lambda: trained("unigram", byte_fallback=True, normalisation="nfc"),
    "unigram-case": lambda: trained("unigram", byte_fallback=True, normalisation="nmt_nfkc", marks_case=True),
    "bpe": lambda: trained("bpe", normalisation="nmt_nfkc"),
    "bpe-bytes": lambda: trained("bpe", byte_fallback=True, normalisation="none"),
    "char": lambda: trained("char", normalisation="nfc", marks_case=True),
    "words": lambda: trained("pretokenized"),
    "codes": with_codes,
}

READ_VOCABULARY = """
const rules = new text.TextRules(given.rules);
const read = (content) => vocabulary.readVocabulary(Uint8Array.from(Buffer.from(content, 'base64')), rules);
"""


def packed(vocabulary: Vocabulary) -> str:
    return b64encode(vocabulary.content).decode()


@pytest.mark.parametrize("kind", mark_slow(VOCABULARIES, default=("unigram-case", "bpe-bytes", "codes")))
def test_a_vocabulary_has_the_same_tokens_and_texts(kind: str) -> None:
    draw, ours = random.Random(1), VOCABULARIES[kind]()
    lines = [*NASTY, *(f"{TAGGED} {text}" for text in TEXTS), *TEXTS, *nonsense(150, draw)]
    outputs = [[draw.randrange(len(ours)) for _ in range(draw.randint(0, 12))] for _ in range(300)]
    theirs = run_script(
        READ_VOCABULARY
        + """
        const known = read(given.content);
        return {
          ids: given.lines.map((line) => known.encode(line)),
          tags: given.lines.map((line) => known.tag(line)),
          texts: given.outputs.map((ids) => known.decode(ids)),
          copies: [known.copies.start, known.copies.stop],
          hasBytes: known.hasBytes,
        };
        """,
        {"rules": rules(), "content": packed(ours), "lines": lines, "outputs": outputs},
    )
    for line, ids, tag in zip(lines, theirs["ids"], theirs["tags"], strict=True):
        assert (line, ours.tokens(ids), tag) == (line, ours.tokens(ours.encode(line)), ours.tag(line))
    assert theirs["texts"] == list(map(ours.decode, outputs))
    assert theirs["copies"] == [ours.copies.start, ours.copies.stop]
    assert theirs["hasBytes"] == bool(ours.byte_tokens())


@pytest.mark.parametrize(
    ("kinds", "whole_words"),
    mark_slow(product([DEFAULT_KINDS, tuple(KINDS)], [False, True]), default=[(tuple(KINDS), False)]),
)
def test_spans_are_protected_and_restored_alike(kinds: tuple[str, ...], whole_words: bool) -> None:
    protection, lines = Protection(kinds, 4, whole_words), [*NASTY, *nonsense(200, random.Random(2))]
    ours = [protection.protect(line) for line in lines]
    outputs = [one.text[::-1] if "copy" not in one.text else f"x{one.text}<copy2>y <copy9>" for one in ours]
    numbered = [dict(enumerate(one.copies[:4], 1)) for one in ours]
    theirs = run_script(
        """
        const { Protection } = protection;
        const known = new Protection(given.kinds, 4, given.wholeWords, new text.TextRules(given.rules));
        return given.lines.map((line, index) => {
          const { text, copies } = known.protect(line, '');
          const numbered = new Map(copies.slice(0, 4).map((copy, number) => [number + 1, copy]));
          const restored = known.restore(given.outputs[index], numbered);
          return [text, copies.map((copy) => Object.values(copy)), restored];
        });
        """,
        {
            "rules": rules(kinds),
            "kinds": kinds,
            "wholeWords": whole_words,
            "lines": lines,
            "outputs": outputs,
        },
    )
    texts = list(map(restore, outputs, numbered))
    for line, one, text, found in zip(lines, ours, texts, theirs, strict=True):
        assert (line, found) == (line, [one.text, [list(copy) for copy in one.copies], text])


def split_by_capitals(language: str, text: str) -> list[str]:
    """A stand-in for the library, which node and Python share."""
    return [piece for piece in re.split("(?<=[.!?] )(?=[A-ZА-Я])", text) if piece]


PARTS = product(
    ["unigram-bytes", "bpe", "words", "char"], [None, TrainedLengths(30, 3), TrainedLengths(7, 1)]
)


@pytest.mark.parametrize(
    ("kind", "lengths"), mark_slow(PARTS, default=[("bpe", TrainedLengths(30, 3)), ("words", None)])
)
def test_lines_are_divided_into_the_same_parts(
    kind: str, lengths: TrainedLengths | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentences.sentencex, "segment", split_by_capitals)
    draw, source = random.Random(3), VOCABULARIES[kind]()
    texts = [*NASTY, *nonsense(60, draw)]
    lines = [" ".join(draw.choices(texts, k=draw.randint(1, 40))) for _ in range(60)] + texts
    lines += [f"{TAGGED} {line}" for line in lines[:20]] + [line.upper() for line in TEXTS]
    protection = Protection(("number",), 4, whole_words=kind == "words")
    protected = [protection.protect(line, source.tag(line)).text for line in lines]
    job = Job(None, source, source, Options(), protection=protection, languages=("de_DE", "de"))  # type: ignore[arg-type]
    job = job.with_lengths(lengths)
    ours = [plan_parts(line, job).parts for line in protected]
    theirs = run_script(
        READ_VOCABULARY
        + """
        const source = read(given.content);
        const segment = (_, text) => text.split(/(?<=[.!?] )(?=[A-ZА-Я])/).filter(Boolean);
        const settings = {
          source, rules, language: 'de_DE', protection: { count: 4 }, lengths: given.lengths,
          longestPart: Math.max(200, given.lengths?.tokens ?? 0),
          splitter: new sentences.SentenceSplitter(segment, rules),
        };
        return given.lines.map((line) => parts.planParts(line, settings).map(
          ({ ids, gap, inCapitals, span }) => [ids, gap, inCapitals, line.slice(...span)]));
        """,
        {
            "rules": rules(),
            "content": packed(source),
            "lengths": asdict(lengths) if lengths else None,
            "lines": protected,
        },
    )
    for line, planned, found in zip(protected, ours, theirs, strict=True):
        expected = [[p.ids, p.gap, p.in_capitals, line[p.span.start : p.span.end]] for p in planned]
        assert (line, found) == (line, expected)
    assert any(len(planned) > 2 for planned in ours)


def test_separators_and_capitals_are_the_same() -> None:
    ends = ["", "a", "。", "한", "ア", "𠮷", "x "]
    triples = [(one, two, gap) for one in ends for two in ends for gap in ("", " ", "\u3000", "\t", "  \r\n")]
    texts = ["straße <copy3>i ıİ ǆ", "ΑΣ", "ﬁ"]
    theirs = run_script(
        """
        const splitter = new sentences.SentenceSplitter(null, new text.TextRules(given.rules));
        const { upper, lower } = await import(given.case);
        return [
          given.triples.map((triple) => splitter.findSeparator(...triple)),
          given.texts.flatMap((text) => ['tr', 'de'].map((language) => upper(text, language))),
        ];
        """,
        {"rules": rules(), "triples": triples, "texts": texts, "case": (BROWSER / "case.js").as_uri()},
    )
    assert theirs[0] == [sentences.find_separator(*triple) for triple in triples]
    assert theirs[1] == [upper(text, language) for text in texts for language in ("tr", "de")]


PATTERNS = [
    *(r"a*+b|a(?>b|bc)d", r"(?P<x>\w+)\s(?P=x)", r"[^\W\d_]{2,3}?x", r"(?<!a)b(?!c)$", r"(?:ab|c)?+c"),
    r"[^a\s]\S",
]


def test_expressions_match_the_same_text() -> None:
    draw = random.Random(4)
    texts = ["".join(draw.choices("abcdx_1 \xa0\ufeffé\n", k=draw.randint(0, 9))) for _ in range(400)]
    ours = [
        [[list(match.span()) for match in re.finditer(pattern, text)] for text in texts]
        for pattern in PATTERNS
    ]
    theirs = run_script(
        """
        const span = (match) => [match.index, match.index + match[0].length];
        const findAll = (pattern) => given.texts.map((text) => [...text.matchAll(pattern)].map(span));
        return given.patterns.map((pattern) => findAll(new RegExp(pattern, 'gv')));
        """,
        {"patterns": list(map(convert_pattern, PATTERNS)), "texts": texts},
    )
    assert theirs == ours
    assert all(map(any, ours))


def test_an_expression_that_javascript_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no JavaScript for GROUPREF_EXISTS"):
        convert_pattern("(a)?(?(1)b|c)")
