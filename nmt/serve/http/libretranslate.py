"""The interface of LibreTranslate, whose clients work unchanged: paths, fields, errors and status codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from nmt.lab.language_detection import detect_language, find_language_name
from nmt.serve.http.bodies import parse_fields
from nmt.serve.http.gateway import Gateway, TextRequest, TranslatedText, join_lines, split_lines
from nmt.serve.http.markup import find_texts, replace_texts
from nmt.serve.http.problems import JsonResponse, RequestProblem
from nmt.serve.requests import TranslationSettings

AUTO = "auto"
DETECTED = 2_000  # characters, of which the language is detected


@dataclass(frozen=True, kw_only=True)
class DetectFields:
    """The fields of a request to detect a language."""

    q: str | list[str]
    """The text, or texts."""
    api_key: str | None = None
    """A key of --api-keys."""

    __pydantic_config__ = {"use_attribute_docstrings": True}


@dataclass(frozen=True, kw_only=True)
class TranslateFields(DetectFields):
    """The fields of a request to translate. A text of several lines is translated line by line."""

    source: str
    """The code of the language of the text; `auto`: it is detected."""
    target: str
    """The code of the language to translate into."""
    format: Literal["text", "html"] = "text"
    """`html`: the text between the tags is translated."""
    alternatives: int = 0
    """Other translations to add; none of HTML."""


UNKNOWN = {"confidence": 0.0, "language": "en"}
"""LibreTranslate's answer for a text without letters."""


async def translate(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `POST /translate`."""
    fields = parse_fields(request, body)
    gateway.check_key(request, fields.get("api_key"))
    q, source, target = (_require(fields, name) for name in ("q", "source", "target"))
    is_batch, texts = isinstance(q, list), _read_texts(request, q, gateway)
    for name, value in (("source", source), ("target", target)):
        if not isinstance(value, str):
            raise RequestProblem(400, f"Invalid request: {name} must be a language code")
    alternatives = _read_alternatives(fields, gateway)
    form = fields.get("format") or "text"
    if not isinstance(form, str):
        raise RequestProblem(400, "Invalid request: format must be a text")
    if form not in ("text", "html"):
        raise RequestProblem(400, f"{form} format is not supported")
    detected = _detect(texts, gateway)[0] if source == AUTO else {"confidence": 100.0, "language": source}
    model = _choose_model(source if source != AUTO else detected["language"], target, gateway)
    found, others = await _translate(texts, model, form, alternatives, gateway)
    answer: dict[str, Any] = {"translatedText": found if is_batch else found[0]}
    if source == AUTO:
        answer["detectedLanguage"] = [detected] * len(texts) if is_batch else detected
    if alternatives:
        answer["alternatives"] = others if is_batch else others[0]
    return JsonResponse(answer)


def _require(fields: dict[str, Any], name: str) -> Any:
    value = fields.get(name)
    if not value:
        raise RequestProblem(400, f"Invalid request: missing {name} parameter")
    return value


def _read_texts(request: Request, q: Any, gateway: Gateway) -> list[str]:
    """Return the texts of a request, and count them; RequestProblem for what is none, or too much."""
    texts = q if isinstance(q, list) else [q]
    if not all(isinstance(text, str) for text in texts):
        raise RequestProblem(400, "Invalid request: q must be a text or a list of texts")
    gateway.check_texts(texts, "q")
    gateway.count_texts(request, texts)
    return texts


def _read_alternatives(fields: dict[str, Any], gateway: Gateway) -> int:
    try:
        wanted = max(0, int(fields.get("alternatives", 0)))
    except (TypeError, ValueError, OverflowError):
        raise RequestProblem(400, "Invalid request: alternatives parameter is not a number") from None
    most = gateway.limits.beam - 1
    if wanted > most:
        raise RequestProblem(400, f"Invalid request: alternatives parameter must be <= {most}")
    return wanted


def _choose_model(source: str, target: str, gateway: Gateway) -> str:
    models = gateway.service.models.values()
    for side, language in enumerate((source, target)):
        if language not in {model.languages[side] for model in models}:
            raise RequestProblem(400, f"{language} is not supported")
    for model in models:
        if model.languages == (source, target):
            return model.name
    from_name, into_name = map(find_language_name, (source, target))
    what = f"{into_name} ({target}) is not available as a target language from {from_name} ({source})"
    raise RequestProblem(400, what)


async def _translate(
    texts: Sequence[str], model: str, form: str, alternatives: int, gateway: Gateway
) -> tuple[list[str], list[list[str]]]:
    """Return the translations of texts, and other translations of each: none of HTML."""
    if form == "html":
        inner = [find_texts(text) for text in texts]
        requests = [TextRequest(one, model) for of_text in inner for one in of_text]
        found = iter(await gateway.translate(requests))
        replaced = [[next(found).text for _ in of_text] for of_text in inner]
        return [replace_texts(*pair) for pair in zip(texts, replaced, strict=True)], [[] for _ in texts]
    settings = TranslationSettings(n_best=alternatives + 1)
    translated = await gateway.translate([TextRequest(text, model, settings) for text in texts])
    others = [_list_others(*pair, alternatives) for pair in zip(texts, translated, strict=True)]
    return [one.text for one in translated], others


def _list_others(text: str, found: TranslatedText, count: int) -> list[str]:
    """Return other translations: the second-best of every line, and so on, without repetitions."""
    ends = split_lines(text)[1]
    ranks = range(1, min(count + 1, max(len(line.candidates) for line in found.lines)))
    others = [
        join_lines([line.candidates[min(rank, len(line.candidates) - 1)].text for line in found.lines], ends)
        for rank in ranks
    ]
    return [one for one in dict.fromkeys(others) if one not in ("", found.text)]


async def detect(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `POST /detect`."""
    fields = parse_fields(request, body)
    gateway.check_key(request, fields.get("api_key"))
    return JsonResponse(_detect(_read_texts(request, _require(fields, "q"), gateway), gateway))


def _detect(texts: Sequence[str], gateway: Gateway) -> list[dict[str, Any]]:
    languages = dict.fromkeys(model.languages[0] for model in gateway.service.models.values())
    found = detect_language("\n".join(texts)[:DETECTED], [code for code in languages if code])
    return [{"confidence": one.confidence, "language": one.language} for one in found] or [UNKNOWN]


async def list_languages(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `GET /languages`."""
    targets: dict[str, dict[str, None]] = {}
    for model in gateway.service.models.values():
        source, target = model.languages
        if source and target:
            targets.setdefault(source, {})[target] = None
            targets.setdefault(target, {})
    return JsonResponse(
        [
            {"code": code, "name": find_language_name(code), "targets": list(into)}
            for code, into in targets.items()
        ]
    )


async def describe_frontend(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `GET /frontend/settings`."""
    target = next(iter(gateway.service.models.values())).languages[1]
    has_keys = gateway.configuration.keys is not None
    return JsonResponse(
        {
            "charLimit": gateway.limits.characters,
            "frontendTimeout": 500,
            "apiKeys": has_keys,
            "keyRequired": has_keys,
            "suggestions": False,
            "filesTranslation": False,
            "supportedFilesFormat": [],
            "language": {
                "source": {"code": AUTO, "name": "Auto Detect"},
                "target": {"code": target, "name": find_language_name(target)},
            },
        }
    )
