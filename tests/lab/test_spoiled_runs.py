"""Small runs with deliberate mistakes, and their diagnoses: `python -m tests.lab.test_spoiled_runs DIR`."""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

import pytest

import nmt
from nmt.errors import DataError
from nmt.lab.doctor.diagnose_run import diagnose_run
from nmt.lab.doctor.finding import Finding

Pairs = list[tuple[str, str]]
Change = Callable[[Pairs], Pairs]

RECIPE = """\
data: {root: ROOT, src: de, tgt: en, train: train, valid: valid}
subwords: {size: 250}
encoder: {embedding: 32, hidden: 32, bidirectional: all, dropout: {embedding: 0.1}}
decoder: {embedding: 32, hidden: 64, attention: general, dropout: {embedding: 0.1}}
training:
  learning_rate: {peak: 1e-2, schedule: cosine, warmup: 20}
  batch: {by: sentences, size: 32}
  stop_after: 6e
  validation: {every: 1e, metric: bleu}
  threads: 1
search: {beam: 2}
"""
PAIRS, VALIDATED = 2000, 100
NOUNS = {
    **{"Hund": "dog", "Vogel": "bird", "Mann": "man", "Baum": "tree", "Fisch": "fish", "Stein": "stone"},
    **{
        "Bären": "bear",
        "König": "king",
        "Löwen": "lion",
        "Schlüssel": "key",
        "Wald": "forest",
        "Ball": "ball",
    },
}
ADJECTIVES = {
    **{"alten": "old", "kleinen": "small", "roten": "red", "guten": "good", "schönen": "beautiful"},
    **{"grünen": "green", "müden": "tired", "jungen": "young"},
}
VERBS = {
    **{"sucht": "seeks", "kennt": "knows", "findet": "finds", "malt": "paints", "hört": "hears"},
    **{"wählt": "chooses", "sieht": "sees", "liebt": "loves"},
}
ADVERBS = {"heute": "today", "oft": "often", "später": "later", "manchmal": "sometimes", "früh": "early"}


def write_pairs(count: int) -> Pairs:
    """Return different sentences of a small German, and their English in another order of words."""
    draw, found = random.Random(1), dict[tuple[str, str], None]()
    while len(found) < count:
        adverb, verb = draw.choice([*ADVERBS.items()]), draw.choice([*VERBS.items()])
        (who, whom), (one, other) = draw.sample([*NOUNS.items()], 2), draw.sample([*ADJECTIVES.items()], 2)
        german, english = f"den {one[0]} {who[0]}", f"the {one[1]} {who[1]}"
        if draw.random() < 0.5:
            german, english = (
                f"{german} und den {other[0]} {whom[0]}",
                f"{english} and the {other[1]} {whom[1]}",
            )
        found[f"{adverb[0].capitalize()} {verb[0]} er {german}.", f"He {verb[1]} {english} {adverb[1]}."] = (
            None
        )
    return [*found]


def take(count: int) -> Change:
    """Return a function that keeps the first pairs."""
    return lambda pairs: pairs[:count]


def shift(pairs: Pairs) -> Pairs:
    """Give every source line the target of the next."""
    return [(src, tgt) for (src, _), (_, tgt) in pairwise(pairs)]


def copy_most(pairs: Pairs) -> Pairs:
    """Give two of three source lines themselves as the target."""
    return [(src, src if number % 3 else tgt) for number, (src, tgt) in enumerate(pairs)]


def exchange(pairs: Pairs) -> Pairs:
    """Exchange the sides."""
    return [(tgt, src) for src, tgt in pairs]


def garble(pairs: Pairs) -> Pairs:
    """Decode the UTF-8 of the source as Latin-1, as a wrong conversion does."""
    return [(src.encode().decode("latin-1").translate(CONTROLS), tgt) for src, tgt in pairs]


CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "?")


def unspace(pairs: Pairs) -> Pairs:
    """Write the target in Korean letters without spaces, as a script is that has no words."""
    letters = {letter: chr(0xAC00 + 28 * index) for index, letter in enumerate(ascii_lowercase)}
    table = str.maketrans({**letters, " ": "", ".": "。"})
    return [(src, tgt.lower().translate(table)) for src, tgt in pairs]


def add_names(pairs: Pairs) -> Pairs:
    """Add a made-up name to each side, hardly any of them twice."""
    draw, syllables = random.Random(2), [a + b for a in "bdgklmnprstvz" for b in "aeiou"]
    names = ("".join(draw.choices(syllables, k=3)).capitalize() for _ in pairs)
    return [(f"{name}: {src}", f"{name}: {tgt}") for name, (src, tgt) in zip(names, pairs, strict=True)]


class SpoiledRun(NamedTuple):
    """A way to spoil a run, and what the doctor has to say."""

    overrides: Mapping[str, Any] = {}
    train: Change = take(PAIRS)
    valid: Change = take(VALIDATED)
    expected: Sequence[str] = ()


LONG = {"training.stop_after": "500u", "training.validation.every": "50u", "training.batch.size": 16}
REGULARISED = {f"{side}.dropout.embedding": 0.0 for side in ("encoder", "decoder")}
RUNS = {
    "healthy": SpoiledRun(),
    "learning rate too high": SpoiledRun(
        {"training.learning_rate.peak": 1.0},
        expected=["worse than random guessing", "learning rate is too high"],
    ),
    "learning rate rather high": SpoiledRun(
        {"training.learning_rate.peak": 0.1}, expected=["100 times the 0.001 that is usual for adam"]
    ),
    "learning rate too low": SpoiledRun(
        {"training.learning_rate.peak": 1e-4}, expected=["the learning rate is too low"]
    ),
    "over-fitting": SpoiledRun(
        {**LONG, **REGULARISED, "training.label_smoothing": 0.0},
        take(150),
        expected=["overfitting since update", "150 pairs are too little data"],
    ),
    "too little data": SpoiledRun(
        LONG, take(60), expected=["60 pairs are too little data", "too little for any vocabulary"]
    ),
    "vocabulary too large": SpoiledRun(
        {"subwords.kind": "bpe", "subwords.size": 1500}, add_names, expected=["too rarely to be learned"]
    ),
    "vocabulary too small": SpoiledRun({"subwords.kind": "char"}, expected=["long sequences"]),
    "pairs shifted by a line": SpoiledRun(train=shift, expected=["do not seem to belong together"]),
    "sides exchanged": SpoiledRun(train=exchange, expected=["they do not belong together", "exchanged"]),
    "long pairs left out": SpoiledRun(
        {"data.max_length": 24}, expected=["of the training pairs were left out (mostly: longer than 24"]
    ),
    "target equal to the source": SpoiledRun(
        train=copy_most, expected=["(67%) with the same text on both sides", "copy the source"]
    ),
    "encoding wrong": SpoiledRun(train=garble, expected=["signs of a wrong decoding"]),
    "stopped too early": SpoiledRun(
        {"training.stop_after": "80u", "training.validation.every": "20u"},
        expected=["the validation loss still fell fast"],
    ),
    "metric at its floor": SpoiledRun(
        {"evaluation.tokenize": "13a"},
        unspace,
        lambda pairs: unspace(pairs)[:VALIDATED],
        expected=["bleu stayed at 0.00 while chrf rose"],
    ),
}


def spoil(folder: Path, spoiled: SpoiledRun) -> Path:
    """Train a spoiled run in a folder, and return its directory."""
    folder.mkdir(parents=True)
    pairs = write_pairs(PAIRS + VALIDATED)
    for part, chosen in (
        ("train", spoiled.train(pairs[VALIDATED:])),
        ("valid", spoiled.valid(pairs[:VALIDATED])),
    ):
        for language, lines in zip(("de", "en"), zip(*chosen, strict=True), strict=True):
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{part}.{language}").write_text(text, encoding="utf-8", newline="\n")
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("ROOT", str(folder)), encoding="utf-8")
    with suppress(DataError):  # it has diverged
        nmt.train(recipe, overrides=dict(spoiled.overrides), output=folder / "run")
    return folder / "run"


def describe(finding: Finding) -> str:
    """Format a finding on one line."""
    return f"{finding.level}: {finding.what}. Try: {finding.advice}"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_the_doctor_names_what_a_run_was_spoiled_by(name: str, tmp_path: Path) -> None:
    _, findings = diagnose_run(spoil(tmp_path / "spoiled", RUNS[name]))
    text = "\n".join(map(describe, findings))
    assert [phrase for phrase in RUNS[name].expected if phrase not in text] == [], text
    if not RUNS[name].expected:
        assert findings == []


def main() -> None:
    """Train and diagnose the runs of the command line, by default all."""
    folder, *names = sys.argv[1:]
    for name in names or RUNS:
        run = Path(folder) / name.replace(" ", "-") / "run"
        if not run.is_dir():
            spoil(run.parent, RUNS[name])
        facts, findings = diagnose_run(run)
        print(f"\n{name}: {facts}", *map(describe, findings), sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
