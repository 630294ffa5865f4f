"""Characters that nobody sees: text with and without them is one text, in vocabularies with a rule."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.vocabulary import UNK, Vocabulary, WordVocabulary, load_vocabulary
from nmt.data.vocabulary.normalisation import NORMALISATIONS, STAND_IN, remove_invisible
from nmt.data.vocabulary.training import KINDS, SubwordSettings, train_vocabulary
from nmt.errors import DataError
from nmt.recipe.sections import find_conflicts

INVISIBLE = "\x00\x07\x1f\x7f\x85\x9f\u00ad\u034f\u061c\u200b\u200c\u200d\u200e\u202e\u2060\u2063\u2066\ufeff"
INVISIBLE += f"\ufff9\U000e0001\U000e0041{STAND_IN}"

USED = {
    "Persian plural": "کتاب\u200cها",
    "Persian, after a letter that does not join": "گفت\u200cو\u200cگو",
    "Persian abbreviation": "ه\u200d.",
    "Hindi half form": "क्\u200dष",
    "Bengali": "র\u200d্য",
    "Malayalam, end of a word": "ന്\u200d",
    "Sinhala": "ශ්\u200dරී",
    "Mongolian": "ᠪ\u200dᠠ",
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "profession with a skin": "👩🏽\u200d🚀",
    "eye in a bubble": "👁\ufe0f\u200d🗨\ufe0f",
    "flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "variant of an ideograph": "葛\U000e0100飾",
    "heart": "❤\ufe0f",
}

UNUSED = {
    "Latin": ("mó\u200cvil", "móvil"),
    "Cyrillic": ("кни\u200dга", "книга"),
    "Hangul": ("학\u200c교", "학교"),
    "Persian, end of a word": ("خانه\u200c بود", "خانه بود"),
    "Hindi, without a virama": ("क\u200dष", "कष"),
    "several in a row": ("کتاب\u200c\u00ad\u200cها", "کتاب\u200cها"),
    "at the beginning": ("\u200d\u200cчай", "чай"),
    "between flags": ("\U0001f1e6\u200dx", "\U0001f1e6x"),
    "Khmer": ("ខ្មែរ\u200bភាសា", "ខ្មែរភាសា"),
}


@pytest.mark.parametrize("text", USED.values(), ids=USED)
def test_what_the_script_or_an_emoji_uses_is_kept(text: str) -> None:
    assert remove_invisible(text) == text


@pytest.mark.parametrize(("text", "expected"), UNUSED.values(), ids=UNUSED)
def test_joiners_without_a_use_are_removed(text: str, expected: str) -> None:
    assert remove_invisible(text) == expected


@settings(derandomize=True, deadline=None)
@given(st.text(st.sampled_from("aé中ب्क👩\ufe0f \t" + INVISIBLE), max_size=12))
def test_what_is_normalised_is_not_changed_again(text: str) -> None:
    for normalise in NORMALISATIONS.values():
        assert normalise(normalise(text)) == normalise(text)


SENTENCES = [
    "el gato no está en la cama",
    "die Katze träumt über Mäuse",
    "кошка спит",
    "고양이가 잔다",
    "کتاب\u200cها",
]


def trained(kind: str, rule: str | None) -> Vocabulary:
    return train_vocabulary(SENTENCES * 20, SubwordSettings(kind=kind, size=90, normalisation=rule))


@pytest.fixture(scope="module", params=[*((kind, "nfc") for kind in KINDS), ("unigram", None), ("bpe", None)])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return trained(*request.param)


def test_an_invisible_character_inside_a_word_changes_nothing(vocabulary: Vocabulary) -> None:
    for character, line in product(INVISIBLE, SENTENCES[:4]):
        dirty = " ".join(word[:1] + character + word[1:] + character for word in line.split(" "))
        assert vocabulary.encode(dirty) == vocabulary.encode(line)
        assert UNK not in vocabulary.encode(line)


def test_a_joiner_of_the_script_is_read_and_written(vocabulary: Vocabulary, tmp_path: Path) -> None:
    vocabulary.save(tmp_path / "v")
    for one in (vocabulary, load_vocabulary(tmp_path / "v")):
        ids = one.encode("کتاب\u200cها")
        assert one.decode(ids) == "کتاب\u200cها"
        assert UNK not in ids
        assert STAND_IN not in "".join(one.spellings)


def test_composed_and_decomposed_letters_are_the_same_text() -> None:
    for vocabulary in (trained("bpe", "nfc"), trained("char", None), trained("pretokenized", None)):
        assert vocabulary.encode("esta\u0301") == vocabulary.encode("está")
        assert UNK not in vocabulary.encode("está")


def test_nfc_keeps_what_nfkc_replaces() -> None:
    text = ["½ ﬁ ① Ａ"] * 20
    for rule, expected in (("nfc", "½ ﬁ ① Ａ"), ("none", "½ ﬁ ① Ａ"), ("nmt_nfkc", "1⁄2 fi 1 A")):
        vocabulary = train_vocabulary(text, SubwordSettings(kind="char", normalisation=rule))
        assert vocabulary.decode(vocabulary.encode(text[0])) == expected


def test_without_a_rule_the_text_is_divided_as_it_is() -> None:
    vocabulary = trained("pretokenized", "none")
    assert vocabulary.encode("ga\u00adto") == [UNK]
    assert vocabulary.content.startswith(b"<pad>\n")


def test_the_file_records_the_rule(tmp_path: Path) -> None:
    path = tmp_path / "source.spm"
    for kind, rule in (("unigram", "nfc"), ("pretokenized", "nfc"), ("char", None), ("bpe", "none")):
        vocabulary = trained(kind, rule)
        vocabulary.save(path)
        assert load_vocabulary(path).rule == vocabulary.rule == (rule or "nmt_nfkc")


def test_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "source.vocab"
    WordVocabulary(["a"], "nfc").save(path)
    path.write_bytes(path.read_bytes().replace(b"nfc", b"nfx"))
    with pytest.raises(DataError, match=r"source\.vocab has the normalisation 'nfx'"):
        load_vocabulary(path)


def test_words_have_no_compatibility_forms() -> None:
    wrong = SubwordSettings(kind="pretokenized", normalisation="nmt_nfkc")
    assert [path for path, _ in find_conflicts(wrong)] == [("normalisation",)]
