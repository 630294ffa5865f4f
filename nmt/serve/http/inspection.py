"""The interface of the page's figures: `/v1/alternatives` for a word, `/v1/inside` for a sentence."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from nmt.serve.http.bodies import parse_json
from nmt.serve.http.gateway import Gateway, split_lines
from nmt.serve.http.native import STRICT_SHAPE
from nmt.serve.http.problems import JsonResponse, RequestProblem

LONGEST_SENTENCE = 500  # characters, of which the gates are shown
LONGEST_WORD = 100  # characters


@dataclass(frozen=True, kw_only=True)
class WordQuestion:
    """A word of the translation of a line."""

    text: str
    """The line."""
    word: str
    """The word of its translation."""
    before: str = ""
    """The translation up to the word, with the space before it."""
    model: str | None = None
    """The name of a model; by default the first."""

    __pydantic_config__ = STRICT_SHAPE


@dataclass(frozen=True, kw_only=True)
class SentenceQuestion:
    """A sentence whose translation is looked into."""

    text: str
    """The sentence."""
    model: str | None = None
    """The name of a model; by default the first."""

    __pydantic_config__ = STRICT_SHAPE


async def find_alternatives(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `POST /v1/alternatives`."""
    gateway.check_key(request)
    asked = parse_json(body, WordQuestion)
    model = gateway.choose_model(asked.model, None, None)
    _check_line(request, asked.text, gateway.limits.characters, gateway)
    gateway.check_texts([asked.before + asked.word], "before and word together")
    _check_length(asked.word, LONGEST_WORD, "word")
    seconds = gateway.limits.seconds
    found = await gateway.service.find_alternatives(model.name, asked.text, asked.before, asked.word, seconds)
    alternatives = [alternative._asdict() for alternative in found.alternatives]
    return JsonResponse({"model": model.name, "source": found.source, "alternatives": alternatives})


async def trace_sentence(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `POST /v1/inside`."""
    gateway.check_key(request)
    asked = parse_json(body, SentenceQuestion)
    model = gateway.choose_model(asked.model, None, None)
    _check_line(request, asked.text, LONGEST_SENTENCE, gateway)
    return JsonResponse(await gateway.service.explain(model.name, asked.text, gateway.limits.seconds))


def _check_line(request: Request, text: str, limit: int, gateway: Gateway) -> None:
    """Raise RequestProblem for a text of several lines, and for one that is too long."""
    gateway.count_texts(request, [text])
    if len(split_lines(text)[0]) > 1:
        raise RequestProblem(400, "the text has several lines", "text", "send one")
    _check_length(text, limit, "text")


def _check_length(text: str, limit: int, where: str) -> None:
    if len(text) > limit:
        raise RequestProblem(400, f"{len(text):,} characters, and it may have {limit:,}", where, "shorten it")
