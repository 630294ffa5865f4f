"""Log probabilities that lie in an array: for ensembles, runtimes that hand out arrays, and tests."""

import numpy as np

from nmt.decoding.model import Floats, Ints


class LogProbs:
    """`Scores` over an array of log probabilities [R, V]."""

    def __init__(self, log_probs: Floats) -> None:
        self.log_probs = log_probs

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best of each row and their pieces, [R, count] both; equal ones by piece."""
        rows, vocabulary = self.log_probs.shape
        count = min(count, vocabulary)
        # What is at least the count-th value of its row is found whole, so that ties are seen.
        least = np.partition(self.log_probs, vocabulary - count, axis=1)[:, vocabulary - count, None]
        row, piece = np.nonzero(~(self.log_probs < least))
        order = np.lexsort((piece, -self.log_probs[row, piece], row))
        first = np.searchsorted(row, np.arange(rows))  # `row` ascends, before and after the sort
        chosen = order[first[:, None] + np.arange(count)]
        return self.log_probs[row[chosen], piece[chosen]], piece[chosen]

    def of(self, rows: Ints, pieces: Ints) -> Floats:
        """Of some pieces: [N] for rows [N] and pieces [N]."""
        return self.log_probs[rows, pieces]

    def all(self) -> Floats:
        """Of every piece, [R, V]."""
        return self.log_probs
