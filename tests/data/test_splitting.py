"""Splits of a corpus: nothing of test and validation, nor a near copy, is in the training part."""

import functools
import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from nmt.data.splitting import (
    LARGEST_GROUP,
    MOST,
    Pair,
    SplitReport,
    SplitSettings,
    label_groups,
    split_pairs_by_group,
)
from nmt.data.splitting.near_copies import NearCopyIndex, normalise_sentence
from nmt.errors import DataError

DEFAULTS = SplitSettings()
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
Parts = dict[str, list[Pair]]


def word(draw: random.Random) -> str:
    return "".join(draw.choices(SYLLABLES, k=draw.randint(1, 4)))


def sentence(draw: random.Random, words: int = 8) -> str:
    """A sentence of words that hardly occur in another one."""
    return " ".join(word(draw) for _ in range(words)).capitalize() + "."


def corpus(count: int, seed: int = 1) -> list[Pair]:
    """Pairs that have nothing to do with each other."""
    draw = random.Random(seed)
    lengths = [draw.randint(3, 12) for _ in range(count)]
    return [(sentence(draw, words), sentence(draw, words)) for words in lengths]


def split(pairs: Sequence[Pair], settings: SplitSettings = DEFAULTS) -> tuple[Parts, SplitReport]:
    report = SplitReport()
    parts: Parts = {"train": [], "valid": [], "test": []}
    for part, pair in split_pairs_by_group(lambda: pairs, settings, report):
        parts[part].append(pair)
    return parts, report


@functools.cache
def ngrams(text: str, size: int) -> frozenset[str]:
    padded = f" {normalise_sentence(text)} "
    return frozenset(padded[i : i + size] for i in range(max(1, len(padded) - size + 1)))


def similarity(one: str, other: str, size: int = 4) -> float:
    """Jaccard similarity of the n-grams, by its definition."""
    shared = len(ngrams(one, size) & ngrams(other, size))
    return shared / (len(ngrams(one, size)) + len(ngrams(other, size)) - shared)


def leaks(parts: Parts) -> Iterator[tuple[str, str]]:
    """Sentences of different parts that are near copies of each other, found by comparing all of them."""
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        for side in (0, 1):
            for one in parts[first]:
                for other in parts[second]:
                    if similarity(one[side], other[side]) >= 0.6:
                        yield one[side], other[side]


def test_every_pair_is_in_one_part_or_counted() -> None:
    pairs = corpus(400)
    parts, report = split(pairs)
    assert report.parts == {name: len(part) for name, part in parts.items()}
    assert report.parts == {"train": 280, "valid": 60, "test": 60}
    assert sorted(pair for part in parts.values() for pair in part) == sorted(pairs)


def test_planted_near_copies_of_held_out_sentences_leave_the_training_part() -> None:
    """Copies with other case, digits, punctuation, a letter or a word more are planted for every pair."""
    pairs, draw = corpus(150), random.Random(2)
    planted = []
    for src, tgt in pairs:
        kinds = (
            (src.upper(), sentence(draw)),
            (sentence(draw), tgt.replace(".", " 1999!")),
            (src.replace("a", "ä", 1), sentence(draw)),
            (sentence(draw), f"Also {tgt}"),
        )
        planted.append(draw.choice(kinds))
    parts, report = split([*pairs, *planted])
    assert list(leaks(parts)) == []
    assert report.training.seen - report.training.kept >= 40
    assert report.examples


def test_pairs_that_share_a_sentence_by_way_of_others_stay_together() -> None:
    """A corpus with many translations of a sentence, in both directions."""
    draw = random.Random(3)
    pairs = []
    for _ in range(100):
        src, tgt = [sentence(draw) for _ in range(2)], [sentence(draw) for _ in range(3)]
        pairs += [(src[0], tgt[0]), (src[0], tgt[1]), (src[1], tgt[1]), (src[1], tgt[2])]
    draw.shuffle(pairs)
    parts, report = split(pairs)
    assert report.groups == 100
    assert report.largest_group == 4
    assert list(leaks(parts)) == []
    held_out = [pair for part in ("valid", "test") for pair in parts[part]]
    assert len({src for src, _ in held_out}) == len(held_out)
    assert len(parts["train"]) % 4 == 0  # whole groups


def test_groups_are_those_of_a_search_through_the_pairs() -> None:
    draw = random.Random(4)
    keys = [np.array([draw.randrange(60) for _ in range(80)], np.uint64) for _ in range(2)]
    labels = label_groups(*keys)
    for first in range(80):
        found, ahead = {first}, [first]
        while ahead:
            here = ahead.pop()
            near = [i for i in range(80) if any(side[i] == side[here] for side in keys) and i not in found]
            found.update(near)
            ahead += near
        assert {*np.flatnonzero(labels == labels[first]).tolist()} == found
        assert labels[first] == min(found)
    assert len(label_groups(np.array([], np.uint64), np.array([], np.uint64))) == 0


def test_a_long_chain_of_pairs_is_one_group() -> None:
    left = np.repeat(np.arange(5000, dtype=np.uint64), 2)[:-1]
    right = np.repeat(np.arange(5000, dtype=np.uint64), 2)[1:]
    assert not label_groups(left, right).any()


def test_a_large_group_stays_in_training() -> None:
    pairs = corpus(300)
    pairs += [("Yes, that is so.", target) for _, target in corpus(LARGEST_GROUP + 1, seed=9)]
    parts, _ = split(pairs)
    assert sum(src == "Yes, that is so." for src, _ in parts["train"]) == LARGEST_GROUP + 1


def test_the_split_depends_on_the_seed_and_not_on_the_order() -> None:
    pairs = corpus(400)
    pairs += [(src, tgt[::-1]) for src, tgt in pairs[:200]]  # two targets of a source
    first, again, other = split(pairs)[0], split(pairs[::-1])[0], split(pairs, SplitSettings(seed=2))[0]
    assert sorted(first["test"]) == sorted(again["test"])
    assert sorted(first["valid"]) == sorted(again["valid"])
    assert len({*first["test"]} & {*other["test"]}) < 40


def test_in_a_corpus_that_has_grown_most_held_out_sentences_are_the_same() -> None:
    pairs, more = corpus(400), corpus(40, seed=7)
    before, after = split(pairs)[0], split([*more, *pairs])[0]
    assert len({*before["test"]} & {*after["test"]}) >= 48


@pytest.mark.parametrize(
    ("pairs", "expected"), [(500, 66), (1000, 93), (30_000, 519), (150_000, 1161), (5_000_000, MOST)]
)
def test_the_sizes_follow_that_of_the_corpus(pairs: int, expected: int) -> None:
    assert SplitSettings().held_out_size(pairs) == expected


def test_too_few_sentences_to_draw_are_an_error() -> None:
    pairs = [("Yes.", target) for _, target in corpus(200)]
    with pytest.raises(DataError, match=r"only 0 test and 0 validation pairs can be drawn"):
        split(pairs)


@pytest.mark.parametrize("kind", ["latin", "han"])
def test_the_index_finds_what_a_comparison_with_all_finds(kind: str) -> None:
    draw, letters = random.Random(5), "abcdefg " if kind == "latin" else "一二三四五六七八九十"

    def text() -> str:
        return normalise_sentence("".join(draw.choices(letters, k=draw.randint(1, 16))) + letters[0])

    indexed, size = [text() for _ in range(150)], 4 if kind == "latin" else 2
    changed = [normalise_sentence(one.replace(letters[1], letters[2], 1)) for one in indexed]
    for threshold in (0.3, 0.6, 0.9):
        index = NearCopyIndex(indexed, threshold)
        for query in [*changed, *(text() for _ in range(150))]:
            near = [one for one in indexed if similarity(query, one, size) >= threshold]
            found = index.find(query)
            assert (found is not None) == bool(near), query
            assert found is None or indexed[found] in near


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In 2024, 3 Hunde!", "in hunde"),
        ("ＡＢＣ straße", "abc strasse"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया"),
        (" 12 + 3 ", "12 + 3"),
        ("", ""),
    ],
)
def test_normalised_sentences_have_letters_only(text: str, expected: str) -> None:
    assert normalise_sentence(text) == expected
