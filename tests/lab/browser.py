"""Pages in a real browser: nothing is fetched, no error is logged, and everything fits the screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Screen = tuple[int, str]
SCREENS: list[Screen] = [(1100, "light"), (400, "dark")]
"""Pixels across, and the colour scheme."""


@contextmanager
def shown(browser: Any, file: Path, screen: Screen) -> Iterator[Any]:
    """A page in the browser's only tab: opening one takes longer than most tests."""
    width, scheme = screen
    tab = browser.contexts[0].pages[0] if browser.contexts else browser.new_page()
    tab.set_viewport_size({"width": width, "height": 800})
    tab.emulate_media(color_scheme=scheme)
    wrong: list[str] = []
    listeners = {
        "console": lambda message: wrong.append(message.text),
        "pageerror": lambda error: wrong.append(str(error)),
        "request": lambda asked: asked.url.startswith(("file:", "data:")) or wrong.append(asked.url),
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    try:
        tab.goto(file.as_uri(), timeout=0)  # however busy the machine is
        settle(tab)
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        yield tab
    finally:
        for event, listener in listeners.items():
            tab.remove_listener(event, listener)
    assert wrong == []


def settle(tab: Any) -> None:
    """Let what waits for the next frame be drawn."""
    tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
