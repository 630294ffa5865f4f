"""Where sentences end, in any script, and what is written between their translations."""

import random
import time

import pytest

from nmt.data.sentences import Span, find_separator, split_clauses, split_sentences

SENTENCES = {
    "ko": ["저는 학생이에요. 오늘 학교에 갔어요.", '"네."라고 했다. 그리고 갔다.', "몇 시예요? 세 시요!"],
    "zh": ["你好。|我是学生！|你呢？|走吧", "1.你好。|2.再见。", "真的？！|是的。"],
    "ja": ["彼は「はい。」と言った。|行きます。", "「行く？」|「はい。」", "AはBです｡|CはDです｡"],
    "hi": ["यह किताब है। वह घर है॥ ठीक है."],
    "ar": ["كيف حالك؟ أنا بخير. شكرا!"],
    "ur": ["یہ ہے۔ وہ ہے۔"],
    "am": ["ሰላም። እንዴት ነህ፧"],
    "my": ["မင်္ဂလာပါ။ ကျွန်တော်။"],
    "km": ["សួស្តី។ ជំរាបសួរ។"],
    "bo": ["བཀྲ་ཤིས། བདེ་ལེགས།"],
    "hy": ["Բարեւ։ Ինչպես ես։"],
    "el": ["Πώς είσαι; Καλά είμαι."],
    "de": ["Das ist z. B. gut. Er kam am 3. Oktober. Ja."],
    "deu-AT": ["Das ist z. B. gut. Er kam am 3. Oktober. Ja."],
    "en": [
        "Dr. Smith arrived at 3.30 p.m. on Monday. OK? Yes!",
        '"Really?" he asked. "Yes." She left.',
        "1. First item. 2. Second item.",
        "Wait…  What? Foo… bar.",
        "Hello!\tBye.\u3000Well.",
        "A title\n\nA text.",
        "Visit www.example.com. Version 1.2.3 is out.",
    ],
    "fr": ["Bonjour ! Ça va ? Oui."],
    "es": ["¿Cómo estás? ¡Bien! Sí."],
    "": ["Foo bar. Baz?  Qux!"],
    "src": ["Foo bar. Baz?  Qux!"],
}
BOUNDS = {
    "Das ist z. B. gut. Er kam am 3. Oktober. Ja.": ["Das ist z. B. gut.", "Er kam am 3. Oktober.", "Ja."],
    '"네."라고 했다. 그리고 갔다.': ['"네."라고 했다.', "그리고 갔다."],
    "Dr. Smith arrived at 3.30 p.m. on Monday. OK? Yes!": [
        "Dr. Smith arrived at 3.30 p.m. on Monday.",
        "OK?",
        "Yes!",
    ],
    '"Really?" he asked. "Yes." She left.': ['"Really?" he asked.', '"Yes."', "She left."],
    "1. First item. 2. Second item.": ["1. First item.", "2. Second item."],
    "Wait…  What? Foo… bar.": ["Wait…", "What?", "Foo… bar."],
    "A title\n\nA text.": ["A title", "A text."],
    "Visit www.example.com. Version 1.2.3 is out.": ["Visit www.example.com.", "Version 1.2.3 is out."],
    "Bonjour ! Ça va ? Oui.": ["Bonjour !", "Ça va ?", "Oui."],
    "Foo bar. Baz?  Qux!": ["Foo bar.", "Baz?", "Qux!"],
    "Hello!\tBye.\u3000Well.": ["Hello!", "Bye.", "Well."],
}
"""The sentences of texts that are not simply divided at `|`, or at a space after a sign."""


def sentences(text: str, language: str = "") -> list[str]:
    return [text[start:end] for start, end in split_sentences(text, language)]


def expected(text: str) -> list[str]:
    if text in BOUNDS:
        return BOUNDS[text]
    if "|" in text:
        return text.split("|")
    parts: list[str] = [""]
    for word in text.split():
        parts[-1] = f"{parts[-1]} {word}".strip()
        if not word[-1].isalnum():
            parts.append("")
    return [part for part in parts if part]


@pytest.mark.parametrize(
    ("language", "text"), [(key, text) for key, texts in SENTENCES.items() for text in texts]
)
def test_sentences_end_where_the_script_ends_them(language: str, text: str) -> None:
    assert sentences(text.replace("|", ""), language) == expected(text)


ORDINARY_WORDS = [
    ("en", "He helped me.|I made a pie."),
    ("eng", "Tom kissed me.|It's about the size of an egg."),
    ("en", "He told me.|“Go!”"),
    ("en", "No.|I was ill.|Tom came in May.|He likes art.|OK.|Tom left."),
    ("en", "He lives in Portland, Me. Tom is No. 5, see art. 3."),
    ("de", "Er liebt mich.|Tom mag mich.|Das ist, was ich mag.|Maria kam."),
    ("de", "Ein Mann mit einem Bart.|Zwei Hunde."),
    ("de", "Sie fahren durch eine Landschaft.|2 Mädchen sitzen auf einem Platz."),
    ("de", "Siehe Nr. 5, Abb. 3 und Kap. 2 vom 3. 5. 2020."),
    ("cs", "Jedou krajinou.|2 dívky sedí."),
]


@pytest.mark.parametrize(("language", "text"), ORDINARY_WORDS)
def test_a_sentence_ends_after_words_that_look_like_abbreviations(language: str, text: str) -> None:
    assert sentences(text.replace("|", " "), language) == text.split("|")


def test_a_line_of_one_sentence_is_left_alone() -> None:
    for line in ("Hello world.", "Hello", "  Hello!  ", "?! ... --", "你好。", "3.5", "v1.2", "a.b.c", "네."):
        assert sentences(line) == [line.strip()]
    assert sentences("") == sentences(" \t\u2028") == []


def test_signs_without_a_word_belong_to_a_sentence() -> None:
    assert sentences("Yes. !!! No. 👍", "en") == ["Yes. !!!", "No. 👍"]
    assert sentences("你好！😀", "zh") == ["你好！😀"]


def test_every_character_is_kept() -> None:
    draw = random.Random(1)
    letters = 'ab Cd.!?。！？।؟…"“”「」()[]\u2028\x85\x00\u3000\t\r\n é😀👩‍👧1،,;:\ud800А'
    for _ in range(3000):
        text = "".join(draw.choices(letters, k=draw.randrange(30)))
        position = 0
        for start, end in split_sentences(text, draw.choice(("en", "ja", "ko", "de", "ru", "hi", "xx"))):
            assert text[position:start].strip() == ""
            assert text[start:end] == text[start:end].strip() != ""
            position = end
        assert text[position:].strip() == ""


@pytest.mark.parametrize("unit", ["Hi there. ", "你好。", "a. ", '"a." b ', "…", ".", "x", "Dr. "])
def test_the_time_grows_with_the_length_of_the_line_alone(unit: str) -> None:
    start = time.process_time()
    split_sentences(unit * (100_000 // len(unit)), "en")
    assert time.process_time() - start < 5


def test_a_failure_of_the_library_leaves_the_line_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def fail(language: str, text: str) -> list[str]:
        raise PanicException

    monkeypatch.setattr("nmt.data.sentences.sentencex.segment", fail)
    assert sentences("A b. C d.") == ["A b. C d."]
    assert sentences("你好。再见。") == ["你好。", "再见。"]


@pytest.mark.parametrize(
    ("sentence", "clauses"),
    [
        ("When I came, he left; fine: 1,000 – yes", ["When I came,", "he left;", "fine:", "1,000 –", "yes"]),
        ("我来了，他走了；她、他", ["我来了，", "他走了；", "她、", "他"]),
        ("عندما جئت، ذهب؛ ثم عاد", ["عندما جئت،", "ذهب؛", "ثم عاد"]),
        ("a,b", ["a,b"]),
        ("x, - , y", ["x, - ,", "y"]),
    ],
)
def test_clauses_end_at_commas_of_any_script(sentence: str, clauses: list[str]) -> None:
    spans = split_clauses(sentence, Span(0, len(sentence)))
    assert [sentence[start:end] for start, end in spans] == clauses


@pytest.mark.parametrize(
    ("first", "gap", "second", "separator"),
    [
        ("A.", " ", "B.", " "),
        ("A.", "", "B.", " "),  # from Chinese to English
        ("你好。", " ", "再见。", ""),  # from English to Chinese
        ("你好。", "", "再见。", ""),
        ("「はい」", " ", "OK.", ""),
        ("네.", "", "가요.", " "),
        ("สวัสดี", " ", "ครับ", " "),
        ("A.", "  ", "B.", "  "),
        ("你好。", "\t", "再见。", "\t"),
        ("A.", "\u3000", "B.", " "),
        ("你好。", "\u3000", "再见。", "\u3000"),
        ("A.", "\u2028", "B.", " "),
        ("A.", "\r\n", "B.", " "),
        ("", " ", "B.", ""),
        ("A.", " ", "", ""),
    ],
)
def test_white_space_is_kept_as_the_target_script_writes_it(
    first: str, gap: str, second: str, separator: str
) -> None:
    assert find_separator(first, second, gap) == separator
