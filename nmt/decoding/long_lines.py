"""Lines too long for a recurrent network are translated in parts, cut where the least is lost."""

from nmt.decoding.alignment import SPACE, are_subwords

STOPS = (".", "!", "?", "…", ";", ":")
WIDE_STOPS = ("。", "！", "？")  # written without a space after them


def parts(pieces: list[str], longest: int) -> list[slice]:
    """Slices of at most `longest` pieces that cover them all, in order.

    Each ends in its second half, in this order of preference: at the last end of a sentence, at the last end
    of a word, or where it is full.
    """
    slices, start = [], 0
    subwords = are_subwords(pieces)
    while len(pieces) - start > longest:
        end = _cut(pieces, start, start + longest, subwords)
        slices.append(slice(start, end))
        start = end
    return [*slices, slice(start, len(pieces))]


def _cut(pieces: list[str], start: int, full: int, subwords: bool) -> int:
    word_end = None
    for end in range(full, (start + full) // 2, -1):
        between_words = not subwords or pieces[end].startswith(SPACE)
        sentence_end = pieces[end - 1].endswith(WIDE_STOPS) or (
            between_words and pieces[end - 1].endswith(STOPS)
        )
        if sentence_end:
            return end
        if between_words and word_end is None:
            word_end = end
    return word_end or full
