"""Paragraphs of test sentences, translated with and without splitting, and the time that splitting costs.

    python -m benchmarks.paragraphs RUN SOURCE REFERENCE [--lines N] [--rounds N]

The lines of a test set that are one sentence each are joined to paragraphs of 2 to 10. Their translations,
cut back into sentences by the parts that are reported, are scored next to the lines translated one by one. A
part that contains several sentences counts as the translation of the first of them. Lines without a mark at
their end are left out: in a paragraph nothing shows where they end. The time is the CPU time for the lines
one by one, with `split` and without, in turn; the figures are medians.
"""

import argparse
import time
from bisect import bisect_right
from collections.abc import Sequence
from operator import ne
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

import torch

from nmt.data.sentences import CLOSERS, ENDS, find_separator, split_sentences
from nmt.data.text import read_lines
from nmt.decoding.job import Job
from nmt.decoding.translation import translate_lines
from nmt.evaluation.metrics import DEFAULT_METRICS, score
from nmt.recipe.tasks.translation import build_job, load_translator

SIZES = (2, 10)  # sentences in a paragraph


class Paragraph(NamedTuple):
    """Sentences on one line, and where each begins."""

    text: str
    starts: Sequence[int]


def join_paragraphs(sentences: list[str]) -> list[Paragraph]:
    """Return paragraphs of consecutive sentences."""
    draw, paragraphs, start = Random(1), list[Paragraph](), 0
    while start < len(sentences):
        chosen = sentences[start : start + draw.randint(*SIZES)]
        text, starts = "", list[int]()
        for sentence in chosen:
            text += find_separator(text, sentence, " ")
            starts.append(len(text))
            text += sentence
        paragraphs.append(Paragraph(text, starts))
        start += len(chosen)
    return paragraphs


def translate_paragraphs(paragraphs: list[Paragraph], job: Job) -> tuple[list[str], int]:
    """Return a translation for each sentence, and the number of sentences that are not parts of their own."""
    hyps, failed = list[str](), 0
    for one, (_, starts) in zip(
        translate_lines(((text, None) for text, _ in paragraphs), job), paragraphs, strict=True
    ):
        texts = [""] * len(starts)
        for part in one.parts:
            index = bisect_right(starts, part.source.start) - 1
            target = one.text[slice(*part.target)]
            texts[index] += find_separator(texts[index], target, " ") + target
        failed += texts.count("")
        hyps += texts
    return hyps, failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    job = build_job(load_translator(options.run))
    pairs = list(zip(read_lines(options.source), read_lines(options.reference), strict=True))
    pairs = [pair for pair in pairs if len(split_sentences(pair[0], job.languages[0])) == 1]
    pairs = [pair for pair in pairs if pair[0].rstrip(CLOSERS).endswith(tuple(ENDS))]
    sources, references = map(list, zip(*pairs[: options.lines], strict=True))
    lines = [one.text for one in translate_lines(((line, None) for line in sources), job)]
    paragraphs = join_paragraphs(sources)
    print(f"{len(sources):,} sentences in {len(paragraphs):,} paragraphs; {job.lengths}")
    for name, split_job in (("auto", job), ("never", job._replace(split="never"))):
        hyps, failed = translate_paragraphs(paragraphs, split_job)
        others = sum(map(ne, hyps, lines))
        for alone, joined in zip(
            score(lines, [references], DEFAULT_METRICS),
            score(hyps, [references], DEFAULT_METRICS),
            strict=True,
        ):
            print(
                f"{name:>6} {alone.name:>5}: one by one {alone.value:.2f}, in paragraphs {joined.value:.2f}"
            )
        print(f"{name:>6} sentences without a part of their own: {failed}; other translations: {others}")
    times: dict[str, list[float]] = {"auto": [], "never": []}
    for _ in range(options.rounds):
        for name, split_job in (("auto", job), ("never", job._replace(split="never"))):
            start = time.process_time()
            list(translate_lines(((line, None) for line in sources), split_job))
            times[name].append(time.process_time() - start)
    auto, never = (median(times[name]) for name in ("auto", "never"))
    print(f"CPU seconds for the lines: auto {auto:.3f}, never {never:.3f} ({100 * (auto / never - 1):+.1f}%)")


if __name__ == "__main__":
    main()
