"""Data of a run: vocabularies and encoded pairs, as the recipe describes them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from nmt.data.batches import Batch, BatchPlan, SubwordSampling, count_batches, read_batches
from nmt.data.pair_rules import ANY_LENGTH, LengthFilter
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.sources import find_part, find_training_corpora
from nmt.data.store import CHECKSUMS, TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.streams import StreamLayout, count_chunks, lines_at, read_chunks
from nmt.data.vocabulary import SIDES, Vocabulary, load_vocabulary
from nmt.data.vocabulary.training import train_vocabulary
from nmt.errors import DataError, UsageError
from nmt.files import cached_sha256, write_file
from nmt.recipe.schema import Recipe, TranslationRecipe
from nmt.training import checkpoint


def home(path: Path) -> Path:
    """The folder that holds the recipe and the vocabularies of a model."""
    for folder in (path, path.resolve().parent.parent):
        if (folder / "recipe.yaml").is_file():
            return folder
    if not path.exists():
        raise UsageError(f"{path} does not exist; give a run, a checkpoint or a model directory")
    raise UsageError(f"{path} is neither a run, a checkpoint nor a model directory: it has no recipe.yaml")


MADE_OF = "material.json"


class Material(NamedTuple):
    """Everything a run reads: the vocabularies, and the pairs to learn from and to validate on."""

    source: Vocabulary
    target: Vocabulary
    train: TokenStore
    valid: TokenStore
    valid_pairs: list[tuple[str, str]]


def prepare(recipe: TranslationRecipe, run: Path) -> Material:
    """Learn the vocabularies and encode the pairs, or take what stands in the run directory already."""
    train, valid = find_training_corpora(recipe.data), find_part(recipe.data, "valid")
    if remember(run, {"the training pairs": sums(run, *train), "the validation pairs": sums(run, valid)}):
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
        raise DataError(f"data.valid: {valid} has no pairs with text on both sides")
    return Material(
        source,
        target,
        prepare_store(
            store_file(run, "train"),
            *train,
            src=source,
            tgt=target,
            keep=keep,
            with_text=sampled,
            workers=data.workers,
        ),
        prepare_store(store_file(run, "valid"), valid, src=source, tgt=target, keep=ANY_LENGTH),
        valid_pairs,
    )


def store_file(run: Path, part: str) -> Path:
    """Where the encoded pairs of `train` or `valid` lie."""
    return run / "data" / part


def sums(run: Path, *corpora: Corpus) -> list[str]:
    """The SHA-256 of each file of some corpora, remembered in the run, and the columns read of them."""
    columns = [f"{name}: {column}" for corpus in corpora for name, column in corpus.columns.items()]
    files = [file for corpus in corpora for file in corpus.all_files]
    return [*cached_sha256(files, run / "data" / CHECKSUMS), *columns]


def vocabularies(
    recipe: TranslationRecipe, train: Sequence[Corpus], run: Path
) -> tuple[Vocabulary, Vocabulary]:
    """The run's vocabularies, learnt from the training pairs or taken over when it starts."""
    if all(vocabulary_file(run, side) for side in SIDES):
        return load_vocabularies(run)
    source, target = _learnt(recipe, train) if recipe.training.start_from is None else _taken(recipe)
    for side, vocabulary in zip(SIDES, (source, target), strict=True):
        vocabulary.save(run / (side + vocabulary.suffix))
    return source, target


def _learnt(recipe: TranslationRecipe, train: Sequence[Corpus]) -> tuple[Vocabulary, Vocabulary]:
    tags = sorted({corpus.tag for corpus in train if corpus.tag is not None})
    if recipe.subwords.joint:
        pairs = chain.from_iterable(map(read_pairs, train))
        both = learn(recipe, chain.from_iterable(pairs), tags)
        return both, both
    return learn(recipe, _side(train, 0), tags), learn(recipe, _side(train, 1))


def _taken(recipe: TranslationRecipe) -> tuple[Vocabulary, Vocabulary]:
    """The vocabularies of the model that the run starts from."""
    start = str(recipe.training.start_from)
    source, target = load_vocabularies(home(Path(start)))
    if recipe.subwords.joint and source.fingerprint() != target.fingerprint():
        raise UsageError(f"training.start_from: {start} has two vocabularies: set subwords.joint=false")
    return source, target


def sides(recipe: Recipe) -> Sequence[str]:
    """Whose vocabularies a run of the recipe holds."""
    return SIDES if isinstance(recipe, TranslationRecipe) else SIDES[1:]


def begun(run: Path) -> bool:
    """Whether anything that was learnt is kept."""
    return bool(checkpoint.list_checkpoints(run / "checkpoints"))


def remember(run: Path, found: Mapping[str, str | list[str]]) -> bool:
    """Note the checksums of what a run is made of; gives whether they were others before.

    If they were, and something has been learnt of it, raises DataError.
    """
    known = _read(run / MADE_OF)
    odd = [name for name, sums in found.items() if known.get(name, sums) != sums]
    if odd and begun(run):
        raise DataError(
            f"{' and '.join(odd)} changed since {run} started; "
            "restore the old files, or start a new run in another directory (--output)"
        )
    if {**known, **found} != known:
        write_file(run / MADE_OF, (json.dumps({**known, **found}, indent=2) + "\n").encode())
    return bool(odd)


def _read(file: Path) -> dict[str, str | list[str]]:
    try:
        known: dict[str, str | list[str]] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise DataError(f"{file} is damaged; start a new run in another directory (--output)") from None
    return known


def forget(run: Path) -> None:
    """Remove the vocabularies; the encoded pairs know themselves what they were made of."""
    for path in (vocabulary_file(run, side) for side in SIDES):
        if path is not None:
            path.unlink()


def load_vocabularies(folder: Path) -> tuple[Vocabulary, Vocabulary]:
    """The two vocabularies that lie in a run or model directory."""
    source, target = (vocabulary_file(folder, side) for side in SIDES)
    if source is None or target is None:
        raise DataError(f"{folder} has no source and target vocabulary: is it a run or a model directory?")
    return load_vocabulary(source), load_vocabulary(target)


def vocabulary_file(folder: Path, side: str) -> Path | None:
    """`source.spm` or `source.vocab`, whichever is there."""
    candidates = (folder / f"{side}{suffix}" for suffix in (".spm", ".vocab"))
    return next((path for path in candidates if path.is_file()), None)


def learn(recipe: Recipe, lines: Iterator[str], tags: Sequence[str] = ()) -> Vocabulary:
    """The vocabulary that a recipe's section `subwords` makes of lines."""
    return train_vocabulary(lines, recipe.subwords, seed=recipe.seed, tags=tags)


def _side(corpora: Sequence[Corpus], side: int) -> Iterator[str]:
    return (pair[side] for corpus in corpora for pair in read_pairs(corpus))


class Pairs:
    """Pairs, or lines of plain text, in an order of each epoch's own."""

    def __init__(self, store: TokenStore, plan: BatchPlan, sampling: SubwordSampling | None = None) -> None:
        self.store, self.plan, self.sampling = store, plan, sampling

    def count(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return count_batches(self.store, self.plan, epoch)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from the one at `start`."""
        return read_batches(self.store, self.plan, epoch, start, self.sampling)

    def source_lines(self, batch: Batch) -> list[tuple[str, int]]:
        """The corpora and lines that a batch's pairs are from."""
        return self.store.source_lines(batch.pairs.numpy())


class Streams:
    """A text in streams, chunk after chunk, the same in every epoch."""

    def __init__(self, store: TokenStore, cut: StreamLayout) -> None:
        self.store, self.cut = store, cut

    def count(self, epoch: int) -> int:
        """How many chunks the text has."""
        return count_chunks(self.store, self.cut)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The chunks from the one at `start`."""
        return read_chunks(self.store, self.cut, start)

    def source_lines(self, batch: Batch) -> list[tuple[str, int]]:
        """The lines of the text in which a batch's rows begin."""
        return [("", line) for line in lines_at(self.store, batch.pairs.numpy())]
