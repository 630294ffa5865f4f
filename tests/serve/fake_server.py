"""Answers of a server, which the driver of the browser gives to the page."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from nmt.lab.inspect.page import pack_trace
from nmt.lab.inspect.sentence import trace_sentence
from tests.lab.small_models import TEXT, small

LOADED = "() => document.querySelector('#pair').value || document.querySelector('#status').textContent"
ADDRESS = "http://nmt.test/"
FOLDERS = {"page": files("nmt.serve") / "page", "figures": files("nmt.lab.inspect") / "browser"}
TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript", "css": "text/css"}
LSTM = {"name": "lstm", "source": "de", "target": "en", "explains": True}
GRU = {**LSTM, "name": "gru"}
EXPORT = {"name": "small", "source": "en", "target": "de", "explains": False}

TRACE = pack_trace(
    trace_sentence(*small(encoder={"bidirectional": "all"}, decoder={"cell": "gru"}), TEXT), "lstm"
)

Problem = tuple[int, dict[str, str], str]
"""Status, headers and message of an answer that is an error."""


class FakeServer:
    """A server that translates words to capitals; the model `gru` writes OTHER in the place of the second."""

    def __init__(self) -> None:
        self.models = [LSTM, GRU, EXPORT]
        self.characters = 200
        self.asked: list[tuple[str, dict[str, Any]]] = []  # paths and bodies, in order
        self.problem: Problem | None = None  # which all requests are answered with
        self.is_gone = False
        self.holds = False  # translations and traces are kept in `held`
        self.held: list[Callable[[], None]] = []
        self.outside: list[str] = []  # addresses that are not the server's
        self.trace = TRACE

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """The bodies of the requests to a path."""
        return [body for asked, body in self.asked if asked == path]

    def answer(self, route: Any) -> None:
        """Answer a request of the page."""
        url = route.request.url
        if not url.startswith(ADDRESS):
            self.outside.append(url)
            return route.abort()
        path = url.removeprefix(ADDRESS).partition("?")[0]
        if not path.startswith("v1/"):
            folder, _, name = (path or "page/index.html").partition("/")
            body = (FOLDERS[folder] / name).read_bytes()
            return route.fulfill(body=body, content_type=TYPES[name.rpartition(".")[2]])
        self.asked.append((path, json.loads(route.request.post_data or "{}")))
        if self.is_gone:
            return route.abort("connectionrefused")
        if self.problem:
            status, headers, what = self.problem
            return route.fulfill(status=status, headers=headers, json={"error": {"what": what}})
        answers = {"models": self._models, "translate": self.translate, "alternatives": self.alternatives}
        found = {**answers, "inside": self.inside}[path.removeprefix("v1/")](self.asked[-1][1])
        if self.holds and path in ("v1/translate", "v1/inside"):
            return self.held.append(lambda: route.fulfill(json=found))
        return route.fulfill(json=found)

    def _models(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"models": self.models, "limits": {"characters": self.characters}}

    def translate(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"translations": [{"text": self._translation(text, body)} for text in body["text"]]}

    def _translation(self, text: str, body: dict[str, Any]) -> str:
        terms = {
            term: one if isinstance(one, str) else one[0] for term, one in body.get("glossary", {}).items()
        }
        words = [terms.get(word, word.upper()) for word in text.split()]
        words[1:2] = ["OTHER"] * (body["model"] == "gru") or words[1:2]
        prefix = body.get("prefix", "").split()
        return " ".join([*prefix, *(f"{word.lower()}" for word in words[len(prefix) :])] if prefix else words)

    def alternatives(self, body: dict[str, Any]) -> dict[str, Any]:
        words = body["text"].split(" ")
        source = [
            (word + " " * (at < len(words) - 1), 0.6 if at == 0 else 0.1) for at, word in enumerate(words)
        ]
        chosen = [(body["word"], 0.5), ("CHOSEN", 0.25), ("RARE", 0.01)]
        return {"source": source, "alternatives": [{"word": word, "probability": p} for word, p in chosen]}

    def inside(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**self.trace, "text": body["text"]}


@contextmanager
def opened(browser: Any, server: FakeServer, path: str = "", **options: Any) -> Iterator[Any]:
    """The page in a context of its own; at the end, it has fetched nothing from elsewhere, and no error."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 800}, **options})
    try:
        context.route("**/*", server.answer)
        tab = context.new_page()
        wrong: list[str] = []
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.clock.install()
        tab.goto(ADDRESS + path, timeout=0)
        tab.wait_for_function(LOADED)
        yield tab
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        context.close()
    assert [text for text in wrong if not text.startswith("Failed to load resource")] == []
    assert server.outside == []
