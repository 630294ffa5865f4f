"""What a run is made from: vocabularies and encoded pairs, as the recipe's data and subwords say."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from nmt.data.corpora import corpus_root
from nmt.data.filters import LengthFilter
from nmt.data.store import TokenStore, checksums, prepare_store
from nmt.data.subwords import Vocabulary, load_vocabulary, train_vocabulary
from nmt.data.text import Corpus, find_corpus, find_text, read_pairs
from nmt.errors import DataError, UsageError
from nmt.recipe.schema import AnyRecipe, Recipe
from nmt.recipe.schema.data import Text
from nmt.training import checkpoint

SIDES = ("source", "target")
MADE_OF = "material.json"


class Material(NamedTuple):
    """Everything a run reads: the vocabularies, and the pairs to learn from and to validate on."""

    source: Vocabulary
    target: Vocabulary
    train: TokenStore
    valid: TokenStore
    valid_pairs: list[tuple[str, str]]


def find(recipe: AnyRecipe, part: str) -> Corpus:
    """The files of a part of the data: `train`, `valid` or `test`."""
    data = recipe.data
    named = getattr(data, part)
    if named is None:
        raise UsageError(f"data.{part}: the recipe names none; add it, or give data.{part}=NAME")
    root = (
        corpus_root(data.root.removeprefix("corpus:")) if data.root.startswith("corpus:") else Path(data.root)
    )
    if isinstance(data, Text):
        return find_text(named, root=root)
    return find_corpus(named, root=root, src=data.src, tgt=data.tgt)


def prepare(recipe: Recipe, run: Path) -> Material:
    """Learn the vocabularies and encode the pairs, or take what stands in the run directory already."""
    train, valid = find(recipe, "train"), find(recipe, "valid")
    if remember(run, {"the training pairs": checksums(train), "the validation pairs": checksums(valid)}):
        forget(run)
    source, target = vocabularies(recipe, train, run)
    remember(
        run, {"the source vocabulary": source.fingerprint(), "the target vocabulary": target.fingerprint()}
    )
    data = recipe.data
    keep = LengthFilter(data.min_length, data.max_length, data.max_ratio)
    sampled = recipe.subwords.sampling > 0
    valid_pairs = list(read_pairs(valid))
    if not any(src.strip() and tgt.strip() for src, tgt in valid_pairs):
        raise DataError(f"data.valid: {valid} has no pair with text on both sides")
    return Material(
        source,
        target,
        prepare_store(store_file(run, "train"), train, src=source, tgt=target, keep=keep, with_text=sampled),
        prepare_store(
            store_file(run, "valid"), valid, src=source, tgt=target, keep=LengthFilter(1, 10**9, None)
        ),
        valid_pairs,
    )


def store_file(run: Path, part: str) -> Path:
    """Where the encoded pairs of `train` or `valid` lie."""
    return run / "data" / f"{part}.safetensors"


def vocabularies(recipe: Recipe, train: Corpus, run: Path) -> tuple[Vocabulary, Vocabulary]:
    """The run's vocabularies, learnt from the training pairs when it starts."""
    if all(vocabulary_file(run, side) for side in SIDES):
        return load_vocabularies(run)
    source = learn(
        recipe, chain.from_iterable(read_pairs(train)) if recipe.subwords.joint else _side(train, 0)
    )
    target = source if recipe.subwords.joint else learn(recipe, _side(train, 1))
    for side, vocabulary in zip(SIDES, (source, target), strict=True):
        vocabulary.save(run / (side + vocabulary.suffix))
    return source, target


def sides(recipe: AnyRecipe) -> Sequence[str]:
    """Whose vocabularies a run of the recipe holds."""
    return SIDES if isinstance(recipe, Recipe) else SIDES[1:]


def begun(run: Path) -> bool:
    """Whether anything that was learnt is kept."""
    return bool(checkpoint.listed(run / "checkpoints"))


def remember(run: Path, found: Mapping[str, str | list[str]]) -> bool:
    """Note the checksums of what a run is made of; gives whether they were others before.

    If they were, and something has been learnt of it, raises DataError.
    """
    known = _read(run / MADE_OF)
    odd = [name for name, sums in found.items() if known.get(name, sums) != sums]
    if odd and begun(run):
        raise DataError(
            f"{' and '.join(odd)} changed since {run} was begun; "
            "put back what was there, or begin anew in another directory (--output)"
        )
    if {**known, **found} != known:
        write_whole(run / MADE_OF, json.dumps({**known, **found}, indent=2) + "\n")
    return bool(odd)


def _read(file: Path) -> dict[str, str | list[str]]:
    try:
        known: dict[str, str | list[str]] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise DataError(f"{file} is damaged: what the run was made of is not known any more") from None
    return known


def forget(run: Path) -> None:
    """Remove the vocabularies; the encoded pairs know themselves what they were made of."""
    for path in (vocabulary_file(run, side) for side in SIDES):
        if path is not None:
            path.unlink()


def write_whole(file: Path, text: str) -> None:
    """Write a text file of a run to the side, and give it its name when it is on the disk."""
    aside = file.with_name(f".{file.name}")
    with aside.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(file)


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


def learn(recipe: AnyRecipe, lines: Iterator[str]) -> Vocabulary:
    """The vocabulary that a recipe's section `subwords` makes of lines."""
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
