"""What a run is made from: vocabularies and encoded pairs, as the recipe's data and subwords say."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from nmt.data.corpora import corpus_root
from nmt.data.filters import LengthFilter
from nmt.data.store import TokenStore, prepare_store
from nmt.data.subwords import Vocabulary, load_vocabulary, train_vocabulary
from nmt.data.text import Corpus, find_corpus, read_pairs
from nmt.errors import DataError, UsageError
from nmt.recipe.schema import Recipe

SIDES = ("source", "target")


class Material(NamedTuple):
    """Everything a run reads: the vocabularies, and the pairs to learn from and to validate on."""

    source: Vocabulary
    target: Vocabulary
    train: TokenStore
    valid: TokenStore
    valid_pairs: list[tuple[str, str]]


def find(recipe: Recipe, part: str) -> Corpus:
    """The files of a part of the data: `train`, `valid` or `test`."""
    data = recipe.data
    pairs = getattr(data, part)
    if pairs is None:
        raise UsageError(f"data.{part}: the recipe names none; add it, or give data.{part}=NAME")
    root = (
        corpus_root(data.root.removeprefix("corpus:")) if data.root.startswith("corpus:") else Path(data.root)
    )
    return find_corpus(pairs, root=root, src=data.src, tgt=data.tgt)


def prepare(recipe: Recipe, run: Path) -> Material:
    """Learn the vocabularies and encode the pairs, or take what stands in the run directory already."""
    train, valid = find(recipe, "train"), find(recipe, "valid")
    source, target = vocabularies(recipe, train, run)
    data = recipe.data
    keep = LengthFilter(data.min_length, data.max_length, data.max_ratio)
    stores = run / "data"
    sampled = recipe.subwords.sampling > 0
    valid_pairs = list(read_pairs(valid))
    if not any(src.strip() and tgt.strip() for src, tgt in valid_pairs):
        raise DataError(f"data.valid: {valid} has no pair with text on both sides")
    return Material(
        source,
        target,
        prepare_store(
            stores / "train.safetensors", train, src=source, tgt=target, keep=keep, with_text=sampled
        ),
        prepare_store(
            stores / "valid.safetensors", valid, src=source, tgt=target, keep=LengthFilter(1, 10**9, None)
        ),
        valid_pairs,
    )


def vocabularies(recipe: Recipe, train: Corpus, run: Path) -> tuple[Vocabulary, Vocabulary]:
    """The run's vocabularies, learnt from the training pairs when it starts."""
    if all(vocabulary_file(run, side) for side in SIDES):
        return load_vocabularies(run)
    source = _learn(
        recipe, chain.from_iterable(read_pairs(train)) if recipe.subwords.joint else _side(train, 0)
    )
    target = source if recipe.subwords.joint else _learn(recipe, _side(train, 1))
    for side, vocabulary in zip(SIDES, (source, target), strict=True):
        vocabulary.save(run / (side + vocabulary.suffix))
    return source, target


def load_vocabularies(folder: Path) -> tuple[Vocabulary, Vocabulary]:
    """The two vocabularies that lie in a run or model directory."""
    source, target = (vocabulary_file(folder, side) for side in SIDES)
    if source is None or target is None:
        raise DataError(f"{folder} holds no source and target vocabulary: is it a run or a model directory?")
    return load_vocabulary(source), load_vocabulary(target)


def vocabulary_file(folder: Path, side: str) -> Path | None:
    """`source.spm` or `source.vocab`, whichever is there."""
    candidates = (folder / f"{side}{suffix}" for suffix in (".spm", ".vocab"))
    return next((path for path in candidates if path.is_file()), None)


def _learn(recipe: Recipe, lines: Iterator[str]) -> Vocabulary:
    subwords = recipe.subwords
    return train_vocabulary(
        lines,
        kind=subwords.kind,
        size=subwords.size,
        character_coverage=subwords.character_coverage,
        min_count=subwords.min_count,
        seed=recipe.seed,
    )


def _side(corpus: Corpus, side: int) -> Iterator[str]:
    return (pair[side] for pair in read_pairs(corpus))
