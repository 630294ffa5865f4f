"""The vocabulary shortlist: the target tokens that a translation of given source tokens may contain."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nmt.data.store import TokenStore
from nmt.data.store.arrays import ArrayFile, Int64, TemporaryColumns
from nmt.data.vocabulary import EOS, UNK, Vocabulary
from nmt.data.word_alignment import NULL, sorted_unique, train_lexicon
from nmt.errors import DataError
from nmt.untrusted_files import RefusedFile

BLOCK = 1 << 20  # tokens counted together


class ShortlistStatistics(NamedTuple):
    """The size and coverage of a shortlist on the validation pairs."""

    tokens: float  # on the list of a sentence, mean
    covered: float  # share of the references' tokens that are on their list


class Shortlist:
    """The likely translations of each source token, and the tokens that every output may contain.

    The translations of token i are targets[offsets[i]:offsets[i + 1]].
    """

    def __init__(self, offsets: Int64, targets: Int64, always: Int64) -> None:
        self.offsets, self.targets, self.always = offsets, targets, always

    def select(self, source: Sequence[int]) -> Int64:
        """Return the tokens that a translation of `source` may contain, in ascending order."""
        rows = [self.targets[self.offsets[i] : self.offsets[i + 1]] for i in set(source)]
        return sorted_unique(np.concatenate([self.always, *rows]))

    def find_problem(self, source: int, target: int) -> str | None:
        """Describe what does not fit vocabularies of the given sizes."""
        offsets, tokens = self.offsets, np.concatenate([self.targets, self.always])
        if len(offsets) != source + 1 or offsets[0] < 0 or offsets[-1] > len(self.targets):
            return "its lists do not match the source vocabulary"
        if (np.diff(offsets) < 0).any() or not len(self.always):
            return "its lists are damaged"
        if tokens.min() < 0 or tokens.max() >= target:
            return "its lists contain tokens that are not in the target vocabulary"
        return None

    def fingerprint(self) -> str:
        """Return the SHA-256 of the lists."""
        parts = (self.offsets, self.targets, self.always)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()

    def save(self, path: Path, vocabularies: Mapping[str, Vocabulary]) -> None:
        """Write the shortlist atomically, with the fingerprints of the `source` and `target` vocabularies."""
        content = {"offsets": self.offsets, "targets": self.targets, "always": self.always}
        with TemporaryColumns(path.parent) as scratch:
            for name, values in content.items():
                scratch.add(name, "I64").append(values)
            scratch.save(path, _fingerprints(vocabularies))


def load_shortlist(path: Path, vocabularies: Mapping[str, Vocabulary], advice: str) -> Shortlist:
    """Load a shortlist; DataError, which ends with `advice`, if it is damaged or of other vocabularies."""
    file = ArrayFile(path, advice)
    file.check()
    for name, fingerprint in _fingerprints(vocabularies).items():
        if file.metadata.get(name) != fingerprint:
            raise DataError(f"{path} was made for a different {name} vocabulary: {advice}")
    shortlist = Shortlist(*(file.array(name, "I64") for name in ("offsets", "targets", "always")))
    if problem := shortlist.find_problem(*map(len, vocabularies.values())):
        raise RefusedFile(path, problem, advice)
    return shortlist


def make_shortlist(
    store: TokenStore,
    source: int,
    target: int,
    *,
    best: int,
    frequent: int,
    byte_tokens: Sequence[int] = (),
    block: int = BLOCK,
) -> Shortlist:
    """Make a shortlist: `best` translations of each source token, and the `frequent` most frequent tokens.

    `source` and `target` are vocabulary sizes. Every list includes eos, unk and tokens that often have no
    counterpart; also all `byte_tokens`, if some of them occur in targets.
    """
    entries = train_lexicon(store).best(best)
    counts = np.zeros(target, np.int64)
    for tokens in store.tgt.tokens.values.parts:
        for start in range(0, len(tokens), block):
            counts += np.bincount(tokens[start : start + block], minlength=target)
    most = np.argsort(-counts, kind="stable")[:frequent]
    has_bytes = bool(counts[np.array(byte_tokens, np.int64)].any())
    special = [EOS, UNK, *(byte_tokens if has_bytes else ())]
    always = np.unique(np.concatenate([special, most, entries.target[entries.source == NULL]]))
    return Shortlist(np.searchsorted(entries.source, np.arange(source + 1)), entries.target, always)


def measure_shortlist(shortlist: Shortlist, pairs: TokenStore) -> ShortlistStatistics:
    """Measure the length of the lists of some sources, and the share of their targets on them."""
    size = covered = 0
    for pair in range(len(pairs)):
        source, target = (side.tokens.take(np.array([pair])).values for side in (pairs.src, pairs.tgt))
        tokens = shortlist.select(source.tolist())
        size += len(tokens)
        covered += int(np.isin(target, tokens).sum())
    return ShortlistStatistics(size / len(pairs), covered / len(pairs.tgt.tokens.values))


def _fingerprints(vocabularies: Mapping[str, Vocabulary]) -> dict[str, str]:
    return {name: vocabulary.fingerprint() for name, vocabulary in vocabularies.items()}
