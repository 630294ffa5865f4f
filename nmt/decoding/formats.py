"""How translations are written, one function for each form."""

import math

from nmt.data.subwords import EOS, SPECIALS
from nmt.decoding.translation import Translation


def plain(translation: Translation) -> str:
    """The text alone."""
    return translation.text


def scored(translation: Translation) -> str:
    """Score, tab, text."""
    return f"{translation.score:.4f}\t{translation.text}"


def moses(translation: Translation) -> str:
    """A line for each candidate: `0 ||| text ||| F0= -12.34 ||| -1.23`.

    The number of the line (from 0), text, log probability, score.
    """
    return "\n".join(
        f"{translation.number - 1} ||| {found.text} ||| F0= {found.log_prob:.4f} ||| {found.score:.4f}"
        for found in translation.candidates
    )


def fairseq(translation: Translation) -> str:
    """As fairseq's `generate` writes: S- (source), then for each candidate H- (pieces), D- (text), P-.

    Numbers count from 0; scores, and the P- of each piece and the end, are logarithms to the base of two.
    """
    number = translation.number - 1
    lines = [f"S-{number}\t{' '.join(translation.source_pieces)}"]
    for found in translation.candidates:
        score = found.score / math.log(2)
        each = " ".join(f"{log_prob / math.log(2):.4f}" for log_prob in found.token_log_probs)
        pieces = " ".join(piece for piece in found.pieces if piece != SPECIALS[EOS])
        lines += [
            f"H-{number}\t{score:.4f}\t{pieces}",
            f"D-{number}\t{score:.4f}\t{found.text}",
            f"P-{number}\t{each}",
        ]
    return "\n".join(lines)


def pharaoh(translation: Translation) -> str:
    """Pairs of source word and target word, from 0: `0-0 1-2`."""
    return " ".join(f"{source}-{target}" for source, target in translation.alignment)
