"""Bytes in the place of characters without a token: nothing is unknown."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.vocabulary import SPECIALS, UNK, Vocabulary, load_vocabulary
from nmt.data.vocabulary.training import BYTES, SubwordSettings, train_vocabulary
from nmt.errors import DataError
from nmt.recipe.sections import find_conflicts
from tests.data.test_vocabulary import NASTY, sentences

NAMES = [
    "Zoltán Győrfi",
    "Дмитрий",
    "Ελένη",
    "სოფიკო",
    "ሰላም",
    "ချမ်းအေး",
    "ᏣᎳᎩ",
    "https://x.org/a?b=1",
    "🦜",
    "<0x41>",
]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return train_vocabulary(sentences(), SubwordSettings(kind=request.param, size=40, byte_fallback=True))


def test_the_bytes_are_added_to_the_size(vocabulary: Vocabulary) -> None:
    plain = train_vocabulary(sentences(), SubwordSettings(size=40))
    assert len(vocabulary) == 40 + BYTES
    assert len(plain) == 40
    assert vocabulary.tokens(vocabulary.byte_tokens()) == [f"<0x{byte:02X}>" for byte in range(BYTES)]
    assert not vocabulary.starts()[vocabulary.byte_tokens()].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_is_written_as_it_is(vocabulary: Vocabulary, name: str, tmp_path: Path) -> None:
    vocabulary.save(tmp_path / "target.spm")
    for one in (vocabulary, load_vocabulary(tmp_path / "target.spm")):
        ids = one.encode(name)
        assert one.can_write(ids)
        assert one.decode(ids) == name


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1)))
def test_every_text_is_written_as_it_is_normalised(words: list[str]) -> None:
    line = " ".join(words).replace("▁", "_")
    vocabulary = _composed()
    ids = vocabulary.encode(line)
    assert UNK not in ids
    assert vocabulary.decode(ids) == " ".join(vocabulary.normalise(line).split())


@cache
def _composed() -> Vocabulary:
    return train_vocabulary(sentences(), SubwordSettings(size=40, byte_fallback=True, normalisation="nfc"))


@pytest.mark.parametrize("cut", ["", "ы", "中", "🦜"])
def test_incomplete_and_wrong_bytes_are_not_written(vocabulary: Vocabulary, cut: str) -> None:
    the, dog = vocabulary.encode("the"), vocabulary.encode("dog")
    first = vocabulary.byte_tokens()[0]
    whole = [first + byte for byte in "é".encode()]
    for count in range(len(cut.encode())):
        broken = [first + byte for byte in cut.encode()[:count]]
        assert vocabulary.decode([*the, *broken, *dog]) == "the dog"
        assert vocabulary.decode([*the, *broken, *whole, *broken]) == "theé"
    for byte in (*range(9), *range(10, 32), 0x7F, 0x80, 0xBF, 0xC0, 0xFF):
        assert vocabulary.decode([*the, first + byte, *dog]) == "the dog"


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampled_segmentations_have_bytes_too(kind: str) -> None:
    vocabulary = train_vocabulary(sentences(), SubwordSettings(kind=kind, size=40, byte_fallback=True))
    for line in [*sentences(20), *NASTY, *NAMES, "the 한국어 dog"]:
        exact = vocabulary.sample(line, 1000.0 if kind == "unigram" else 0.0, 7)
        assert exact == vocabulary.encode(line)
        assert vocabulary.decode(vocabulary.sample(line, 0.3, 7)) == vocabulary.decode(exact)


def test_bytes_are_on_from_a_thousand_tokens() -> None:
    for kind, size, has_bytes in (
        ("unigram", 999, False),
        ("unigram", 1000, True),
        ("bpe", 8000, True),
        ("char", 8000, False),
        ("pretokenized", 8000, False),
    ):
        assert SubwordSettings(kind=kind, size=size).has_bytes is has_bytes
    assert SubwordSettings(byte_fallback=False).has_bytes is False


def test_bytes_need_subwords() -> None:
    wrong = SubwordSettings(kind="char", byte_fallback=True)
    assert [path for path, _ in find_conflicts(wrong)] == [("byte_fallback",)]


def test_a_size_below_the_number_of_characters_is_reported_without_the_bytes() -> None:
    with pytest.raises(DataError, match=r"no vocabulary of 10 tokens .* needs \d\d, one for each character"):
        train_vocabulary(sentences(), SubwordSettings(size=10, byte_fallback=True))


def test_a_small_text_is_reported_without_the_bytes(caplog: pytest.LogCaptureFixture) -> None:
    vocabulary = train_vocabulary(["a b"], SubwordSettings(size=8000))
    assert f"the text gives {len(vocabulary) - BYTES} tokens, fewer than the 8,000" in caplog.text
    assert tuple(vocabulary.spellings[:4]) == SPECIALS


def test_tokens_that_would_extend_a_word_are_known(vocabulary: Vocabulary) -> None:
    spelt = set(vocabulary.tokens(vocabulary.continuations()))
    assert {"o", "g", "<0xC3>"} <= spelt
    assert not {token for token in spelt if token.startswith(("▁", "."))}
