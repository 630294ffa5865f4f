"""What the server answers to its page: files, a word's alternatives, the inside of a sentence."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from nmt.errors import UsageError
from nmt.serve.http.inspection import LONGEST_SENTENCE
from tests.serve.fake_server import FOLDERS, TRACE
from tests.serve.stand_in import RunningServer, StandInService, run_server

FILES = sorted(f"{folder}/{file.name}" for folder, place in FOLDERS.items() for file in place.iterdir())
MODULES = [name for name in FILES if name.endswith(".js")]


class ExplainingService(StandInService):
    """Its first model is a run, the others are exports."""

    async def explain(self, model: str, text: str, seconds: float) -> dict[str, Any]:
        if model != "de-en":
            raise UsageError("an export has no gates to show: serve the run that it was made from")
        return {**TRACE, "text": text}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with run_server(service=ExplainingService()) as running:
        yield running


def source(name: str) -> str:
    folder, _, file = name.partition("/")
    return (FOLDERS[folder] / file).read_text(encoding="utf-8")


def test_the_page_and_its_files_are_served_and_may_load_nothing_else(server: RunningServer) -> None:
    types = {".html": "text/html", ".css": "text/css", ".js": "javascript"}
    for path in ("/", *(f"/{name}" for name in FILES)):
        answer = server.ask(path)
        assert answer.status == 200, path
        assert types[PurePosixPath(path).suffix or ".html"] in answer.headers["content-type"]
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'" in policy and "unsafe" not in policy
    assert server.ask("/page/../http/native.py").status == 404
    assert server.ask("/page/%2e%2e/service.py").status == 404


def test_the_page_has_no_script_or_style_and_no_address_in_it() -> None:
    for name in FILES:
        text = source(name)
        assert "innerHTML" not in text and "eval(" not in text, name
        assert {*re.findall(r"\w+://[^\s\"']+", text)} <= {"http://www.w3.org/2000/svg"}, name
    page = source("page/index.html")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", page) == []
    assert re.findall(r"(?:src|href)=\"(?!data:)([^\"]+)\"", page) == [
        "figures/figures.css",
        "page/page.css",
        "page/main.js",
    ]


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_imports_is_exported(name: str) -> None:
    for names, other in re.findall(r"^import \{ (.+) \} from \"(.+)\";$", source(name), re.M):
        file = other.removeprefix("./") if other.startswith("./") else other.removeprefix("../")
        module = file if other.startswith("../") else f"{name.partition('/')[0]}/{file}"
        exported = re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", source(module), re.M)
        assert {*names.split(", ")} <= {*exported}, (name, other)
        rest = source(name).split(f'from "{other}";')[1]
        assert [one for one in names.split(", ") if not re.search(rf"\b{one}\b", rest)] == []


def test_a_word_has_the_attention_and_the_alternatives_of_the_service(server: RunningServer) -> None:
    asked = {"text": "der hund", "before": "the ", "word": "dog", "model": "ko-en"}
    assert server.ask("/v1/alternatives", asked).json == {
        "model": "ko-en",
        "source": [["der hund", 1.0]],
        "alternatives": [{"word": "dog", "probability": 0.5}],
    }


def test_a_sentence_has_the_data_of_its_figures(server: RunningServer) -> None:
    answer = server.ask("/v1/inside", {"text": "der hund"}).json
    assert {*answer} == {*TRACE}
    assert answer["text"] == "der hund"
    assert answer["words"][0]["piece"] == TRACE["words"][0]["piece"]
    refused = server.ask("/v1/inside", {"text": "der hund", "model": "ko-en"})
    assert (refused.status, refused.json["error"]["what"]) == (400, "an export has no gates to show")


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"text": "a\nb"}, "text", "several lines"),
        ({"text": "a" * 20_001}, "text", "20,001 characters"),
        ({"model": "de-fr"}, "model", "no model 'de-fr'"),
        ({"text": 1}, "text", "expected text"),
        ({"words": []}, "words", ""),
    ],
)
def test_questions_that_cannot_be_answered(
    server: RunningServer, changes: dict[str, Any], where: str, what: str
) -> None:
    for path, asked in (("/v1/alternatives", {"text": "a", "word": "b"}), ("/v1/inside", {"text": "a"})):
        answer = server.ask(path, asked | changes)
        assert answer.status == 400
        assert answer.json["error"]["where"] == where
        assert what in answer.json["error"]["what"]


def test_the_inside_of_a_sentence_is_shown_up_to_a_length(server: RunningServer) -> None:
    assert server.ask("/v1/inside", {"text": "a" * LONGEST_SENTENCE}).status == 200
    assert server.ask("/v1/inside", {"text": "a" * (LONGEST_SENTENCE + 1)}).status == 400


def test_the_page_of_the_server_translates(browser: Any, server: RunningServer) -> None:
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    try:
        tab = context.new_page()
        wrong: list[str] = []
        tab.on("console", lambda message: wrong.append(message.text))
        tab.goto(server.url, timeout=0)
        tab.fill("#text", "eins zwei\n\ndrei")
        tab.wait_for_selector(".word", timeout=0)
        assert [line.strip() for line in tab.locator("#lines p").all_inner_texts()] == [
            "zwei eins",
            "",
            "drei",
        ]
        tab.click(".word >> text=eins")
        tab.wait_for_selector("#word li", timeout=0)
        assert tab.locator("#translate .backdrop mark").all_text_contents() == ["eins zwei"]
        tab.click("#tab-inside")
        tab.wait_for_selector("#figures canvas", timeout=0)
        assert wrong == []
    finally:
        context.close()
