"""The vocabulary shortlist: which target pieces a translation of some source pieces may hold."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.store import TokenStore
from nmt.data.store.arrays import ArrayFile, TemporaryColumns, write_arrays
from nmt.data.vocabulary import EOS, UNK, Vocabulary
from nmt.data.word_alignment import NULL, sorted_unique, train_lexicon
from nmt.errors import DataError

Int64 = NDArray[np.int64]
BLOCK = 1 << 20  # tokens that are counted together


class ShortlistStatistics(NamedTuple):
    """What a shortlist does to the validation pairs."""

    pieces: float  # on the list of a sentence, on average
    covered: float  # share of the references' pieces that are on their list


class Shortlist:
    """The likely translations of each source piece, and what may stand in every output.

    The translations of piece i are targets[offsets[i]:offsets[i + 1]].
    """

    def __init__(self, offsets: Int64, targets: Int64, always: Int64) -> None:
        self.offsets, self.targets, self.always = offsets, targets, always

    def of(self, source: Sequence[int]) -> Int64:
        """The pieces that a translation of `source` may hold, ascending, each once."""
        rows = [self.targets[self.offsets[i] : self.offsets[i + 1]] for i in set(source)]
        return sorted_unique(np.concatenate([self.always, *rows]))

    def fingerprint(self) -> str:
        """SHA-256 of what it allows."""
        parts = (self.offsets, self.targets, self.always)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()

    def save(self, path: Path, vocabularies: Mapping[str, Vocabulary]) -> None:
        """Write it whole or not at all, with the fingerprints of the vocabularies `source` and `target`."""
        content = {"offsets": self.offsets, "targets": self.targets, "always": self.always}
        with TemporaryColumns(path.parent) as scratch:
            columns = {name: scratch.column("I64") for name in content}
            for name, values in content.items():
                columns[name].append(values)
            write_arrays(path, columns, _fingerprints(vocabularies))


def load_shortlist(path: Path, vocabularies: Mapping[str, Vocabulary], advice: str) -> Shortlist:
    """A shortlist that `save` wrote; DataError, with the advice, if damaged or of other vocabularies."""
    file = ArrayFile(path, advice)
    file.check()
    for name, fingerprint in _fingerprints(vocabularies).items():
        if file.metadata.get(name) != fingerprint:
            raise DataError(f"{path} was made for a different {name} vocabulary: {advice}")
    return Shortlist(*(file.arrays[name] for name in ("offsets", "targets", "always")))


def make_shortlist(
    store: TokenStore, source: int, target: int, *, best: int, frequent: int, block: int = BLOCK
) -> Shortlist:
    """The `best` translations of each of the source pieces, and for all the `frequent` most frequent ones.

    `source` and `target` are sizes of vocabularies. What often translates nothing, eos and unk are
    always there.
    """
    entries = train_lexicon(store).best(best)
    counts = _count(store, target, block)
    most = np.argsort(-counts, kind="stable")[:frequent]
    always = np.unique(np.concatenate([[EOS, UNK], most, entries.target[entries.source == NULL]]))
    return Shortlist(np.searchsorted(entries.source, np.arange(source + 1)), entries.target, always)


def measure_shortlist(shortlist: Shortlist, pairs: TokenStore) -> ShortlistStatistics:
    """How long the lists of these sources are, and how much of their targets stands on them."""
    listed = covered = 0
    for pair in range(len(pairs)):
        source, target = (side.tokens.take(np.array([pair])).values for side in (pairs.src, pairs.tgt))
        pieces = shortlist.of(source.tolist())
        listed += len(pieces)
        covered += int(np.isin(target, pieces).sum())
    return ShortlistStatistics(listed / len(pairs), covered / len(pairs.tgt.tokens.values))


def _count(store: TokenStore, size: int, block: int) -> Int64:
    """How often each piece stands in the targets."""
    counts = np.zeros(size, np.int64)
    for tokens in store.tgt.tokens.values.parts:
        for start in range(0, len(tokens), block):
            counts += np.bincount(tokens[start : start + block], minlength=size)
    return counts


def _fingerprints(vocabularies: Mapping[str, Vocabulary]) -> dict[str, str]:
    return {name: vocabulary.fingerprint() for name, vocabulary in vocabularies.items()}
