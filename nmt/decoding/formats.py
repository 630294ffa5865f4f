"""How translations are written, one function for each form."""

from nmt.decoding.translate import Translation


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
        f"{translation.number - 1} ||| {text} ||| F0= {log_prob:.4f} ||| {score:.4f}"
        for text, score, log_prob in translation.candidates
    )


def pharaoh(translation: Translation) -> str:
    """Pairs of source word and target word, from 0: `0-0 1-2`."""
    return " ".join(f"{source}-{target}" for source, target in translation.alignment)
