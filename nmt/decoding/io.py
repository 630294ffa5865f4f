"""Input and output formats of a translation job."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from nmt.data.vocabulary import EOS, SPECIALS
from nmt.decoding.job import Line, LineConstraints
from nmt.decoding.translation import Translation

if TYPE_CHECKING:
    from nmt.decoding.translation import Candidate, Translation


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


LINE_ENDS = {
    ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"
}  # what else a program may take for one


def read(number: int, text: str, note: str | None, field: str) -> Line:
    """The line that a JSON object asks to be translated; one with `error` where it cannot be understood."""
    notes = (note,) if note else ()
    try:
        record = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        return Line(number, "", notes, error="not JSON that can be read: nested too deep")
    except ValueError as error:
        return Line(number, "", notes, error=f"not JSON: {error}")
    if not isinstance(record, dict):
        return Line(number, "", notes, error='not a JSON object such as {"text": "…"}')
    wrong = _mistake(record, field)
    if wrong:
        return Line(number, "", notes, record=record, error=wrong)
    return Line(number, _sound(record[field]), notes, _wishes(record), record)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        _refuse(digits)
    return number


def _mistake(record: dict[str, Any], field: str) -> str | None:
    """What is wrong with the fields that are ours."""
    if field not in record:
        return f"no field {field!r}"
    for name in (field, "prefix"):
        if not isinstance(record.get(name, ""), str):
            return f"{name!r} must be a string"
    for name in ("must", "must_not"):
        phrases = record.get(name, [])
        if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
            return f"{name!r} must be a list of strings"
    seed = record.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        return "'seed' must be a whole number, 0 or more"
    return None


def _wishes(record: dict[str, Any]) -> LineConstraints:
    must, must_not = (tuple(map(_sound, record.get(name, []))) for name in ("must", "must_not"))
    return LineConstraints(_sound(record.get("prefix", "")), must, must_not, record.get("seed"))


def _sound(text: str) -> str:
    """With U+FFFD for half characters, which JSON can spell (\\ud800) and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def write(translation: "Translation", *, n_best: bool = False, details: bool = False) -> str:
    """The object that came, with `translation` and `score`, or `error`, in it."""
    line, best = translation.line, translation.candidates[0]
    found: dict[str, Any] = dict(line.record or {})
    if line.error:
        return _one_line(found | {"error": f"line {line.number}: {line.error}"})
    found |= _fields(best, details=details)
    if details:
        found["alignment"] = translation.alignment
    if n_best:
        found["n_best"] = [_fields(candidate, details=details) for candidate in translation.candidates]
    if translation.notes:
        found["notes"] = translation.notes
    return _one_line(found)


def _fields(candidate: "Candidate", *, details: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"translation": candidate.text, "score": candidate.score}
    if details:
        fields |= {"log_prob": candidate.log_prob, "tokens": _tokens(candidate)}
    return fields


def _tokens(candidate: "Candidate") -> Sequence[tuple[str, float]]:
    return list(zip(candidate.pieces, candidate.token_log_probs, strict=True))


def _one_line(found: dict[str, Any]) -> str:
    text = json.dumps(found, ensure_ascii=False).translate(LINE_ENDS)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character in a field that is passed through
        return json.dumps(found)
    return text
