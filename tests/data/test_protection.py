"""What is not a word: which parts of a line are found, and that they come back as they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.protection import Protection, build_protection, restore
from nmt.data.protection.spans import DEFAULT_KINDS, KINDS, find_spans
from nmt.data.vocabulary import COPIES
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.recipe.sections import find_conflicts
from tests.data.test_vocabulary import sentences

FOUND = {
    "url": [
        ("siehe http://example.com/a?b=c.", ["http://example.com/a?b=c"]),
        ("(voir https://fr.wikipedia.org/wiki/Arbre_(plante))", ["https://fr.wikipedia.org/wiki/Arbre_(plante)"]),
        ("请访问https://例子.cn/页?x=1，谢谢", ["https://例子.cn/页?x=1"]),
        ("访问http://x.org查看", ["http://x.org"]),
        ("http://x.org/을", ["http://x.org/을"]),
        ("http://x.org을 보라", ["http://x.org"]),
        ("Смотри https://ru.wikipedia.org/wiki/Дерево!", ["https://ru.wikipedia.org/wiki/Дерево"]),
        ("s3://bucket/key, www.x.gr; tel:+4912 and docs.python.org/3",
         ["s3://bucket/key", "www.x.gr", "tel:+4912", "docs.python.org/3"]),
        ("e.g. this: and/or 12:30 z.B. end.of", []),
    ],
    "email": [
        ("a@b.org, John.Doe+x@sub.example.co.uk.", ["a@b.org", "John.Doe+x@sub.example.co.uk"]),
        ("почта@пример.рф или a@b.org로", ["почта@пример.рф", "a@b.org"]),
        ("a@b @c 5 @ 3", []),
    ],
    "tag": [
        ("<b>…</b> <a href=\"x y\" id='1'> <br/> <0>a</0>",
         ["<b>", "</b>", "<a href=\"x y\" id='1'>", "<br/>", "<0>", "</0>"]),
        ("<!-- so --> <!DOCTYPE html> <?php x ?>", ["<!-- so -->", "<!DOCTYPE html>", "<?php x ?>"]),
        ("5 < 6 > 3, a <- b, <3", []),
    ],
    "placeholder": [
        ("{0} … %s … $name", ["{0}", "%s", "$name"]),
        ("{{user.name}} ${x} #{y} %1$s %(name)s %-10.2f %@ {p:.2f} %{n} {a[0]} __VAR__ %user%",
         ["{{user.name}}", "${x}", "#{y}", "%1$s", "%(name)s", "%-10.2f", "%@",
          "{p:.2f}", "%{n}", "{a[0]}", "__VAR__", "%user%"]),
        ("{имя}님 {prénom}", ["{имя}", "{prénom}"]),
        ("100% sure, 50%ig, 5 %ige, US$5, {this is text}", []),
    ],
    "number": [
        ("3.5 of 1,000,000 or 3/4 at 12:30, -5% 3월 ٣٤ १२",
         ["3.5", "1,000,000", "3/4", "12:30", "-5%", "3", "٣٤", "१२"]),
        ("mp3 5km 3rd", []),
    ],
    "emoji": [
        ("😀😀 👨‍👩‍👧 🇩🇪 1️⃣ ❤️", ["😀😀", "👨‍👩‍👧", "🇩🇪", "1️⃣", "❤️"]),
        ("a ± b → c", []),
    ],
}  # fmt: skip
EVERY = tuple(KINDS)


@pytest.mark.parametrize(("kind", "line", "found"), [(k, *row) for k, rows in FOUND.items() for row in rows])
def test_each_kind_is_found(kind: str, line: str, found: list[str]) -> None:
    assert [line[start:end] for start, end in find_spans(line, (kind,))] == found


@pytest.mark.parametrize(
    ("line", "protected"),
    [
        ("<b>Hund</b> läuft", "<copy1> Hund <copy2> läuft"),
        ("Besuche http://x.org/a, {0}km", "Besuche <copy1>, <copy2> km"),
        ("请看http://x.org。", "请看<copy1>。"),
        ("{0}님 %s을", "<copy1>님 <copy2>을"),
        ("{0}{1}{2}{3}{4}", "<copy1><copy2><copy3><copy4><copy1>"),
        ("das Wort <copy3> selbst", "das Wort <copy1> selbst"),
    ],
)
def test_symbols_replace_spans(line: str, protected: str) -> None:
    assert Protection(DEFAULT_KINDS, 4).protect(line).text == protected


PARTS = [part for rows in FOUND.values() for line, _ in rows for part in line.split(" ")]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.lists(
        st.sampled_from([*PARTS, " ", "dog", "ёж", "犬", "(", ".", "<copy2>", "\n", "\x85"]), max_size=15
    )
)
def test_a_line_comes_back_as_it_was(parts: list[str]) -> None:
    line = "".join(parts)
    text, copies = Protection(EVERY, 99).protect(line)
    assert restore(text, dict(enumerate(copies, 1))) == line


@pytest.mark.parametrize(
    ("source", "target", "protected"),
    [
        (
            "Klick <b>hier</b>",
            "<b>여기</b>를 눌러",
            ("Klick <copy1> hier <copy2>", "<copy1>여기<copy2>를 눌러"),
        ),
        ("{1} nach {0}", "{0} από {1}", ("<copy1> nach <copy2>", "<copy2> από <copy1>")),
        ("{0} {0} {0}", "{0} és {0}", ("<copy1> <copy2> {0}", "<copy1> és <copy2>")),
        ("http://a.de", "http://a.en", ("http://a.de", "http://a.en")),
    ],
)
def test_of_a_pair_what_both_sides_hold(source: str, target: str, protected: tuple[str, str]) -> None:
    assert Protection(DEFAULT_KINDS, 4).protect_pair(source, target) == protected


def test_words_that_are_not_divided_are_protected_as_a_whole() -> None:
    protection = Protection(DEFAULT_KINDS, 4, whole_words=True)
    assert protection.protect("<b>Hund</b> http://x.org {0} .").text == "<b>Hund</b> <copy1> <copy2> ."


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char", "pretokenized"])
def test_symbols_are_added_to_the_size_and_kept_whole(kind: str) -> None:
    size = 40 if kind != "pretokenized" else 8
    plain = train_vocabulary(sentences(), SubwordSettings(kind=kind, size=size))
    symbols = ["[SEP]", "km²"] if kind == "pretokenized" else ["[SEP]", "km²", "ⓐⓑ"]
    settings = SubwordSettings(kind=kind, size=size, symbols=symbols)
    vocabulary = train_vocabulary(sentences(), settings, copies=COPIES)
    assert len(vocabulary) == len(plain) + COPIES + len(symbols)
    assert len(vocabulary.copies) == COPIES
    assert len(plain.copies) == 0
    for symbol in (*symbols, "<copy1>", "<copy16>"):
        assert vocabulary.tokens(vocabulary.encode(f"a {symbol}"))[-1] == symbol
        assert vocabulary.decode(vocabulary.encode(symbol)) == symbol


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampled_segmentations_do_not_divide_symbols(kind: str) -> None:
    vocabulary = train_vocabulary(sentences(), SubwordSettings(kind=kind, size=40, symbols=["[S]"]), copies=4)
    for seed in range(5):
        tokens = vocabulary.tokens(vocabulary.sample("a <copy2>, b[S]<copy1>", 0.3, seed))
        symbols = [token for token in tokens if token in ("<copy1>", "<copy2>", "[S]")]
        assert symbols == ["<copy2>", "[S]", "<copy1>"]


@pytest.mark.parametrize("symbol", ["", "a b", "<s>", "<copy1>", "▁x", "a\u200bb"])
def test_a_symbol_that_cannot_be_one_is_refused(symbol: str) -> None:
    [(path, _)] = find_conflicts(SubwordSettings(symbols=[symbol]))
    assert path == ("symbols",)


def test_without_symbols_in_a_vocabulary_nothing_is_protected() -> None:
    plain = train_vocabulary(sentences(), SubwordSettings(size=40))
    other = train_vocabulary(sentences(), SubwordSettings(size=40), copies=4)
    assert build_protection(DEFAULT_KINDS, plain, other) is None
    assert build_protection((), other, other) is None
    assert build_protection(DEFAULT_KINDS, other, other) == Protection(DEFAULT_KINDS, 4)
