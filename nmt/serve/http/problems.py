"""Requests that cannot be answered: status, message and body, in the shape that each interface has."""

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from nmt.errors import NmtError, UsageError, escape_controls
from nmt.serve.requests import QueueFull, ServiceStopping, TimeLimitExceeded, UnknownModel

LONGEST_MESSAGE = 1_000
RETRY_SECONDS = 5


class RequestProblem(Exception):
    """A request that cannot be answered: what is wrong, where, and what to do."""

    def __init__(
        self,
        status: int,
        what: str,
        where: str = "",
        advice: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status, self.headers = status, dict(headers or {})
        self.what, self.where, self.advice = (
            escape_controls(text[:LONGEST_MESSAGE]) for text in (what, where, advice)
        )

    def __str__(self) -> str:
        return (
            f"{self.where + ': ' if self.where else ''}{self.what}{'; ' + self.advice if self.advice else ''}"
        )


def describe_service_error(error: NmtError) -> RequestProblem:
    """Return the answer to a request that the service refused."""
    what, _, advice = str(error).partition(": ")
    if isinstance(error, QueueFull):
        seconds = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
        return RequestProblem(429, str(error), "", "send it again after Retry-After seconds", seconds)
    if isinstance(error, TimeLimitExceeded):
        return RequestProblem(504, str(error), "", "send a shorter text, or reduce the beam")
    if isinstance(error, ServiceStopping):
        retry = {"Retry-After": str(RETRY_SECONDS)}
        return RequestProblem(503, str(error), "", "send it again later", retry)
    if isinstance(error, UnknownModel):
        return RequestProblem(400, str(error), "model", "GET /v1/models lists the models")
    if isinstance(error, UsageError):
        return RequestProblem(400, what, "", advice)
    return RequestProblem(500, str(error), "", "the log of the server has more")


def build_problem_response(problem: RequestProblem, path: str) -> Response:
    """Return the response to a request that cannot be answered."""
    if path.startswith("/translator/"):
        body: dict[str, Any] = {"status": "error", "error": str(problem)}
    elif path in LIBRETRANSLATE_PATHS:
        body = {"error": str(problem)}
    else:
        parts = {"what": problem.what, "where": problem.where, "advice": problem.advice}
        body = {"error": {"status": problem.status, **parts}}
    return JsonResponse(body, problem.status, problem.headers)


LIBRETRANSLATE_PATHS = ("/translate", "/detect", "/languages", "/frontend/settings")
"""The paths of LibreTranslate's interface, whose errors are texts."""


class JsonResponse(Response):
    """A response in JSON; floats that are no JSON numbers are null."""

    media_type = "application/json"

    def __init__(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(format_json(body), status, headers)


def format_json(value: Any) -> bytes:
    """Return a value as JSON, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
