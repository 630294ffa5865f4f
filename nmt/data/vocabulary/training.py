"""Learning subword pieces with SentencePiece's trainer, run so that every process learns the same."""

import re
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

import sentencepiece

from nmt.data.text import sample_lines
from nmt.errors import DataError

SAMPLE_LINES = 500_000  # what sentencepiece learns from at most: it holds its text in memory
LINE_CHARACTERS = 1_000  # sentencepiece skips lines above 4,192 bytes; longer ones are cut to stay under it


class VocabularySettings(NamedTuple):
    """What a vocabulary is trained with; the meanings stand in the recipe's section `subwords`."""

    size: int
    character_coverage: float
    min_count: int
    seed: int
    tags: Sequence[str] = ()


def train_pieces(
    lines: Iterable[str],
    settings: VocabularySettings,
    model_type: str,
    special_ids: tuple[int, int, int, int],
) -> bytes:
    """A SentencePiece model, by one thread, of our own sample; `special_ids` are pad, bos, eos, unk."""
    sample = sample_lines(_short_lines(lines), SAMPLE_LINES, settings.seed)
    model = BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_handing_over(sample),
            model_writer=model,
            model_type=model_type,
            vocab_size=settings.size,
            character_coverage=settings.character_coverage,
            hard_vocab_limit=False,
            pad_id=special_ids[0],
            bos_id=special_ids[1],
            eos_id=special_ids[2],
            unk_id=special_ids[3],
            control_symbols=list(settings.tags),
            num_threads=1,
            minloglevel=3,
        )
    except RuntimeError as error:
        raise DataError(_explained(str(error), settings.size)) from None
    return model.getvalue()


def _short_lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        for start in range(0, len(line), LINE_CHARACTERS):
            yield line[start : start + LINE_CHARACTERS]


def _handing_over(sample: list[str]) -> Iterator[str]:
    """The lines, each let go once it is taken, so that they are not held twice."""
    while sample:
        yield sample.pop()


def _explained(error: str, size: int) -> str:
    if match := re.search(r"required_chars\. (\d+) vs (\d+)", error):
        return (
            f"no vocabulary of {size:,} pieces can be made: the training text needs {int(match[2]):,}, "
            f"one for each character; raise subwords.size, or lower subwords.character_coverage"
        )
    if "sentences_.empty()" in error:
        return "no vocabulary can be made: the training text is empty"
    return f"no vocabulary can be made from the training text: {error}"
