"""The data in a run directory: checksums, vocabularies, encoded text and its batches."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, starmap
from pathlib import Path
from typing import NamedTuple

from nmt.data.batches import Batch, BatchPlan, SubwordSampling, count_batches, read_batches
from nmt.data.pair_rules import ANY_LENGTH, LengthFilter
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.protection import Protection, build_protection
from nmt.data.protection.practice import CopyPractice
from nmt.data.sources import find_part, find_training_corpora
from nmt.data.store import CHECKSUMS, TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.streams import StreamLayout, count_chunks, find_lines, read_chunks
from nmt.data.trained_lengths import TrainedLengths, measure_lengths, read_lengths, write_lengths
from nmt.data.vocabulary import COPIES, SIDES, Vocabulary, load_vocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.errors import DataError, UsageError
from nmt.files import cached_sha256, write_file
from nmt.recipe.reader import is_project
from nmt.recipe.schema import Recipe, TranslationRecipe
from nmt.recipe.starting_point import adapt_vocabulary
from nmt.training import checkpoint
from nmt.untrusted_files import STATE_BYTES, read_json


def model_directory(path: Path) -> Path:
    """Find the directory with a model's recipe and vocabularies: of a run, for one of its checkpoints."""
    if is_project(path):
        raise UsageError(f"{path} is not a run, but a directory of `nmt new`: give its run, {path / 'run'}")
    for folder in (path, path.resolve().parent.parent):
        if (folder / "recipe.yaml").is_file():
            return folder
    if not path.exists():
        raise UsageError(f"{path} does not exist; give a run, a checkpoint or a model directory")
    raise UsageError(f"{path} is neither a run, a checkpoint nor a model directory: it has no recipe.yaml")


CHECKSUM_FILE = "material.json"


def store_directory(run: Path, part: str) -> Path:
    """Return the directory of the encoded `train` or `valid` data."""
    return run / "data" / part


def data_checksums(run: Path, *corpora: Corpus) -> list[str]:
    """Return the SHA-256 of each file of some corpora, cached in the run, and the names of their columns."""
    columns = [f"{name}: {column}" for corpus in corpora for name, column in corpus.columns.items()]
    files = [file for corpus in corpora for file in corpus.all_files]
    return [*cached_sha256(files, run / "data" / CHECKSUMS), *columns]


def has_checkpoint(run: Path) -> bool:
    """Return whether the run has a checkpoint."""
    return bool(checkpoint.list_checkpoints(run / "checkpoints"))


def record_checksums(run: Path, checksums: Mapping[str, str | list[str]]) -> bool:
    """Record the checksums of a run's data and vocabularies; return whether they have changed.

    Raises DataError if they have, and the run has a checkpoint.
    """
    known = read_checksums(run)
    changed = [name for name, sums in checksums.items() if known.get(name, sums) != sums]
    if changed and has_checkpoint(run):
        raise DataError(
            f"{' and '.join(changed)} changed since {run} started; "
            "restore the old files, or start a new run in another directory (--output)"
        )
    if {**known, **checksums} != known:
        write_file(run / CHECKSUM_FILE, (json.dumps({**known, **checksums}, indent=2) + "\n").encode())
    return bool(changed)


def read_checksums(run: Path) -> dict[str, str | list[str]]:
    """Return the recorded checksums of a run's data and vocabularies, by what they are of."""
    file = run / CHECKSUM_FILE
    if not os.path.lexists(file):
        return {}
    advice = "start a new run in another directory (--output)"
    return read_json(file, dict[str, str | list[str]], STATE_BYTES, advice)


def remove_vocabularies(run: Path) -> None:
    """Remove the vocabularies; encoded data is checked against its own checksums."""
    for path in (vocabulary_file(run, side) for side in SIDES):
        if path is not None:
            path.unlink()


def load_vocabularies(folder: Path) -> tuple[Vocabulary, Vocabulary]:
    """Load the source and the target vocabulary of a run or model directory."""
    source, target = (vocabulary_file(folder, side) for side in SIDES)
    if source is None or target is None:
        raise DataError(f"{folder} has no source and target vocabulary: is it a run or a model directory?")
    return load_vocabulary(source), load_vocabulary(target)


def load_own_vocabularies(run: Path, recipe: Recipe) -> list[Vocabulary]:
    """Load the vocabularies of a run of any task."""
    files = (vocabulary_file(run, side) for side in recipe.vocabulary_sides)
    return [load_vocabulary(file) for file in files if file is not None]


def vocabulary_file(folder: Path, side: str) -> Path | None:
    """Find the vocabulary of a side, `source.spm` or `source.vocab`; None if there is neither.

    A pipe or a directory of that name is found too, and refused when it is read.
    """
    candidates = (folder / f"{side}{suffix}" for suffix in (".spm", ".vocab"))
    return next((path for path in candidates if os.path.lexists(path)), None)


class PairBatches:
    """Batches of pairs, or of lines of text, shuffled in each epoch."""

    def __init__(
        self,
        store: TokenStore,
        plan: BatchPlan,
        sampling: SubwordSampling | None = None,
        practice: CopyPractice | None = None,
    ) -> None:
        self.store, self.plan, self.sampling, self.practice = store, plan, sampling, practice

    def count(self, epoch: int) -> int:
        """Count the batches of an epoch."""
        return count_batches(self.store, self.plan, epoch)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start`."""
        return read_batches(self.store, self.plan, epoch, start, self.sampling, self.practice)

    def corpus_lines(self, batch: Batch) -> list[tuple[str, int]]:
        """Return the corpus and line of each pair of a batch."""
        return self.store.corpus_lines(batch.pairs.numpy())


class StreamBatches:
    """Batches of a text in streams, chunk after chunk, the same in every epoch."""

    def __init__(self, store: TokenStore, cut: StreamLayout) -> None:
        self.store, self.cut = store, cut

    def count(self, epoch: int) -> int:
        """Count the chunks of the text."""
        return count_chunks(self.store, self.cut)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Yield the chunks from number `start`."""
        return read_chunks(self.store, self.cut, start)

    def corpus_lines(self, batch: Batch) -> list[tuple[str, int]]:
        """Return the line of the text in which each row of a batch begins."""
        return [("", line) for line in find_lines(self.store, batch.pairs.numpy())]


class TranslationData(NamedTuple):
    """The prepared data of a run: vocabularies, encoded training and validation pairs."""

    source: Vocabulary
    target: Vocabulary
    train: TokenStore
    valid: TokenStore
    valid_pairs: list[tuple[str, str]]
    lengths: TrainedLengths

    def describe(self) -> str:
        """Return the numbers of pairs and the sizes of the vocabularies, for the log."""
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
    with_text = recipe.subwords.sampling > 0 or data.join_sentences > 0
    kinds = recipe.protected_kinds
    protection = build_protection(kinds, source, target) if kinds else None
    if data.protect and protection is None:
        raise UsageError(
            "data.protect needs copy symbols (<copy1>, <copy2> ...), which the existing vocabularies do not "
            "have: omit it, or train vocabularies (without subwords.model, and with subwords.from_start=new)"
        )
    parts = [store_directory(run, part) for part in ("train", "valid")]
    train_store = prepare_store(
        parts[0],
        *train,
        src=source,
        tgt=target,
        keep=LengthFilter(data),
        with_text=with_text,
        protection=protection,
        workers=workers,
    )
    valid_store = prepare_store(
        parts[1], valid, src=source, tgt=target, keep=ANY_LENGTH, protection=protection
    )
    lengths = _record_lengths(recipe, train, train_store, run)
    return TranslationData(source, target, train_store, valid_store, valid_pairs, lengths)


def _record_lengths(
    recipe: TranslationRecipe, train: Sequence[Corpus], store: TokenStore, run: Path
) -> TrainedLengths:
    """Return the lengths of the training data, which a run keeps once it has a checkpoint."""
    recorded = read_lengths(run) if has_checkpoint(run) else None
    if recorded is not None:
        return recorded
    lengths = measure_lengths(
        store.src.tokens,
        _lines(train, SIDES[:1]),
        recipe.data.src,
        joined=recipe.data.join_sentences,
        max_length=recipe.data.max_length,
    )
    write_lengths(run, lengths)
    return lengths


def _vocabularies(
    recipe: TranslationRecipe, train: Sequence[Corpus], run: Path
) -> tuple[Vocabulary, Vocabulary]:
    """Load the run's vocabularies; a new run's are trained, or copied from the model it starts from."""
    if all(vocabulary_file(run, side) for side in SIDES):
        return load_vocabularies(run)
    start = recipe.training.start_from
    if start is None or recipe.subwords.from_start == "new":
        source, target = _train_vocabularies(recipe, train)
    else:
        source, target = _vocabularies_of_start(recipe, train, model_directory(Path(start)))
    for side, vocabulary in zip(SIDES, (source, target), strict=True):
        vocabulary.save(run / (side + vocabulary.suffix))
    return source, target


def _train_vocabularies(recipe: TranslationRecipe, train: Sequence[Corpus]) -> tuple[Vocabulary, Vocabulary]:
    if recipe.subwords.joint:
        both = _train_vocabulary(recipe.subwords, recipe, train, SIDES)
        return both, both
    source, target = (_train_vocabulary(recipe.subwords, recipe, train, [side]) for side in SIDES)
    return source, target


def _train_vocabulary(
    settings: SubwordSettings, recipe: TranslationRecipe, train: Sequence[Corpus], sides: Sequence[str]
) -> Vocabulary:
    """Train the vocabulary of one side or of both by some settings; tags are words of the source.

    It has copy symbols and marks of case if the recipe asks for them.
    """
    kinds = recipe.protected_kinds
    tags = sorted({corpus.tag for corpus in train if corpus.tag is not None and SIDES[0] in sides})
    side = SIDES.index(sides[0])  # of the files that the settings name
    copies, lines = COPIES if kinds else 0, _lines(train, sides, kinds, settings.has_words)
    return train_vocabulary(
        lines,
        settings,
        seed=recipe.seed,
        tags=tags,
        side=side,
        copies=copies,
        marks_case=recipe.data.case == "inline",
    )


def _lines(
    corpora: Sequence[Corpus], sides: Sequence[str], kinds: tuple[str, ...] = (), whole_words: bool = False
) -> Iterator[str]:
    """Yield the lines of some sides, with symbols instead of what is copied."""
    numbers = [SIDES.index(side) for side in sides]
    pairs: Iterator[tuple[str, str]] = chain.from_iterable(map(read_pairs, corpora))
    if kinds:
        pairs = starmap(Protection(kinds, COPIES, whole_words).protect_pair, pairs)
    return (pair[number] for pair in pairs for number in numbers)


def _vocabularies_of_start(
    recipe: TranslationRecipe, train: Sequence[Corpus], start: Path
) -> tuple[Vocabulary, Vocabulary]:
    """Return the vocabularies of the model to start from, kept or extended, for the pairs of a recipe."""
    old, joint = load_vocabularies(start), recipe.subwords.joint
    if joint and old[0].fingerprint() != old[1].fingerprint():
        raise UsageError(f"training.start_from: {start} has two vocabularies: set subwords.joint=false")

    def adapt(vocabulary: Vocabulary, sides: Sequence[str]) -> Vocabulary:
        train_new = partial(_train_vocabulary, recipe=recipe, train=train, sides=sides)
        name = " and ".join(sides)
        return adapt_vocabulary(recipe, start, vocabulary, name, _lines(train, sides), train_new)

    if joint and recipe.subwords.from_start == "extend":
        both = adapt(old[0], SIDES)
        return both, both
    return adapt(old[0], SIDES[:1]), adapt(old[1], SIDES[1:])
