"""Untrusted texts on pages, in reports and in pictures are shown and never interpreted as markup."""

import re
import xml.etree.ElementTree as xml
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nmt.lab.document import heading, paragraph, picture, preformatted, table, to_html, to_markdown
from nmt.lab.figure import Curve, HeatMap, draw_curves, draw_heat_maps
from nmt.lab.inspect.page import format_sentence_page
from nmt.lab.inspect.sentence import OutputToken, SentenceTrace
from tests.lab.browser import SCREENS, shown
from tests.lab.test_page import data, long

HOSTILE = [
    "<script>console.log(1)</script>",
    "</script><img src=x onerror=console.log(1)>",
    "</title></pre></td><iframe src=//example.org>",
    "\"'><svg onload=console.log(1)>",
    "<!--<script>",
    "]]>&lt;&#60;",
    "a\u2028b\u2029c\x85d\re\nf",
    "\x1b[2J\x9b2J\x00\x07",
    "\u202eevil\u2066",
    "surrogate \udcff",
    "$\\frac{$ %s {0} /* data */ /* css */ /* js */ /* js hash */",
]


class Tags(HTMLParser):
    """The tags and attributes of a page, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, [(name, value) for name, value in attrs if name not in ("alt", "id")]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)


def sentence(text: str) -> SentenceTrace:
    """A sentence whose every text is this one."""
    trace = long(3, 2)
    words = [OutputToken(text, -1.0, [(text, -1.0), ("b", -2.0)])] * 2
    spelling = dict.fromkeys(trace.spelling, text)
    changed = {"text": text, "translation": text, "source": [text] * 3, "words": words, "spelling": spelling}
    return trace._replace(**changed)


def report(text: str, folder: Path) -> list[Any]:
    file = folder / "a.svg"
    file.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    return [
        *(heading(text, 1), paragraph(text), preformatted(text), table([text, "n"], [[text, text]])),
        picture(file, folder, text),
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_sentence_page_has_the_tags_it_always_has(text: str) -> None:
    page, plain = format_sentence_page(sentence(text), text), format_sentence_page(sentence("a"), "a")
    page.encode()
    assert Tags(page).found == Tags(plain).found
    assert data(page)["source"] == [text] * 3 or "\udcff" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_report_has_the_tags_it_always_has(text: str, tmp_path: Path) -> None:
    page = to_html(report(text, tmp_path), text)
    assert Tags(page).found == Tags(to_html(report("a", tmp_path), "a")).found


@pytest.mark.parametrize(
    "text", [*HOSTILE, "[a](javascript:b)", "![](//example.org/a.png)", "<//example.org>"]
)
def test_the_markdown_of_a_report_has_no_tags_and_no_links_of_strangers(text: str, tmp_path: Path) -> None:
    blocks = report(text, tmp_path)
    lines = to_markdown([block for block in blocks if not block.markdown.startswith("    ")]).splitlines()
    assert len(lines) == 1 + 2 + 2 + 2 + 2  # a heading, a paragraph, a table of three lines, a picture
    assert not any("<" in line or re.search(r"&(?!amp;|lt;)", line) for line in lines)
    assert [part for part in re.findall(r"\]\([^)]*\)", "\n".join(lines)) if part != "](a.svg)"] == []


def test_a_browser_runs_the_script_of_the_page_and_no_other() -> None:
    page = format_sentence_page(sentence("a"), "a")
    [policy] = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}';" in policy
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none';")
    assert "http" not in policy


def test_a_report_loads_and_runs_nothing(tmp_path: Path) -> None:
    page = to_html(report("a", tmp_path), "a")
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none';")
    assert "script-src" not in policy
    assert "http" not in policy


def test_pictures_are_well_formed(tmp_path: Path) -> None:
    curves = [Curve(text, [1, 2], [1.0, 2.0]) for text in HOSTILE]
    draw_curves(tmp_path / "a.svg", dict.fromkeys(HOSTILE[-2:], curves), x=HOSTILE[7])
    maps = [HeatMap(HOSTILE[0], [[0.0] * len(HOSTILE)] * len(HOSTILE), HOSTILE, HOSTILE, 0.0, 1.0)]
    draw_heat_maps(tmp_path / "b.svg", {"".join(HOSTILE): maps}, title=" ".join(HOSTILE[::-1]))
    for name in ("a.svg", "b.svg"):
        names = {element.tag.split("}")[1] for element in xml.parse(tmp_path / name).iter()}
        assert not names & {"script", "img", "iframe", "foreignObject"}


@pytest.mark.parametrize("text", [HOSTILE[1], HOSTILE[4]])
def test_the_page_shows_hostile_texts_in_a_browser(browser: Any, text: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(format_sentence_page(sentence(text), text).encode())
    with shown(browser, tmp_path / "page.html", SCREENS[0]) as tab:
        assert tab.locator("#source .chip").count() == 3
        assert tab.locator("script").count() == 2
        assert tab.locator("iframe, img, svg[onload]").count() == 0


@pytest.mark.parametrize("text", ["x" * 400, "긴" * 200])
def test_a_long_token_does_not_widen_the_page(browser: Any, text: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(format_sentence_page(sentence(text), text).encode())
    with shown(browser, tmp_path / "page.html", SCREENS[0]) as tab:  # which checks the width
        assert tab.locator("#source .chip").count() == 3
