"""Pages in a real browser, which must fetch nothing, complain of nothing and fit the screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Screen = tuple[int, str]
SCREENS: list[Screen] = [(1100, "light"), (400, "dark")]
"""Pixels across, and the colour scheme."""


@contextmanager
def shown(browser: Any, file: Path, screen: Screen) -> Iterator[Any]:
    """A page in a tab of its own."""
    width, scheme = screen
    tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or wrong.append(asked.url))
    tab.goto(file.as_uri())
    settle(tab)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    yield tab
    tab.close()
    assert wrong == []


def settle(tab: Any) -> None:
    """Let what waits for the next frame be drawn."""
    tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
