"""Detection of the language of each side of a corpus, from its lines."""

from collections import Counter
from collections.abc import Sequence

from nmt.data.script import LANGUAGES, find_primary_language
from nmt.lab.doctor.finding import Finding, format_percent, level_for_share
from nmt.lab.doctor.survey import excerpt
from nmt.lab.language_detection import detect_language

CERTAIN = 60.0
"""Minimum confidence in the language of a line, and share of the lines in one language, in percent."""
LINES = 100
"""Lines of a side whose language is detected."""
SURE = 90.0
"""Minimum confidence in both languages of a pair, in percent, for its sides to count as exchanged."""
EXCHANGED = (0.02, 0.2)
"""Shares of exchanged pairs that are a warning, and an error."""


def count_languages(lines: Sequence[str]) -> Counter[str]:
    """Count the lines by language, without those whose language is uncertain."""
    step = max(1, len(lines) // LINES)
    best = (detect_language(line, LANGUAGES)[:1] for line in lines[::step])
    return Counter(one.language for found in best for one in found if one.confidence >= CERTAIN)


def find_side_language(lines: Sequence[str]) -> str | None:
    """Return the code of the language of most lines, None if that is not certain."""
    counts = count_languages(lines)
    best = max(counts, key=lambda code: counts[code], default=None)
    return best if best is not None and 100 * counts[best] >= CERTAIN * counts.total() else None


def check_language(lines: Sequence[str], language: str, where: str) -> list[Finding]:
    """Report a side whose lines seem to be in another language than the named one."""
    counts = count_languages(lines)
    other, code = find_side_language(lines), find_primary_language(language)
    if other in (None, code) or code not in LANGUAGES:
        return []
    share = format_percent(counts[str(other)] / counts.total())
    what = f"{share} of a sample seem to be in '{other}', not in '{language}'"
    advice = "check whether the two sides, or --src and --tgt, are exchanged"
    return [Finding("warning", what, where, advice=advice)]


def check_order(pairs: Sequence[tuple[str, str]], languages: tuple[str, str], where: str) -> list[Finding]:
    """Report pairs whose source is in the language of the target, and the reverse."""
    exchanged = [pair for pair in pairs if _is_exchanged(pair, languages)]
    share = len(exchanged) / max(1, len(pairs))
    if share < EXCHANGED[0]:
        return []
    return [
        Finding(
            level_for_share(share, *EXCHANGED),
            f"{format_percent(share)} of a sample of pairs seem to have exchanged sides: their source is in "
            f"'{languages[1]}', their target in '{languages[0]}'",
            where,
            excerpt(*exchanged[0]),
            "exchange the sides of these pairs, or --src and --tgt",
        )
    ]


def _is_exchanged(pair: tuple[str, str], languages: tuple[str, str]) -> bool:
    found = [detect_language(text, languages)[:1] for text in pair]
    return all(
        bool(best) and best[0].language == other and best[0].confidence >= SURE
        for best, other in zip(found, languages[::-1], strict=True)
    )
