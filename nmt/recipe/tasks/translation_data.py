"""The data of a translator: vocabularies and encoded pairs, prepared in the run directory."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from nmt.data.pair_rules import ANY_LENGTH, LengthFilter
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.sources import find_part, find_training_corpora
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.vocabulary import SIDES, Vocabulary
from nmt.data.vocabulary.training import train_vocabulary
from nmt.errors import DataError, UsageError
from nmt.recipe.prepare_data import (
    data_checksums,
    load_vocabularies,
    model_directory,
    record_checksums,
    remove_vocabularies,
    store_directory,
    vocabulary_file,
)
from nmt.recipe.schema import TranslationRecipe


class TranslationData(NamedTuple):
    """The prepared data of a run: vocabularies, encoded training and validation pairs."""

    source: Vocabulary
    target: Vocabulary
    train: TokenStore
    valid: TokenStore
    valid_pairs: list[tuple[str, str]]

    def describe(self) -> str:
        """The numbers of pairs and the sizes of the vocabularies, for the log."""
        source, target = len(self.source), len(self.target)
        joint = self.source.fingerprint() == self.target.fingerprint()
        vocabulary = f"{source:,} joint tokens" if joint else f"{source:,} and {target:,} tokens"
        parts = [(f" of {part.name}" if part.name else "", part.report) for part in self.train.parts]
        training = "\n".join(f"training pairs{name}: {report}" for name, report in parts)
        return f"{training}\nvalidation pairs: {self.valid.report}\n{vocabulary}"


def prepare_pairs(recipe: TranslationRecipe, run: Path) -> TranslationData:
    """Train the vocabularies and encode the pairs, unless the run directory has them already."""
    data, workers = recipe.data, recipe.data.workers
    train, valid = find_training_corpora(data), find_part(data, "valid")
    checksums = {
        "the training pairs": data_checksums(run, *train),
        "the validation pairs": data_checksums(run, valid),
    }
    if record_checksums(run, checksums):
        remove_vocabularies(run)
    source, target = _vocabularies(recipe, train, run)
    record_checksums(
        run, {"the source vocabulary": source.fingerprint(), "the target vocabulary": target.fingerprint()}
    )
    valid_pairs = list(read_pairs(valid))
    if not any(src.strip() and tgt.strip() for src, tgt in valid_pairs):
        raise DataError(f"data.valid: {valid} has no pairs with text on both sides")
    keep = LengthFilter(data.min_length, data.max_length, data.max_ratio)
    with_text = recipe.subwords.sampling > 0
    parts = [store_directory(run, part) for part in ("train", "valid")]
    return TranslationData(
        source,
        target,
        prepare_store(
            parts[0], *train, src=source, tgt=target, keep=keep, with_text=with_text, workers=workers
        ),
        prepare_store(parts[1], valid, src=source, tgt=target, keep=ANY_LENGTH),
        valid_pairs,
    )


def _vocabularies(
    recipe: TranslationRecipe, train: Sequence[Corpus], run: Path
) -> tuple[Vocabulary, Vocabulary]:
    """The run's vocabularies; at its start they are trained, or copied from the model it starts from."""
    if all(vocabulary_file(run, side) for side in SIDES):
        return load_vocabularies(run)
    if recipe.training.start_from is None:
        source, target = _train_vocabularies(recipe, train)
    else:
        source, target = _vocabularies_of_start(recipe, recipe.training.start_from)
    for side, vocabulary in zip(SIDES, (source, target), strict=True):
        vocabulary.save(run / (side + vocabulary.suffix))
    return source, target


def _train_vocabularies(recipe: TranslationRecipe, train: Sequence[Corpus]) -> tuple[Vocabulary, Vocabulary]:
    settings, seed = recipe.subwords, recipe.seed
    tags = sorted({corpus.tag for corpus in train if corpus.tag is not None})
    if settings.joint:
        lines = chain.from_iterable(chain.from_iterable(map(read_pairs, train)))
        both = train_vocabulary(lines, settings, seed=seed, tags=tags)
        return both, both
    return (
        train_vocabulary(_lines(train, 0), settings, seed=seed, tags=tags),
        train_vocabulary(_lines(train, 1), settings, seed=seed),
    )


def _lines(corpora: Sequence[Corpus], side: int) -> Iterator[str]:
    return (pair[side] for corpus in corpora for pair in read_pairs(corpus))


def _vocabularies_of_start(recipe: TranslationRecipe, start: str) -> tuple[Vocabulary, Vocabulary]:
    source, target = load_vocabularies(model_directory(Path(start)))
    if recipe.subwords.joint and source.fingerprint() != target.fingerprint():
        raise UsageError(f"training.start_from: {start} has two vocabularies: set subwords.joint=false")
    return source, target
