"""The page of `nmt export --to web` in a browser: the lines that differ from `nmt translate`, and its speed.

    python -m benchmarks.web SITE LINES [--lines 500] [--openings 5]

Needs playwright and chromium. The page translates the lines of a file, and so does the exported model in
SITE (`SITE/model`). Also measured, each time in a browser without a cache: the time from opening the page to
its first translation.
"""

import argparse
import shutil
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

from nmt.data.text import read_lines
from nmt.decoding.translation import translate_lines
from nmt.export.directory import load_export

DONE = "#status[data-state=done]"
TIMEOUT = 3_600_000  # milliseconds, however busy the machine is
WATCH = """
new MutationObserver(() => {
  if (document.querySelector('#status[data-state=done]')) window.firstTranslation ??= performance.now();
}).observe(document, { subtree: true, childList: true, attributeFilter: ['data-state'] });
"""


class _QuietHandler(SimpleHTTPRequestHandler):
    """A static server, as `python -m http.server` is, that prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def handle(self) -> None:
        """Answer requests; a browser that is closed may not wait for the answer."""
        with suppress(ConnectionError):
            super().handle()


@contextmanager
def serve_directory(folder: Path) -> Iterator[tuple[str, ThreadingHTTPServer]]:
    """Serve a directory below a path of its own; yield its address and the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=folder.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{folder.name}/", server
    finally:
        server.shutdown()
        server.server_close()


TYPE = """text => {
    const source = document.querySelector("#source");
    source.value = text;
    source.dispatchEvent(new Event("input"));
    document.querySelector("#status").dataset.state = "";
}"""
"""Between a text and its state no message of an earlier translation is received."""


def translate_in_page(page: Any, text: str) -> list[str]:
    """Type a text, and return the translation of each line."""
    page.evaluate(TYPE, text)
    page.wait_for_selector(DONE, timeout=TIMEOUT)
    found: list[str] = page.locator("#translation > p").all_text_contents()
    return found


def time_first_translation(browser: Any, url: str, text: str) -> float:
    """Return the seconds from opening the page to its first translation, in a browser without a cache."""
    context = browser.new_context()
    try:
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(url, wait_until="commit", timeout=TIMEOUT)
        page.fill("#source", text, timeout=TIMEOUT)
        page.wait_for_selector(DONE, timeout=TIMEOUT)
        return float(page.evaluate("window.firstTranslation")) / 1000
    finally:
        context.close()


def main(site: Path, file: Path, count: int, openings: int) -> None:
    """Print the differing lines, the times and the size."""
    from playwright.sync_api import sync_playwright

    lines = list(islice(read_lines(file), count))
    job = load_export(site / "model")
    ours = [one.text for one in translate_lines(((line, None) for line in lines), job)]
    with serve_directory(site) as (url, _), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        first = sorted(time_first_translation(browser, url, lines[0]) for _ in range(openings))
        page = browser.new_page()
        page.goto(url, timeout=TIMEOUT)
        translate_in_page(page, lines[0])
        theirs = translate_in_page(page, "\n".join(lines))
        [seconds] = [float(word) for word in page.inner_text("#status").split() if word[0].isdigit()]
        browser.close()
    differing = [number for number, pair in enumerate(zip(ours, theirs, strict=True), 1) if len({*pair}) > 1]
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
    print(f"{len(differing)} of {len(lines)} lines differ ({len(differing) / len(lines):.2%}): {differing}")
    print(f"first translation: {first[0]:.2f} s, median {statistics.median(first):.2f} s")
    print(f"{1000 * seconds / len(lines):.0f} ms per line; {size:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--openings", type=int, default=5)
    given = parser.parse_args()
    main(given.site, given.file, given.lines, given.openings)
