"""The web page: its files, which need no network but this server."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import nmt

PACKAGE = Path(nmt.__file__).parent
PAGE = PACKAGE / "serve" / "page"
FIGURES = PACKAGE / "lab" / "inspect" / "browser"
"""The modules of the sentence page's figures, which the page imports."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}


class PageFiles(StaticFiles):
    """The files of a folder, which browsers may keep as long as they have not changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


async def show_page(request: Request) -> Response:
    """Return the page."""
    return FileResponse(PAGE / "index.html", headers=HEADERS)


def build_page_routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    return [
        Route("/", show_page),
        Mount("/page", PageFiles(directory=PAGE)),
        Mount("/figures", PageFiles(directory=FIGURES)),
    ]
