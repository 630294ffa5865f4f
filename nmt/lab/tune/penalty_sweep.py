"""One search that finds the best translation by each of several length penalties.

The live hypotheses of a beam are selected by log probability alone; the length penalty ranks the finished
ones, and decides when a sentence is done. So one search that continues until the sentence is done by every
penalty finds exactly what separate searches would find.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from nmt.decoding.hypothesis import BeamHistory, Hypothesis, SentenceSearch, Track
from nmt.decoding.job import Job, LineReader, number_lines
from nmt.decoding.options import Options, Request
from nmt.decoding.translation import finish_line, search_window


class PenaltySweep(SentenceSearch):
    """The search for one sentence, with the best hypothesis by each length penalty as its results."""

    def __init__(self, request: Request, memory: Any, options: Options, penalties: Sequence[float]) -> None:
        super().__init__(request, memory, options)
        self.variants = [replace(options, length_penalty=penalty) for penalty in penalties]
        self.ended = [[] for _ in penalties]

    def end(
        self,
        group: int,
        entry: int,
        log_prob: float,
        track: Track,
        history: BeamHistory,
        *,
        steps_back: int = 0,
    ) -> None:
        """Record the end of a hypothesis for every penalty by which it is the best."""
        for index, variant in enumerate(self.variants):
            self.options = variant
            super().end(index, entry, log_prob, track, history, steps_back=steps_back)

    def is_done(self, groups: Sequence[int], log_probs: Sequence[float]) -> bool:
        """Return True if no live hypothesis can become the best by any penalty."""
        for index, variant in enumerate(self.variants):
            self.options = variant
            if not super().is_done([index] * len(groups), log_probs):
                return False
        return True

    def thresholds(self, positions: int) -> tuple[Sequence[float], float]:
        """Return thresholds that make every position the last of its run."""
        return [-math.inf] * positions, math.inf

    def hypotheses(self, history: BeamHistory) -> list[Hypothesis]:
        """Return the best hypothesis by each penalty, in their order."""
        return [self._trace(ended[0], history) for ended in self.ended]


def sweep_penalties(lines: Iterable[str], job: Job, penalties: Sequence[float]) -> list[list[str]]:
    """Return the translations of lines by each length penalty, which are those of searches with it."""
    options = replace(job.options, n_best=1)
    job, start = job._replace(options=options, n_best=1), partial(PenaltySweep, penalties=penalties)
    found: list[list[str]] = [[] for _ in penalties]
    reader = LineReader(number_lines((line, None) for line in lines))
    for window in reader.windows(max(1, job.read_ahead * options.batch)):
        for plan, parts in search_window(window.lines, job, start):
            for index, texts in enumerate(found):
                texts.append(finish_line(plan, [[part[index]] for part in parts], job).text)
    return found
