"""Words that the target vocabulary cannot spell, copied from the source (Luong et al., 2015)."""

from collections.abc import Sequence

from nmt.data.subwords import UNK
from nmt.decoding.alignment import SPACE
from nmt.decoding.job import Vocabulary


def with_copies(ids: Sequence[int], copies: Sequence[str], target: Vocabulary, *, subwords: bool) -> str:
    """The text of an output with `copies[t]` in the place of each unk at position t.

    A copied word stands between spaces, but for what follows it without one. Where several unk in a row are
    of one word, it is copied once.
    """
    text, start = "", 0
    spelt = target.pieces(ids)
    for place in [place for place, piece in enumerate(ids) if piece == UNK]:
        again = place == start > 0 and copies[place] == copies[place - 1]
        text = _joined(text, target.decode(ids[start:place]), _glued(spelt, start, subwords))
        text = text if again else _joined(text, copies[place], glued=False)
        start = place + 1
    return _joined(text, target.decode(ids[start:]), _glued(spelt, start, subwords))


def _glued(spelt: Sequence[str], start: int, subwords: bool) -> bool:
    """Whether what begins here follows without a space."""
    return subwords and start < len(spelt) and not spelt[start].startswith(SPACE)


def _joined(before: str, after: str, glued: bool) -> str:
    before, after = before.rstrip(), after.strip()
    return f"{before}{after}" if glued or not before or not after else f"{before} {after}"
