"""The check that translations depend on neither the size nor the order of batches."""

import random
from dataclasses import replace

from nmt.decoding.job import Job
from nmt.decoding.translation import Translation, translate_window
from nmt.reservoir import Reservoir

VERIFICATION_BATCHES = (1, 7, 64)


class InvarianceSample:
    """A uniform sample of the translations of a job, to be translated again."""

    def __init__(self, size: int) -> None:
        self._sample = Reservoir[Translation](size, seed=1)
        self.add = self._sample.add

    @property
    def translations(self) -> list[Translation]:
        """The sample."""
        return self._sample.items

    def find_differing_lines(self, job: Job) -> list[int]:
        """Return the numbers of the lines whose results differ with other batch sizes and orders."""
        differing = set()
        for batch in VERIFICATION_BATCHES:
            order = random.Random(batch).sample(self.translations, len(self.translations))
            other_job = job._replace(options=replace(job.options, batch=batch))
            again = translate_window([translation.line for translation in order], other_job)
            differing |= {one.number for one, other in zip(order, again, strict=True) if one != other}
        return sorted(differing)
