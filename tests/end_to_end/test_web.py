"""The page of an exported model translates in a browser, as `nmt translate` does, also without a network."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.web import serve_directory, translate_in_page
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt

pytest.importorskip("onnx", reason="exporting needs the extra [export]")
pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")

from nmt.export.web import packages
from nmt.export.web.site import find_unsupported
from nmt.files import file_sha256
from nmt.protobuf import write_field
from nmt.user_directories import cache_directory

LINES = [
    *("Der alte Hund sucht einen Vogel.", "", "Die Frau malt. Der gute Mann malt einen Baum!", "  "),
    *(
        "DER ALTE HUND SUCHT EINEN BAUM.",
        "https://a.org/x 12 <b>der</b> 😀",
        "zzz qqq",
        "한국어\tund\u2028中文",
    ),
    "Der alte Hund, der gute Mann und die Frau: " * 12,
]


@pytest.fixture(scope="module")
def archives() -> Path:
    """The packages of npm, if they have been fetched on this machine."""
    folder = cache_directory() / "npm"
    if not all((folder / package.archive).is_file() for package in packages.PACKAGES):
        pytest.skip("the packages of npm are not in the cache: run `nmt export RUN --to web` once")
    return folder


@pytest.fixture(scope="module")
def site(finished: Finished, archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests must not change it."""
    folder = tmp_path_factory.mktemp("web") / "site"
    printed = done(nmt("export", finished.run, "--to", "web", "-o", folder, "--runtime", archives))
    assert f"python -m http.server -d {folder}" in printed
    return folder


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    """The page in a new browser, which must fetch nothing from elsewhere and report nothing."""
    context, wrong = browser.new_context(), list[str]()
    with serve_directory(site) as (url, server):
        tab = context.new_page()
        tab.set_default_timeout(0)  # however busy the machine is
        tab.set_default_navigation_timeout(0)
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        context.on("request", lambda asked: asked.url.startswith((url, "blob:")) or wrong.append(asked.url))
        tab.goto(url)
        tab.server = server
        yield tab
        context.close()
    assert wrong == []


def test_its_files_are_complete_and_small(site: Path) -> None:
    sums = json.loads((site / "checksums.json").read_text(encoding="utf-8"))
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    assert {*files} == {*sums, "checksums.json"}
    assert all(file_sha256(files[name]) == sums[name] for name in sums)
    assert sum(path.stat().st_size for path in files.values()) < 20_000_000
    assert {path.stat().st_mode & 0o133 for path in files.values()} <= {0o000}
    worker = files["service-worker.js"].read_text(encoding="utf-8")
    [kept] = re.findall(r"^const FILES = (.*);$", worker, re.M)
    assert {*json.loads(kept)} - {"./"} <= {*files}
    assert "model/step.onnx" in kept
    assert json.loads(files["manifest.json"].read_text(encoding="utf-8"))["start_url"] == "./"
    for name in ("index.html", "page.js", "texts.js", "worker.js", "service-worker.js"):
        content = files[name].read_text(encoding="utf-8")
        assert not re.search(r"https?://|innerHTML|document\.write|\beval\(", content)


def test_its_model_is_an_export(site: Path) -> None:
    assert len(done(nmt("translate", site / "model", "-q", stdin=b"Der Hund.\n")).splitlines()) == 1


def test_lines_are_translated_as_on_the_command_line_and_offline(page: Any, site: Path) -> None:
    text = "".join(f"{line}\n" for line in LINES).encode()
    ours = done(nmt("translate", site / "model", "-q", stdin=text)).split("\n")[:-1]
    assert translate_in_page(page, "\n".join(LINES)) == ours
    page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    page.server.shutdown()
    page.context.set_offline(True)
    page.reload()
    assert translate_in_page(page, LINES[0]) == ours[:1]


def test_it_fits_screens_and_readers(page: Any, site: Path) -> None:
    translate_in_page(page, "Der alte Hund.")
    page.check("#alternatives")
    page.wait_for_selector("#translation li")
    candidates = done(nmt("translate", site / "model", "-q", "--n-best", "2", stdin=b"Der alte Hund.\n"))
    shown = page.locator("#translation p, #translation li").all_text_contents()
    assert shown == [line.split(" ||| ")[1] for line in candidates.splitlines()]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for width, scheme, language in ((1100, "light", "en"), (400, "dark", "ko")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        if language == "ko":
            page.click("#language")
            page.click("summary")
        assert page.get_attribute("html", "lang") == language
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        found = axe.run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    assert page.title() == "독일어 → 영어"


@pytest.mark.slow
def test_a_text_that_is_replaced_is_not_shown(page: Any) -> None:
    page.fill("#source", "\n".join(["Der alte Hund sucht einen Baum."] * 200))
    page.wait_for_selector("#translation p")
    assert len(translate_in_page(page, "Die Frau.")) == 1
    page.fill("#source", "")
    page.wait_for_selector("#status[data-state=ready]")
    assert page.locator("#translation p").count() == 0


def test_wrong_options_are_reported_before_any_work(
    finished: Finished, archives: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    for arguments, message in (
        (("--to", "onnx", "--runtime", archives), "--runtime is for --to web"),
        (("--to", "web", "--runtime", finished.text), "has no onnxruntime-web-"),
        (("--to", "web", "--runtime", archives, "-o", tmp_path / "taken"), "already exists"),
    ):
        result = nmt("export", finished.run, "-o", tmp_path / "new", *arguments)
        assert (result.exit_code, message in result.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_vocabulary_that_the_page_cannot_read_is_refused(finished: Finished) -> None:
    from nmt.data.vocabulary import SentencePieceVocabulary, load_vocabulary

    content = load_vocabulary(finished.run / "source.spm").content
    assert find_unsupported(SentencePieceVocabulary(content)) is None
    trainer = write_field(2, bytes([24 << 3 & 0x7F | 0x80, 1, 1]))
    assert find_unsupported(SentencePieceVocabulary(content + trainer)) == "writes spaces at the end of words"
