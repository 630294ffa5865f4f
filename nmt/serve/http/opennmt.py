"""The interface of OpenNMT-py's server: `/translator/translate` and `/translator/models`."""

from dataclasses import dataclass
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response

from nmt.serve.http.bodies import FirstMistake, parse_json
from nmt.serve.http.gateway import Gateway, TextRequest
from nmt.serve.http.problems import JsonResponse, RequestProblem


@dataclass(frozen=True, kw_only=True)
class SourceText:
    """A text to translate; other fields of OpenNMT-py are ignored."""

    src: str
    """The text."""
    id: int | str = 0
    """The number of the model in `GET /translator/models`, or its name."""

    __pydantic_config__ = {"strict": True, "use_attribute_docstrings": True}


SourceTexts = Annotated[list[SourceText], FirstMistake()]


async def translate(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `POST /translator/translate`."""
    gateway.check_key(request)
    asked = parse_json(body, SourceTexts)
    texts = [one.src for one in asked]
    gateway.check_texts(texts, "src")
    gateway.count_texts(request, texts)
    models = [_find_model(one.id, gateway) for one in asked]
    found = await gateway.translate(list(map(TextRequest, texts, models)))
    return JsonResponse(
        [
            [
                {
                    "src": text,
                    "tgt": one.text,
                    "n_best": 1,
                    "pred_score": sum(line.score for line in one.lines),
                }
                for text, one in zip(texts, found, strict=True)
            ]
        ]
    )


def _find_model(number: int | str, gateway: Gateway) -> str:
    names = list(gateway.service.models)
    if isinstance(number, str) and number in names:
        return number
    if isinstance(number, int) and 0 <= number < len(names):
        return names[number]
    raise RequestProblem(400, f"No model with id '{number}'", "id", "GET /translator/models lists them")


async def list_models(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `GET /translator/models`."""
    models: list[dict[str, Any]] = [
        {
            "model_id": number,
            "model": model.name,
            "available": True,
            "loaded": True,
            "timeout": -1,
            "opt": {"src_lang": model.languages[0], "tgt_lang": model.languages[1], "beam_size": model.beam},
        }
        for number, model in enumerate(gateway.service.models.values())
    ]
    return JsonResponse(models)


async def check_health(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `GET /translator/health`."""
    return JsonResponse({"status": "ok"})
