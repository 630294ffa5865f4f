"""Vocabularies of a model that starts from another: unknown tokens, extension, parts of new tokens."""

from typing import Any

import pytest

from nmt.data.vocabulary import SPECIALS, UNK, Vocabulary, WordVocabulary
from nmt.data.vocabulary.codes import BpeCodes
from nmt.data.vocabulary.extension import count_unknown, extend_vocabulary, find_parts
from nmt.data.vocabulary.training import KINDS, SubwordSettings, train_vocabulary

ENGLISH = [
    f"the {a} {b} sees the {c}" for a in ("old", "small") for b in ("dog", "bird") for c in ("tree", "man")
]
TEXTS = {
    "Greek": ["το μικρό πουλί βλέπει το δέντρο", "ο γέρος βλέπει το πουλί", "το δέντρο είναι μικρό"] * 3,
    "Georgian": ["პატარა ჩიტი ხედავს ხეს", "მოხუცი კაცი ხედავს ჩიტს", "ხე პატარაა"] * 3,
    "Japanese": ["小さい鳥が木を見る", "年老いた男が鳥を見る", "木は小さい"] * 3,
    "Latin": ["parva avis arborem videt", "vir avem videt", "arbor parva est"] * 3,
}


def make(lines: list[str], kind: str, **settings: Any) -> Vocabulary:
    return train_vocabulary(lines, SubwordSettings(kind=kind, size=60, **settings))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["Greek", "Georgian", "Japanese"])
def test_what_a_vocabulary_does_not_know_is_counted_with_examples(kind: str, language: str) -> None:
    found = count_unknown(make(ENGLISH, kind), TEXTS[language])
    assert found.unknown > 0.3 * found.total
    assert found.examples
    assert all(any(example in line for line in TEXTS[language]) for example in found.examples)
    known = count_unknown(make(ENGLISH, kind), ENGLISH)
    assert (known.unknown, known.examples) == (0, [])


def test_bytes_are_counted_apart_from_unknown_tokens() -> None:
    found = count_unknown(make(ENGLISH, "unigram", byte_fallback=True), TEXTS["Georgian"])
    assert found.unknown == 0
    assert found.spelt > 0.9 * found.total
    assert "are bytes of characters, for example ა" in found.describe()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("bytes_of", ["old", "new", "both"])
def test_bytes_remain_those_of_the_old_vocabulary(kind: str, bytes_of: str) -> None:
    old = make(ENGLISH, kind, byte_fallback=bytes_of != "new")
    new = make(TEXTS["Greek"], kind, byte_fallback=bytes_of != "old")
    both = extend_vocabulary(old, new)
    assert len(both.byte_tokens()) == (0 if bytes_of == "new" else 256)
    for line in [*ENGLISH, *TEXTS["Greek"]]:
        assert both.decode(both.encode(line)) == line
        assert not {*both.encode(line)} & {UNK, *both.byte_tokens()}


@pytest.mark.parametrize("rule", ["nfc", "none"])
def test_the_normalisation_remains_that_of_the_old_vocabulary(rule: str) -> None:
    for kind in KINDS:
        old = make(ENGLISH, kind, normalisation=rule)
        assert extend_vocabulary(old, make(TEXTS["Greek"], kind, normalisation=rule)).rule == rule


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", TEXTS)
def test_an_extended_vocabulary_has_the_old_tokens_and_knows_the_new_text(kind: str, language: str) -> None:
    old, new = make(ENGLISH, kind), make(TEXTS[language], kind)
    both = extend_vocabulary(old, new)
    assert both.spellings[: len(old)] == old.spellings
    assert {*both.spellings} == {*old.spellings, *new.spellings}
    for line in [*ENGLISH, *TEXTS[language]]:
        ids = both.encode(line)
        assert UNK not in ids
        assert both.decode(ids) == line
    assert any(i >= len(old) for line in TEXTS[language] for i in both.encode(line))


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_segmentations_of_an_extended_vocabulary_are_sampled(kind: str) -> None:
    both = extend_vocabulary(make(ENGLISH, kind), make(TEXTS["Greek"], kind))
    for seed, line in enumerate([*ENGLISH, *TEXTS["Greek"]]):
        assert both.decode(both.sample(line, 0.3, seed)) == line


def test_bpe_merges_of_the_old_text_come_first() -> None:
    old, new = make(ENGLISH, "bpe"), make(TEXTS["Greek"], "bpe")
    both = extend_vocabulary(old, new)
    assert [both.encode(line) for line in ENGLISH] == [old.encode(line) for line in ENGLISH]


def test_a_tag_of_the_new_text_remains_one_token() -> None:
    new = train_vocabulary(TEXTS["Greek"], SubwordSettings(size=60), tags=["<2el>"])
    both = extend_vocabulary(make(ENGLISH, "unigram"), new)
    assert both.tokens(both.encode("<2el> the dog"))[0] == "<2el>"
    assert "<2el>" not in both.tokens(both.encode("the <2el> dog"))


def test_words_divided_by_codes_are_not_extended() -> None:
    codes = BpeCodes(["#version: 0.2", "t h", "th e</w>"])
    with pytest.raises(ValueError, match="another program"):
        extend_vocabulary(WordVocabulary(["the"], codes=codes), make(ENGLISH, "pretokenized"))


def test_segments_remain_joined() -> None:
    old = make(["a bet@@ ter wor@@ ld"] * 3, "pretokenized")
    both = extend_vocabulary(old, make(["ein bes@@ ser Tag"] * 3, "pretokenized"))
    assert both.decode(both.encode("ein bes@@ ser wor@@ ld")) == "ein besser world"


def test_vocabularies_of_different_kinds_are_not_joined() -> None:
    with pytest.raises(ValueError, match="different kinds"):
        extend_vocabulary(make(ENGLISH, "unigram"), make(ENGLISH, "pretokenized"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_shared_token_is_its_own_part(kind: str) -> None:
    old = make(ENGLISH, kind)
    both = extend_vocabulary(old, make(TEXTS["Latin"], kind))
    parts = find_parts(old, both).parts
    assert parts[: len(old)] == [[i] for i in range(len(old))]
    assert len(parts) == len(both)


def test_a_new_token_has_the_fewest_old_tokens_that_spell_it() -> None:
    old = train_vocabulary(["a b c ab bc abc"] * 4, SubwordSettings(kind="char", size=8))
    new = WordVocabulary(["ab", "cab", "xyz", "a"])
    spelt = [[old.spellings[i] for i in part] for part in find_parts(old, new).parts]
    assert spelt[: len(SPECIALS)] == [[special] for special in SPECIALS]
    assert spelt[len(SPECIALS) :] == [["▁", "a", "b"], ["▁", "c", "a", "b"], [], ["▁", "a"]]


def test_words_are_not_spelt_by_other_words_but_by_subwords() -> None:
    words = WordVocabulary(["sun", "flower"])
    assert find_parts(words, WordVocabulary(["sunflower", "flower"])).parts[len(SPECIALS) :] == [[], [5]]
    description = find_parts(words, WordVocabulary(["sunflower", "flower"])).describe()
    assert description == "5 of 6 tokens shared, 0 start as the mean of their parts, 1 as the mean of all"
