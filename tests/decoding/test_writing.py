"""A language model on its own output, against models whose every word is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.model import Ints, LogProbs, StepOutput
from nmt.decoding.options import Options
from nmt.decoding.sampling import sample_texts, split_lines

A, B, C = 4, 5, 6


class Counting:
    """After x it says (x + 1) with probability 0.9; its state is all that it has read, bos first."""

    vocabulary_size = 7

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[Any]:
        return [None for _ in sources]

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        assert len(memories) == len(y)
        old = [[] if parent < 0 else state[parent] for parent in parents.tolist()]
        read = [[*before, piece] for before, piece in zip(old, y.tolist(), strict=True)]
        return StepOutput(LogProbs(np.array([self.log_probs(row) for row in read], np.float32)), read, None)

    def log_probs(self, read: list[int]) -> list[float]:
        expected = {BOS: A, A: B, B: C, C: EOS, EOS: A}[read[-1]]
        others = 0.1 / (self.vocabulary_size - 1)
        return [float(np.log(0.9 if piece == expected else others)) for piece in range(self.vocabulary_size)]


class ThirdLine(Counting):
    """Writes A on every line but the third of what it remembers, and there B."""

    def log_probs(self, read: list[int]) -> list[float]:
        word = B if read.count(EOS) == 2 else A
        expected = word if read[-1] in (BOS, EOS) else EOS
        return [0.0 if piece == expected else -50.0 for piece in range(self.vocabulary_size)]


BEST = Options(sample=True, top_k=1, n_best=1)


def test_the_best_piece_is_written_and_read_again() -> None:
    written = sample_texts(Counting(), BEST, 7, line_by_line=False)
    assert written.tokens.tolist() == [[A, B, C, EOS, A, B, C]]
    np.testing.assert_allclose(written.log_probs, np.full((1, 7), np.log(0.9)), rtol=1e-6)


def test_a_prompt_is_read_and_what_follows_it_is_written() -> None:
    written = sample_texts(Counting(), BEST, 3, [B, B], line_by_line=False)
    assert written.tokens.tolist() == [[B, B, C, EOS, A]]
    assert written.log_probs[0, 0] == pytest.approx(np.log(0.1 / 6))


@pytest.mark.parametrize(
    ("line_by_line", "third"), [(True, A), (False, B)], ids=["line by line", "one after the other"]
)
def test_a_line_knows_of_those_before_it_unless_each_begins_anew(line_by_line: bool, third: int) -> None:
    pieces = sample_texts(ThirdLine(), BEST, 6, line_by_line=line_by_line).tokens
    assert split_lines(pieces[0]) == [[A], [A], [third], []]


def test_texts_are_drawn_each_for_itself_with_the_probabilities_of_the_model() -> None:
    options = Options(sample=True, n_best=400, seed=3)
    written = sample_texts(Counting(), options, 10, line_by_line=False)
    again = sample_texts(Counting(), options, 10, line_by_line=False)
    np.testing.assert_array_equal(written.tokens, again.tokens)
    first = (written.tokens[:, 0] == A).mean()  # of what may be drawn: 0.9 / (1 - 3 * 0.1 / 6)
    assert first == pytest.approx(0.9 / 0.95, abs=0.03)
    assert not np.isin(written.tokens, [PAD, BOS, UNK]).any()


def test_log_probabilities_are_those_of_the_model_whatever_the_temperature() -> None:
    cold, hot = (
        sample_texts(Counting(), Options(sample=True, n_best=50, temperature=t), 8, line_by_line=False)
        for t in (0.1, 3.0)
    )
    np.testing.assert_allclose(np.unique(cold.log_probs), [np.log(0.9)], rtol=1e-6)
    np.testing.assert_allclose(np.unique(hot.log_probs), np.log([0.1 / 6, 0.9]), rtol=1e-6)
