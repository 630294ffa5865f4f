"""Proof by example that a translation does not depend on what stands beside it."""

import random
from collections.abc import Sequence
from dataclasses import replace

from nmt.decoding.job import Job
from nmt.decoding.translate import translate_window
from nmt.decoding.translation import Translation

BATCHES = (1, 7, 64)


class Sample:
    """Some of the translations of a job, drawn evenly (Vitter, 1985, algorithm R)."""

    def __init__(self, size: int) -> None:
        self.drawn: list[Translation] = []
        self._size, self._seen, self._random = size, 0, random.Random(1)

    def take(self, translation: Translation) -> None:
        """Perhaps keep this one."""
        self._seen += 1
        if len(self.drawn) < self._size:
            self.drawn.append(translation)
        elif (slot := self._random.randrange(self._seen)) < self._size:
            self.drawn[slot] = translation


def differing(sample: Sequence[Translation], job: Job) -> list[int]:
    """The numbers of the lines that another batch size or order translates, scores or aligns otherwise."""
    wrong = set()
    for batch in BATCHES:
        order = random.Random(batch).sample(sample, len(sample))
        otherwise = job._replace(options=replace(job.options, batch=batch))
        again = translate_window([translation.line for translation in order], otherwise)
        wrong |= {one.number for one, other in zip(order, again, strict=True) if one != other}
    return sorted(wrong)
