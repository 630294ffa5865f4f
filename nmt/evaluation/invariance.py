"""The check that translations depend on neither the size nor the order of batches.

`nmt translate --verify` applies it to a sample of the lines that it has translated.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from nmt.decoding.job import Job
from nmt.decoding.translation import Translation, translate_window

VERIFICATION_BATCHES = (1, 7, 64)


def find_differing_lines(sample: Sequence[Translation], job: Job) -> list[int]:
    """Translate the lines of a sample again, and return the numbers of those whose results differ.

    The sizes of the batches are VERIFICATION_BATCHES, each with another order of the lines.
    """
    differing = set()
    for batch in VERIFICATION_BATCHES:
        order = random.Random(batch).sample(sample, len(sample))
        other_job = job._replace(options=replace(job.options, batch=batch))
        again = translate_window([translation.line for translation in order], other_job)
        differing |= {one.number for one, other in zip(order, again, strict=True) if one != other}
    return sorted(differing)
