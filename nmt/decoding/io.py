"""Input and output formats of a translation job."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from nmt.arguments import replace_surrogates
from nmt.data.vocabulary import EOS, SPECIALS
from nmt.decoding.glossary import SUGGESTED, is_term, list_fields
from nmt.decoding.job import Line, LineConstraints
from nmt.decoding.translation import Candidate, Translation


def format_moses(translation: Translation) -> str:
    """Format a line for each candidate: `0 ||| text ||| F0= -12.34 ||| -1.23`.

    The fields are the number of the line (from 0), text, log probability, score.
    """
    return "\n".join(
        f"{translation.number - 1} ||| {one.text} ||| F0= {one.log_prob:.4f} ||| {one.score:.4f}"
        for one in translation.candidates
    )


def format_fairseq(translation: Translation) -> str:
    """Format as fairseq's `generate`: S- (source), then for each candidate H- (tokens), D- (text), P-.

    Lines are numbered from 0; scores, and the P- of each token and eos, are base-2 logarithms.
    """
    number = translation.number - 1
    lines = [f"S-{number}\t{' '.join(translation.source_tokens)}"]
    for candidate in translation.candidates:
        score = candidate.score / math.log(2)
        log_probs = " ".join(f"{log_prob / math.log(2):.4f}" for log_prob in candidate.token_log_probs)
        tokens = " ".join(token for token in candidate.tokens if token != SPECIALS[EOS])
        lines += [
            f"H-{number}\t{score:.4f}\t{tokens}",
            f"D-{number}\t{score:.4f}\t{candidate.text}",
            f"P-{number}\t{log_probs}",
        ]
    return "\n".join(lines)


def format_alignment(translation: Translation) -> str:
    """Format pairs of source word and target word, from 0, as Pharaoh: `0-0 1-2`."""
    return " ".join(f"{source}-{target}" for source, target in translation.alignment)


FORMATS: Mapping[str, Callable[[Translation], str]] = {
    "plain": lambda translation: translation.text,
    "scored": lambda translation: f"{translation.score:.4f}\t{translation.text}",
    "moses": format_moses,
    "fairseq": format_fairseq,
}


def format_quality(translation: Translation) -> str:
    """Format the quality of a line; nothing for a blank line, which has none."""
    return "" if translation.quality is None else f"{translation.quality:.4f}"


QUALITY_FORMATS: Mapping[str, Callable[[Translation], str]] = {
    "plain": lambda translation: f"{format_quality(translation)}\t{translation.text}",
    "scored": lambda translation: (
        f"{translation.score:.4f}\t{format_quality(translation)}\t{translation.text}"
    ),
}
"""Formats that have another column with the quality."""

LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}  # some readers split lines at them


def read_json_line(number: int, text: str, note: str | None, field: str) -> Line:
    """Parse the JSON object of a line; the result has an `error` if it is not valid."""
    notes = (note,) if note else ()
    try:
        record = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_finite)
    except RecursionError:
        return Line(number, "", notes, error="invalid JSON: nested too deeply")
    except ValueError as error:
        return Line(number, "", notes, error=f"invalid JSON: {error}")
    if not isinstance(record, dict):
        return Line(number, "", notes, error='not a JSON object such as {"text": "…"}')
    if problem := _find_problem(record, field):
        return Line(number, "", notes, record=record, error=problem)
    text, prefix = (replace_surrogates(record.get(name, "")) for name in (field, "prefix"))
    must, must_not = (tuple(map(replace_surrogates, record.get(name, []))) for name in ("must", "must_not"))
    terms = tuple(tuple(map(replace_surrogates, term)) for term in list_fields(record.get("glossary", {})))
    constraints = LineConstraints(prefix, must, must_not, record.get("seed"), terms)
    return Line(number, text, notes, constraints, record)


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _parse_finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        _reject_constant(digits)
    return number


def _find_problem(record: dict[str, Any], field: str) -> str | None:
    if field not in record:
        return f"no field {field!r}"
    for name in (field, "prefix"):
        if not isinstance(record.get(name, ""), str):
            return f"{name!r} must be a string"
    for name in ("must", "must_not"):
        phrases = record.get(name, [])
        if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
            return f"{name!r} must be a list of strings"
    terms = record.get("glossary", {})
    if not isinstance(terms, dict) or not all(map(is_term, list_fields(terms))):
        kinds = f'a string or ["...", "{SUGGESTED}"], none of them blank'
        return f"'glossary' must be an object of source terms and their translations, each {kinds}"
    seed = record.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        return "'seed' must be a whole number, 0 or more"
    return None


def write_json_line(
    translation: Translation, *, n_best: bool = False, details: bool = False, quality: bool = False
) -> str:
    """Format the JSON object of a line, with `translation`, `score` and `quality`, or `error`, added."""
    line, best = translation.line, translation.candidates[0]
    record: dict[str, Any] = dict(line.record or {})
    if line.error:
        return _to_json(record | {"error": f"line {line.number}: {line.error}"})
    record |= _fields(best, details=details)
    if quality:
        record["quality"] = translation.quality
    if details:
        record["alignment"] = translation.alignment
        record["parts"] = [part._asdict() for part in translation.parts]
    if n_best:
        record["n_best"] = [_fields(candidate, details=details) for candidate in translation.candidates]
    if translation.notes:
        record["notes"] = translation.notes
    return _to_json(record)


def _fields(candidate: Candidate, *, details: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"translation": candidate.text, "score": candidate.score}
    if details:
        tokens = list(zip(candidate.tokens, candidate.token_log_probs, strict=True))
        fields |= {"log_prob": candidate.log_prob, "tokens": tokens}
    return fields


def _to_json(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False).translate(LINE_ENDS)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate in a field that is passed through
        return json.dumps(record)
    return text
