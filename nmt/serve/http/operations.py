"""The operations of the server, and the OpenAPI document that describes them."""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from nmt import __version__
from nmt.serve.http import inspection, libretranslate, native, opennmt
from nmt.serve.http.bodies import FORM, adapt
from nmt.serve.http.gateway import Gateway
from nmt.serve.http.problems import format_json

Answer = Callable[[Request, bytes, Gateway], Coroutine[Any, Any, Response]]
JSON, NDJSON = "application/json", "application/x-ndjson"
SCHEMAS = "#/components/schemas/"


class Operation(NamedTuple):
    """A path with a method, the function that answers it, and what the OpenAPI document has about it."""

    method: str
    path: str
    answer: Answer
    summary: str
    body: Any = None  # the type of the request
    result: Any = Any  # the type of the answer
    has_key: bool = True  # whether a key is needed, where keys are asked for
    media_types: tuple[str, ...] = (JSON,)  # of the request
    result_types: tuple[str, ...] = (JSON,)


OPERATIONS = (
    Operation(
        *("POST", "/v1/translate", native.translate, "Translate texts."),
        *(native.TranslateRequest, native.TranslateAnswer),
        result_types=(JSON, NDJSON),
    ),
    Operation(
        *("POST", "/v1/alternatives", inspection.find_alternatives),
        "What a word of a translation looked at, and which words might have been there.",
        *(inspection.WordQuestion, dict[str, Any]),
    ),
    Operation(
        *("POST", "/v1/inside", inspection.trace_sentence),
        "The attention, the gates and the beam of the translation of a sentence.",
        *(inspection.SentenceQuestion, dict[str, Any]),
    ),
    Operation(
        *("GET", "/v1/models", native.list_models, "The models that are served, and the limits of requests."),
        *(None, native.ModelsAnswer, False),
    ),
    Operation(
        *("GET", "/health", native.check_health, "200 while requests are accepted, 503 before the end."),
        *(None, dict[str, str], False),
    ),
    Operation(
        *("GET", "/metrics", native.report_metrics, "Metrics in the text format of Prometheus."),
        result=str,
        result_types=("text/plain",),
    ),
    Operation(
        *("POST", "/translate", libretranslate.translate, "LibreTranslate: translate texts."),
        *(libretranslate.TranslateFields, dict[str, Any]),
        media_types=(JSON, FORM),
    ),
    Operation(
        *("POST", "/detect", libretranslate.detect, "LibreTranslate: detect the language of a text."),
        *(libretranslate.DetectFields, list[dict[str, Any]]),
        media_types=(JSON, FORM),
    ),
    Operation(
        *("GET", "/languages", libretranslate.list_languages, "LibreTranslate: the languages."),
        *(None, list[dict[str, Any]], False),
    ),
    Operation(
        *("GET", "/frontend/settings", libretranslate.describe_frontend, "LibreTranslate: the settings."),
        *(None, dict[str, Any], False),
    ),
    Operation(
        *("POST", "/translator/translate", opennmt.translate, "OpenNMT-py: translate texts."),
        *(opennmt.SourceTexts, list[list[dict[str, Any]]]),
    ),
    Operation(
        *("GET", "/translator/models", opennmt.list_models, "OpenNMT-py: the models."),
        *(None, list[dict[str, Any]], False),
    ),
    Operation(
        *("GET", "/translator/health", opennmt.check_health, "OpenNMT-py: the state of the server."),
        *(None, dict[str, str], False),
    ),
)

PROBLEMS = {
    "400": "The request is wrong: what, where, and what to do.",
    "401": "An API key is needed.",
    "403": "The API key is wrong, or the request comes from a page of another site.",
    "413": "The request is too long.",
    "421": "The request is for another host.",
    "429": "The queue is full: send the request again after Retry-After seconds.",
    "500": "The server failed.",
    "503": "The server is stopping.",
    "504": "The request took too long.",
}
DESCRIPTION = (
    "Translations by recurrent models. Paths under /v1 are the interface of nmt; the others are those of "
    "LibreTranslate and of OpenNMT-py, whose clients work unchanged."
)


async def describe_interface(request: Request) -> Response:
    """Answer `GET /openapi.json`."""
    return Response(_format_document(), media_type=JSON)


@cache
def _format_document() -> bytes:
    return format_json(build_document())


def build_document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, schemas)
    key = {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of --api-keys, where keys are asked for.",
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "nmt", "version": __version__, "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": key}},
    }


def _describe(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    result = _build_schema(operation.result, schemas)
    described: dict[str, Any] = {
        "operationId": f"{operation.answer.__module__.rpartition('.')[2]}_{operation.answer.__name__}",
        "summary": operation.summary,
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {
                    kind: {"schema": {"type": "string"} if kind == NDJSON else result}
                    for kind in operation.result_types
                },
            }
        },
    }
    for status, text in PROBLEMS.items():
        described["responses"][status] = {"description": text, "content": {JSON: {"schema": {}}}}
    if operation.body is not None:
        body = _build_schema(operation.body, schemas)
        content = {kind: {"schema": body} for kind in operation.media_types}
        described["requestBody"] = {"required": True, "content": content}
    if operation.has_key:
        described["security"] = [{}, {"key": []}]
    return described


def _build_schema(shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type, and add those that it refers to."""
    schema = adapt(shape).json_schema(ref_template=SCHEMAS + "{model}")
    schemas |= schema.pop("$defs", {})
    if "title" not in schema or schema.get("type") != "object":
        return schema
    name = schema["title"]
    schemas[name] = schema
    return {"$ref": SCHEMAS + name}
