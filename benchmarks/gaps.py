"""What a cell remembers: scores of phrasebook runs by how many words had to be bridged.

    python -m benchmarks.gaps runs/quickstart-rnn runs/quickstart-gru runs/quickstart-lstm

Each run is one of `nmt run` on the phrasebook. For every range of gaps (test.gap: Korean words between what
must be remembered and where it is needed; 0 where nothing must be) it prints BLEU and, in brackets, the share
of sentences that equal their reference.
"""

import sys
from pathlib import Path

from nmt.data.corpora import corpus_root
from nmt.data.text import read_lines
from nmt.evaluation.metrics import score

RANGES = {"all": (0, 999), "gap 0": (0, 0), "gap 4-8": (1, 8), "gap 9+": (9, 999)}


def row(hyps: list[str], refs: list[str], gaps: list[int]) -> list[str]:
    """One cell of the table for each range."""
    cells = []
    for low, high in RANGES.values():
        chosen = [place for place, gap in enumerate(gaps) if low <= gap <= high]
        hyp, ref = [hyps[place] for place in chosen], [refs[place] for place in chosen]
        exact = sum(h == r for h, r in zip(hyp, ref, strict=True)) / len(chosen)
        cells.append(f"{score(hyp, [ref], ['bleu'])[0].value:.1f} ({exact:.0%})")
    return cells


def main(runs: list[Path]) -> None:
    """A table of all runs."""
    root = corpus_root("phrasebook")
    refs = list(read_lines(root / "test.en"))
    gaps = [int(line) for line in read_lines(root / "test.gap")]
    counts = [sum(low <= gap <= high for gap in gaps) for low, high in RANGES.values()]
    print(score(refs, [refs], ["bleu"])[0].signature)
    print(f"{'':<20}" + "".join(f"{name:>14}" for name in RANGES))
    print(f"{'lines':<20}" + "".join(f"{count:>14}" for count in counts))
    for run in runs:
        cells = row(list(read_lines(run / "test.hyp")), refs, gaps)
        print(f"{run.name:<20}" + "".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
