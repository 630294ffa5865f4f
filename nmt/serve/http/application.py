"""The ASGI application: its routes, and what applies to each request before and after its route."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt.errors import NmtError, escape_controls
from nmt.serve.http.bodies import read_body
from nmt.serve.http.gateway import Gateway
from nmt.serve.http.operations import OPERATIONS, Answer, describe_interface
from nmt.serve.http.pages import build_page_routes
from nmt.serve.http.problems import RequestProblem, build_problem_response, describe_service_error

LOGGER = logging.getLogger("nmt.serve")
CLIENT_GONE = 499
"""The status in the log of a request whose client went away (nginx's)."""
LONGEST_LOGGED = 200  # characters of a path, and of a text
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of all responses, unless a route sets its own."""


def build_application(gateway: Gateway) -> ASGIApp:
    """Return the application."""
    routes: list[BaseRoute] = [
        Route(one.path, _build_endpoint(one.answer, gateway), methods=[one.method]) for one in OPERATIONS
    ]
    handlers: Any = {HTTPException: _describe_http_exception, Exception: _describe_bug}
    starlette = Starlette(
        routes=[*routes, Route("/openapi.json", describe_interface), *build_page_routes()],
        exception_handlers=handlers,
    )
    return Entrance(starlette, gateway)


def _build_endpoint(answer: Answer, gateway: Gateway) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request, gateway.limits.body) if request.method == "POST" else b""
            return await _finish_unless_gone(request, answer(request, body, gateway))
        except RequestProblem as problem:
            request.scope["problem"] = str(problem)
            return build_problem_response(problem, request.scope["path"])
        except NmtError as error:
            return build_problem_response(describe_service_error(error), request.scope["path"])

    return endpoint


async def _finish_unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Return the response, or cancel the work if the client closes the connection."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_wait_for_disconnect(request.receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        return Response(status_code=CLIENT_GONE)
    finally:
        for task in (working, watching):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _describe_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer a request for a path, or with a method, that there is not."""
    if error.status_code == 405:
        what, advice = f"{request.method} is not a method of this path", "GET /openapi.json lists the methods"
    else:
        what, advice = f"there is no {request.scope['path']}", "GET /openapi.json lists the paths"
    problem = RequestProblem(error.status_code, what, "", advice, error.headers)
    return build_problem_response(problem, request.scope["path"])


async def _describe_bug(request: Request, error: Exception) -> Response:
    problem = RequestProblem(500, "the server failed", "", "its log has more")
    return build_problem_response(problem, request.scope["path"])


class Entrance:
    """What every request passes: checks of host and origin, headers, metrics, and a line in the log."""

    def __init__(self, inner: ASGIApp, gateway: Gateway) -> None:
        self._inner, self._gateway = inner, gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._inner(scope, receive, send)
        start, status = time.perf_counter(), 500
        request = Request(scope)
        origin = self._allowed_origin(request)

        async def send_checked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message), origin)
            await send(message)

        try:
            response = self._refuse(request, origin)
            await (response or self._inner)(scope, receive, send_checked)
        except Exception as error:
            LOGGER.error("this is a bug, sorry: %s", escape_controls(request.scope["path"]), exc_info=error)
        finally:
            self._record(request, status, time.perf_counter() - start)

    def _refuse(self, request: Request, origin: str | None) -> Response | None:
        """Return the answer to a request that goes no further, if it does not."""
        settings, path = self._gateway.configuration.settings, request.scope["path"]
        host, origin_header = request.headers.get("host", ""), request.headers.get("origin")
        names = settings.allowed_hosts()
        if names and _host_name(host) not in names:
            what = f"this server is not {_host_name(host) or 'without a name'}"
            advice = "its operator can allow the name with --allow-host"
            return build_problem_response(RequestProblem(421, what, "Host", advice), path)
        if origin_header and origin is None and urlsplit(origin_header).netloc != host:
            what, advice = (
                f"pages of {origin_header} may not send requests",
                "its operator can allow them: --origin",
            )
            return build_problem_response(RequestProblem(403, what, "Origin", advice), path)
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            allowed = {
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, X-API-Key",
                "Access-Control-Max-Age": "86400",
            }
            return Response(status_code=204, headers=allowed)
        return None

    def _allowed_origin(self, request: Request) -> str | None:
        """Return the origin of a request if its pages may send requests."""
        origin, origins = request.headers.get("origin"), self._gateway.configuration.settings.origins
        return origin if origin in origins or "*" in origins else None

    def _add_headers(self, headers: MutableHeaders, origin: str | None) -> None:
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if self._gateway.configuration.settings.origins:
            headers.add_vary_header("Origin")
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    def _record(self, request: Request, status: int, seconds: float) -> None:
        """Count a request, and write its line in the log."""
        route = request.scope.get("route")
        self._gateway.metrics.record(getattr(route, "path", "other"), status, seconds)
        texts, client = request.scope.get("texts", ()), request.client
        path = request.scope["path"][:LONGEST_LOGGED]
        line = f"{client.host if client else '-'} {request.method} {path} {status}"
        line += f" {1000 * seconds:.1f} ms"
        if texts:
            line += f" {len(texts)} text{'s' * (len(texts) != 1)}, {sum(map(len, texts)):,} characters"
        if problem := request.scope.get("problem"):
            line += f" ({problem[:LONGEST_LOGGED]})"
        if texts and self._gateway.configuration.settings.log_texts:
            line += "".join(f" {text[:LONGEST_LOGGED]!r}" for text in texts)
        LOGGER.info("%s", escape_controls(line))


def _host_name(host: str) -> str:
    """Return the name or address in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
