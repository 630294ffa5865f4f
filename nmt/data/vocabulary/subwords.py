"""Subword vocabularies: SentencePiece models."""

import random
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import groupby

import numpy as np
import sentencepiece

from nmt.data.script import is_written_with_spaces
from nmt.data.vocabulary.case import MARK_NAMES, CaseMarks
from nmt.data.vocabulary.model_file import find_symbols, has_case_marks, read_rule
from nmt.data.vocabulary.normalisation import STAND_IN
from nmt.data.vocabulary.sampling import (
    LONGEST_WORD,
    BpeSegmentations,
    SegmentationSampler,
    UnigramSegmentations,
    merge_unknowns,
)
from nmt.data.vocabulary.vocabulary import (
    CANNOT_SAMPLE,
    EOS,
    SPECIALS,
    UNK,
    Flags,
    Vocabulary,
    copy_symbol,
)
from nmt.errors import UsageError

WORD = re.compile("▁*[^▁]+")  # tokens of sentencepiece do not cross a space, which it writes as ▁
CONTROL_BYTES = frozenset((*range(9), *range(10, 32), 127))  # not written: a line would end at some of them


class SentencePieceVocabulary(Vocabulary):
    """Subwords of a SentencePiece model (Kudo and Richardson, 2018)."""

    suffix = ".spm"

    def __init__(self, model: bytes) -> None:
        self.content = model
        self.rule = read_rule(model)
        self._processor = spm = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.special_ids = spm.pad_id(), spm.bos_id(), spm.eos_id(), spm.unk_id()
        self.spellings = spm.id_to_piece(list(range(spm.get_piece_size())))
        self.symbols = {self.spellings[i]: i for i in find_symbols(model)}
        self.case = CaseMarks(self.symbols) if has_case_marks(model) else None
        self.copies = self.find_copies() if copy_symbol(1) in self.symbols else range(0)

    def encode_all(self, lines: list[str]) -> list[list[int]]:
        texts = list(map(self.normalise, lines))
        split = [self._split_tag(line) for line in texts] if self._tags else []
        rests = [rest for _, rest in split] or texts
        marked, encode = self._mark_case(rests), self._processor.encode
        # A list, even of one, starts a thread.
        ids: list[list[int]] = [encode(marked[0])] if len(marked) == 1 else encode(marked, num_threads=1)
        return [tag + rest for (tag, _), rest in zip(split, ids, strict=True)] if split else ids

    def _mark_case(self, texts: list[str]) -> list[str]:
        return list(map(self.case.mark, texts)) if self.case else texts

    def _split_tag(self, line: str) -> tuple[list[int], str]:
        """Split off the tag at the beginning of a line."""
        word, _, rest = line.partition(" ")
        return ([self._tags[word]], rest) if word in self._tags else ([], line)

    def tag(self, line: str) -> str:
        word = line.partition(" ")[0] if self._tags else ""
        return word if word in self._tags else ""

    @cached_property
    def _tags(self) -> dict[str, int]:
        """The ids of tokens that are recognised only as the first word of a line."""
        ids = range(len(SPECIALS), len(self))
        return {self.spellings[i]: i for i in ids if self._processor.is_control(i)}

    @cached_property
    def _bytes(self) -> dict[int, int]:
        """The byte of each token that is a single byte."""
        ids = (i for i in range(len(self)) if self._processor.is_byte(i))
        return {i: int(self.spellings[i][1:-1], 16) for i in ids}

    def encode_phrase(self, phrase: str) -> list[int]:
        """Encode a phrase; without the space before it, if its script has no spaces between words."""
        text = self.normalise(phrase).strip()
        if not text[:1].isalpha() or is_written_with_spaces(text[0]):
            return self.encode(phrase)
        start = len(self._processor.encode(STAND_IN))  # no token contains it
        [text] = self._mark_case([text])
        ids: list[int] = self._processor.encode(STAND_IN + text)[start:]
        return ids

    def sample(self, line: str, alpha: float, seed: int) -> list[int]:
        """Sample from the unigram model's distribution smoothed by alpha (Kudo, 2018), or skip each BPE merge
        with probability alpha (Provilkov et al., 2020); UsageError for other models.
        """
        tag, rest = self._split_tag(self.normalise(line))
        [rest] = self._mark_case([rest])
        rng, words = random.Random(seed), WORD.findall(self._processor.normalize(rest))
        return tag + [i for word in words for i in self._sample_around_symbols(word, alpha, rng)]

    def _sample_around_symbols(self, word: str, alpha: float, rng: random.Random) -> list[int]:
        """Sample the parts of a word; user-defined symbols are not divided."""
        if not self.symbols:
            return self._sample_word(word, alpha, rng)
        parts = [part for part in self._symbol_pattern.split(word) if part]
        ids = (
            [self.symbols[part]] if part in self.symbols else self._sample_word(part, alpha, rng)
            for part in parts
        )
        return [i for of_part in ids for i in of_part]

    @cached_property
    def _symbol_pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.symbols, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    def _sample_word(self, word: str, alpha: float, rng: random.Random) -> list[int]:
        if len(word) > LONGEST_WORD:
            ids: list[int] = self._processor.encode(word.replace("▁", " "))
            return ids
        tokens = self._draw(word, alpha, rng)
        return self._spell(tokens) if self._bytes else merge_unknowns([i for i, _ in tokens], UNK)

    def _spell(self, tokens: Sequence[tuple[int | None, str]]) -> list[int]:
        """Replace unknown tokens by their bytes."""
        of_bytes = {byte: i for i, byte in self._bytes.items()}
        spelt = ([of_bytes[byte] for byte in text.encode()] if i is None else [i] for i, text in tokens)
        return [i for ids in spelt for i in ids]

    @cached_property
    def _draw(self) -> SegmentationSampler:
        excluded = {*self._tags.values(), *self._bytes, *self.symbols.values()}
        tokens = {self.spellings[i]: i for i in range(len(SPECIALS), len(self)) if i not in excluded}
        scores = {token: self._processor.get_score(i) for token, i in tokens.items()}
        if _supports(lambda: self._processor.nbest_encode("a", nbest_size=2)):
            return UnigramSegmentations(tokens, scores)
        if _supports(lambda: self._processor.encode("a", enable_sampling=True, alpha=0.5, nbest_size=-1)):
            return BpeSegmentations(tokens, scores)
        raise UsageError(CANNOT_SAMPLE)

    def decode(self, ids: Sequence[int]) -> str:
        kept = [i for i in ids if i > EOS]
        text: str = self._processor.decode(self._repair(kept) if self._bytes else kept)
        return self.case.restore(text) if self.case else text

    def tokens(self, ids: Sequence[int]) -> list[str]:
        tokens = super().tokens(ids)
        return [MARK_NAMES.get(token, token) for token in tokens] if self.case else tokens

    def case_tokens(self) -> Sequence[int]:
        return [i for token, i in self.symbols.items() if token in MARK_NAMES] if self.case else []

    def _repair(self, ids: Sequence[int]) -> list[int]:
        """Remove bytes that are no character: incomplete UTF-8 sequences, and control characters."""
        of_bytes = {byte: i for i, byte in self._bytes.items()}
        kept = list[int]()
        for is_byte, run in groupby(ids, self._bytes.__contains__):
            if not is_byte:
                kept += run
                continue
            text = bytes(self._bytes[i] for i in run).decode("utf-8", "ignore")
            kept += (of_bytes[byte] for byte in text.encode() if byte not in CONTROL_BYTES)
        return kept

    def starts(self) -> Flags:
        return np.array([token.startswith("▁") for token in self.spellings])

    def continuations(self) -> Sequence[int]:
        return self._continuations

    @cached_property
    def _continuations(self) -> list[int]:
        spelt = enumerate(self.spellings[len(SPECIALS) :], len(SPECIALS))
        excluded = {*self._tags.values(), *self._bytes}
        letters = [i for i, token in spelt if i not in excluded and is_written_with_spaces(token[0])]
        return sorted({*letters, *self._bytes, *self.case_tokens()})

    def can_write(self, ids: Sequence[int]) -> bool:
        return UNK not in ids and not {*self._tags.values()}.intersection(ids)

    def byte_tokens(self) -> Sequence[int]:
        return sorted(self._bytes)


def _supports(call: Callable[[], object]) -> bool:
    """Return True if a call succeeds; sentencepiece does not report the type of a model."""
    try:
        call()
    except RuntimeError:
        return False
    return True
