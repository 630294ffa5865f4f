"""Vocabularies: the same for every kind, trained the same in every process, unharmed by any text."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from math import exp
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary, load_vocabulary
from nmt.data.vocabulary.sampling import BpeSegmentations, UnigramSegmentations
from nmt.data.vocabulary.training import KINDS, SAMPLE_SIZE, SubwordSettings, train_vocabulary
from nmt.errors import DataError, UsageError
from nmt.reservoir import sample_lines

WORDS = [
    "the",
    "a",
    "small",
    "big",
    "dog",
    "cat",
    "bird",
    "sees",
    "hears",
    "follows",
    "old",
    "house",
    "in",
    "under",
    "behind",
    "garden",
    "every",
    "never",
]
NASTY = ["", "   ", "\t", "\0", "a\0b", "\u2028", "a\u2028b", "\x85", "\r", "</s> <pad> <unk>"]
NASTY += ["x" * 100_000, "dog " * 20_000]


def sentences(count: int = 300) -> list[str]:
    rng = random.Random(1)
    return [" ".join(rng.choices(WORDS, k=rng.randint(2, 9))) + "." for _ in range(count)]


def trained(kind: str, size: int = 40, sample_size: int = SAMPLE_SIZE) -> Vocabulary:
    return train_vocabulary(sentences(), SubwordSettings(kind=kind, size=size), sample_size=sample_size)


@pytest.fixture(scope="module", params=KINDS)
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return trained(request.param)


def test_special_tokens_come_first(vocabulary: Vocabulary) -> None:
    assert tuple(vocabulary.tokens([PAD, BOS, EOS, UNK])) == SPECIALS


def test_decoding_undoes_encoding_and_passes_over_pad_bos_and_eos(vocabulary: Vocabulary) -> None:
    for line in sentences(50):
        ids = vocabulary.encode(line)
        assert vocabulary.decode([BOS, *ids, EOS, PAD, PAD]) == line
        assert UNK < min(ids) <= max(ids) < len(vocabulary)


def test_lines_encoded_together_are_encoded_as_one_by_one(vocabulary: Vocabulary) -> None:
    lines = [*sentences(20), *NASTY]
    assert vocabulary.encode_all(lines) == [vocabulary.encode(line) for line in lines]


def test_no_text_crashes_and_none_gives_control_ids(vocabulary: Vocabulary) -> None:
    for line in NASTY:
        ids = vocabulary.encode(line)
        assert all(i >= UNK for i in ids)
        assert "\n" not in vocabulary.decode(ids)
    assert vocabulary.encode("") == vocabulary.encode("   ") == vocabulary.encode("\u2028") == []


def test_a_saved_vocabulary_comes_back_with_the_same_fingerprint(
    vocabulary: Vocabulary, tmp_path: Path
) -> None:
    path = tmp_path / f"source{vocabulary.suffix}"
    vocabulary.save(path)
    again = load_vocabulary(path)
    assert (again.fingerprint(), len(again)) == (vocabulary.fingerprint(), len(vocabulary))
    assert again.encode(sentences(1)[0]) == vocabulary.encode(sentences(1)[0])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_sampled_segmentation_is_a_function_of_its_seed(kind: str) -> None:
    vocabulary, line = trained(kind), sentences(1)[0]
    drawn = [vocabulary.sample(line, 0.3, seed) for seed in range(20)]
    assert [trained(kind).sample(line, 0.3, seed) for seed in range(20)] == drawn
    assert len(set(map(tuple, drawn))) > 1
    assert {vocabulary.decode(ids) for ids in drawn} == {line}


@pytest.mark.parametrize(("kind", "alpha"), [("unigram", 1000.0), ("bpe", 0.0)])
def test_without_randomness_sampling_is_encoding(kind: str, alpha: float) -> None:
    vocabulary = trained(kind)
    for line in [*sentences(50), *NASTY, "the 한국어 dog", "x y\u2028z▁ a", "the" * 60]:
        assert vocabulary.sample(line, alpha, 2**32 - 1) == vocabulary.encode(line)


def test_unigram_segmentations_are_as_likely_as_their_smoothed_probability() -> None:
    scores = {"a": -1.0, "b": -2.0, "ab": -2.5, "aba": -3.0}
    draw = UnigramSegmentations({piece: i for i, piece in enumerate(scores)}, scores)
    weight = {(0, 1, 0): exp(-2.0), (2, 0): exp(-1.75), (3,): exp(-1.5)}  # alpha 0.5: half of -4, -3.5 and -3
    rng, count = random.Random(1), 20_000
    drawn = Counter(ids(draw("aba", 0.5, rng)) for _ in range(count))
    assert set(drawn) == set(weight)
    for one, weight_of_one in weight.items():
        assert drawn[one] / count == pytest.approx(weight_of_one / sum(weight.values()), abs=0.015)


def test_bpe_dropout_passes_over_each_merge_with_its_probability() -> None:
    pieces = {"a": 0, "b": 1, "ab": 2}
    draw = BpeSegmentations(pieces, {"a": -1.0, "b": -2.0, "ab": 0.0})
    rng, count = random.Random(1), 20_000
    drawn = Counter(ids(draw("ab", 0.3, rng)) for _ in range(count))
    assert set(drawn) == {(0, 1), (2,)}
    assert drawn[0, 1] / count == pytest.approx(0.3, abs=0.015)
    assert ids(draw("ab", 1.0, rng)) == (0, 1)


def ids(sampled: Sequence[tuple[int | None, str]]) -> tuple[int | None, ...]:
    return tuple(i for i, _ in sampled)


@pytest.mark.parametrize("kind", ["char", "pretokenized"])
def test_sampling_is_refused_for_vocabularies_with_one_segmentation(kind: str) -> None:
    with pytest.raises(UsageError, match="only unigram and bpe"):
        trained(kind).sample("the dog", 0.1, 1)


PROCESS = """
from tests.data.test_vocabulary import sentences, trained
for kind in ("unigram", "bpe", "char", "pretokenized"):
    print(trained(kind, sample_size=100).fingerprint())
for kind in ("unigram", "bpe"):
    print([trained(kind, sample_size=100).sample(line, 0.3, 7) for line in sentences(20)])
"""


def test_another_process_trains_the_same_vocabulary_and_samples_the_same() -> None:
    vocabularies = {kind: trained(kind, sample_size=100) for kind in KINDS}
    sampled = [[vocabularies[kind].sample(line, 0.3, 7) for line in sentences(20)] for kind in KINDS[:2]]
    here = [*(one.fingerprint() for one in vocabularies.values()), *map(str, sampled)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROCESS], cwd=root, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.splitlines() == here
    assert done.stderr == ""


def test_training_lines_are_sampled_uniformly_from_a_stream() -> None:
    sample = sample_lines((str(n) for n in range(10_000)), 1_000, seed=1)
    assert len(set(sample)) == 1_000
    assert 4_500 < sum(map(int, sample)) / 1_000 < 5_500
    assert sample_lines(iter("abc"), 5, seed=1) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_can_be_trained_on_lines_of_any_length(kind: str) -> None:
    lines = ["dog " * 30_000, "x" * 50_000, "", "\0", "a\u2028b"]
    vocabulary = train_vocabulary(lines, SubwordSettings(kind=kind, size=50))
    assert UNK not in vocabulary.encode("dog dog")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_small_text_gives_a_small_vocabulary_and_a_note(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    vocabulary = train_vocabulary(["a b"], SubwordSettings(kind=kind, size=8000, byte_fallback=False))
    assert len(vocabulary) < 20
    assert f"the text gives {len(vocabulary)} tokens, fewer than the 8,000 asked for" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lines", [[], ["", "  "]])
def test_no_text_gives_no_vocabulary(kind: str, lines: list[str]) -> None:
    with pytest.raises(DataError, match="no vocabulary can be trained|the vocabulary is empty"):
        train_vocabulary(lines, SubwordSettings(kind=kind, size=100))


def test_a_size_below_the_number_of_characters_is_refused_with_both_numbers() -> None:
    with pytest.raises(DataError, match=r"no vocabulary of 10 tokens .* needs \d\d, one for each character"):
        trained("unigram", size=10)


def test_words_are_chosen_by_count_then_alphabet_and_rare_ones_are_unknown() -> None:
    lines = ["b a b c", "a c d\u00a0e", "<unk> </s>"]
    vocabulary = train_vocabulary(lines, SubwordSettings(kind="pretokenized", size=6, min_count=2))
    assert vocabulary.tokens(range(len(vocabulary))) == [*SPECIALS, "a", "b"]
    assert vocabulary.encode("a  c b <pad> </s>") == [4, UNK, 5, UNK, UNK]
    assert vocabulary.decode([4, UNK]) == "a <unk>"


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_characters=" \n", exclude_categories=("Cs", "Zs", "Cc")), min_size=1),
        min_size=1,
    )
)
def test_words_joined_with_spaces_come_back(words: list[str]) -> None:
    line = " ".join(word for word in words if not word.isspace()) or "a"
    vocabulary = train_vocabulary(
        [line], SubwordSettings(kind="pretokenized", size=10_000, normalisation="none")
    )
    assert vocabulary.decode(vocabulary.encode(line)) == line


@pytest.mark.parametrize("content", [b"junk", b"", b"<pad>\na\n", b"<pad>\n<s>\n</s>\n<unk>\n\xff\n"])
def test_a_damaged_vocabulary_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "source.spm"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"source\.spm"):
        load_vocabulary(path)
    with pytest.raises(DataError, match=r"absent\.spm"):
        load_vocabulary(tmp_path / "absent.spm")
