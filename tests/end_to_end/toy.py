"""Toy languages a model learns in seconds, small recipes for them, and the command line as it is typed."""

import random
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from nmt.cli.app import app

SYMBOLS = "abcdefgh"
Language = Callable[[list[str]], list[str]]


def copied(words: list[str]) -> list[str]:
    """The same sentence."""
    return words


def reversed_(words: list[str]) -> list[str]:
    """The sentence from its end to its start."""
    return words[::-1]


def spelt(words: list[str]) -> list[str]:
    """Every letter as two words of another language, so that the lengths differ."""
    return [part for word in words for part in (word.upper(), str(SYMBOLS.index(word)))]


def nmt(*arguments: object, stdin: bytes = b"") -> Result:
    """`nmt ARGUMENTS < stdin`, in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def done(result: Result) -> str:
    """The standard output of a command that must have worked."""
    assert result.exit_code == 0, result.output
    return result.stdout


def sentences(count: int, *, shortest: int = 2, longest: int = 6, seed: int = 1) -> list[list[str]]:
    """Different sentences of random symbols."""
    draw, found = random.Random(seed), dict[tuple[str, ...], None]()
    while len(found) < count:
        found[tuple(draw.choices(SYMBOLS, k=draw.randint(shortest, longest)))] = None
    return [list(sentence) for sentence in found]


def write_lines(path: Path, lines: list[str]) -> None:
    """Lines to a UTF-8 file."""
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


def write_corpus(
    folder: Path, language: Language, *, train: int = 3000, held_out: int = 100, longest: int = 5
) -> Path:
    """train, valid and test, each as .src and .tgt; no sentence is in two of them."""
    folder.mkdir(parents=True, exist_ok=True)
    pool, start = sentences(train + 2 * held_out, longest=longest), 0
    for part, count in {"train": train, "valid": held_out, "test": held_out}.items():
        chosen = pool[start : start + count]
        start += count
        write_lines(folder / f"{part}.src", [" ".join(words) for words in chosen])
        write_lines(folder / f"{part}.tgt", [" ".join(language(words)) for words in chosen])
    return folder


NOUNS = {"hund": "dog", "vogel": "bird", "mann": "man", "baum": "tree", "fisch": "fish", "stein": "stone"}
ADJECTIVES = {"alte": "old", "kleine": "small", "rote": "red", "gute": "good"}
VERBS = {"sucht": "seeks", "kennt": "knows", "findet": "finds", "malt": "paints"}


def phrases(count: int) -> list[tuple[str, str]]:
    """Different sentences of a small German and their English, as raw text."""
    draw, found = random.Random(1), dict[tuple[str, str], None]()
    while len(found) < count:
        adjective, noun, verb, other = (
            draw.choice([*words.items()]) for words in (ADJECTIVES, NOUNS, VERBS, NOUNS)
        )
        german = f"Der {adjective[0]} {noun[0].title()} {verb[0]} einen {other[0].title()}."
        found[german, f"The {adjective[1]} {noun[1]} {verb[1]} a {other[1]}."] = None
    return [*found]


def write_phrases(folder: Path, parts: dict[str, int], suffixes: tuple[str, str] = ("de", "en")) -> Path:
    """Parts of so many pairs each, with no pair in two of them."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = iter(phrases(sum(parts.values())))
    for part, count in parts.items():
        sides = zip(*(next(pairs) for _ in range(count)), strict=True)
        for suffix, lines in zip(suffixes, sides, strict=True):
            write_lines(folder / f"{part}.{suffix}", list(lines))
    return folder


RECIPE = """\
data: {root: ROOT, src: src, tgt: tgt, train: train, valid: valid, test: test}
subwords: {kind: pretokenized}
encoder: {cell: CELL, embedding: 32, hidden: 32}
decoder: {cell: CELL, embedding: 32, hidden: 64, attention: additive}
training:
  learning_rate: {peak: 1e-2, schedule: cosine, warmup: 10}
  label_smoothing: 0.0
  batch: {size: 32}
  stop_after: 200u
  validation: {every: 200u, metric: loss}
  threads: 1
search: {beam: 1}
"""


def write_recipe(path: Path, corpus: Path, cell: str = "lstm") -> Path:
    """A recipe for a toy corpus that learns in a few seconds."""
    path.write_text(RECIPE.replace("ROOT", str(corpus)).replace("CELL", cell), encoding="utf-8")
    return path


def accuracy(hyps: str, refs: Path) -> float:
    """Share of whole lines that are right."""
    wanted = refs.read_text(encoding="utf-8").splitlines()
    found = hyps.splitlines()
    assert len(found) == len(wanted)
    return sum(hyp == ref for hyp, ref in zip(found, wanted, strict=True)) / len(wanted)
