"""The page of the server in a real browser."""

import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from typing import Any

import pytest

from tests.serve.fake_server import ADDRESS, FOLDERS, GRU, LSTM, FakeServer, opened

LINE = "ein mann spielt gitarre"
PAUSE = 1000  # milliseconds, more than the page waits for the next key
SETTLED = 4000  # until a translation belongs to the history


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def tab(browser: Any, server: FakeServer) -> Iterator[Any]:
    with opened(browser, server) as page:
        yield page


def write(tab: Any, text: str, place: str = "#text") -> None:
    """Type a text, and wait until the page has translated it."""
    tab.fill(place, text)
    tab.clock.fast_forward(PAUSE)


def pause(tab: Any) -> None:
    """Stop the clock of the page, which from then on only the test advances, however slow the machine is."""
    tab.clock.pause_at(tab.evaluate("Date.now()") / 1000 + 3600)


def held(tab: Any, server: FakeServer, count: int) -> None:
    """Wait until so many requests of the page wait for their answer."""
    for _ in range(6000):
        if len(server.held) >= count:
            return
        tab.wait_for_timeout(5)
    raise AssertionError(f"{len(server.held)} requests wait, expected {count}")


def release(server: FakeServer) -> None:
    """Answer the requests that wait for it; the page may have aborted them."""
    while server.held:
        with suppress(Exception):
            server.held.pop(0)()


def lines(tab: Any, place: str = "#lines") -> list[str]:
    return tab.locator(f"{place} p").all_inner_texts()  # type: ignore[no-any-return]


def wait_for(tab: Any, text: str, place: str = "#lines") -> None:
    tab.wait_for_function(
        "([place, text]) => document.querySelector(place)?.innerText.includes(text)", arg=[place, text]
    )


def test_a_text_is_translated_as_one_types_and_not_at_every_key(tab: Any, server: FakeServer) -> None:
    pause(tab)
    tab.locator("#text").press_sequentially("ein mann")
    tab.clock.fast_forward(PAUSE)
    wait_for(tab, "EIN MANN")
    assert server.bodies("v1/translate") == [{"model": "lstm", "text": ["ein mann"]}]


def test_an_old_answer_never_replaces_a_new_one(tab: Any, server: FakeServer) -> None:
    server.holds = True
    for count, text in enumerate(("alt", "neu"), 1):
        write(tab, text)
        held(tab, server, count)
    old = server.held.pop(0)
    release(server)
    wait_for(tab, "NEU")
    server.held.append(old)
    release(server)
    tab.wait_for_timeout(50)
    assert lines(tab) == ["NEU"]


def test_of_several_lines_the_changed_one_is_asked_for(tab: Any, server: FakeServer) -> None:
    write(tab, "eins\n\nzwei drei")
    wait_for(tab, "ZWEI DREI")
    assert [line.strip() for line in lines(tab)] == ["EINS", "", "ZWEI DREI"]
    write(tab, "eins\n\nzwei vier")
    wait_for(tab, "ZWEI VIER")
    assert [body["text"] for body in server.bodies("v1/translate")] == [["eins", "zwei drei"], ["zwei vier"]]


def test_a_word_shows_what_it_looked_at_and_what_else_it_might_have_been(
    tab: Any, server: FakeServer
) -> None:
    write(tab, f"eins\n{LINE}")
    tab.click(".word >> text=MANN")
    tab.wait_for_selector("#word li")
    assert server.bodies("v1/alternatives") == [
        {"model": "lstm", "text": LINE, "before": "EIN ", "word": "MANN"}
    ]
    assert tab.locator("#word li .text").all_inner_texts() == ["MANN", "CHOSEN", "RARE"]
    assert "ein 60%" in tab.inner_text("#word .looked")
    marks = tab.locator("#translate .backdrop mark")
    assert marks.all_text_contents() == ["ein ", "mann ", "spielt ", "gitarre"]
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#word")
    assert marks.count() == 0


def test_an_alternative_begins_the_translation_anew(tab: Any, server: FakeServer) -> None:
    write(tab, f"eins\n{LINE}")
    tab.click(".word >> text=MANN")
    tab.click("#word >> text=CHOSEN")
    wait_for(tab, "EIN CHOSEN spielt gitarre")
    assert server.bodies("v1/translate")[-1] == {"model": "lstm", "text": [LINE], "prefix": "EIN CHOSEN"}
    assert tab.locator(".word.chosen").all_inner_texts() == ["CHOSEN"]
    tab.click("#undo")
    wait_for(tab, "EIN MANN SPIELT GITARRE")
    tab.click(".word >> text=MANN")
    tab.click("#word >> text=CHOSEN")
    write(tab, f"eins\n{LINE} gut")  # another line, of which nothing was chosen
    wait_for(tab, "EIN MANN SPIELT GITARRE GUT")


def test_everything_is_done_by_keys(tab: Any, server: FakeServer) -> None:
    write(tab, f"{LINE}\nzwei hunde")
    wait_for(tab, "ZWEI")
    tab.focus("#clear")
    tab.keyboard.press("Tab")
    for key, word in (("ArrowRight", "MANN"), ("ArrowDown", "ZWEI"), ("End", "HUNDE"), ("ArrowUp", "EIN")):
        tab.keyboard.press(key)
        assert tab.evaluate("document.activeElement.textContent") == word
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.activeElement.closest('#word li')")
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.textContent") == "MANN"
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.activeElement.closest('#word li')")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    wait_for(tab, "EIN CHOSEN spielt")
    assert tab.evaluate("document.activeElement.textContent") == "CHOSEN"
    tab.focus("#tab-translate")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.id") == "tab-compare"
    assert tab.is_visible("#compare")
    tab.keyboard.press("End")
    assert tab.is_visible("#inside") and not tab.is_visible("#compare")


def test_the_figures_follow_the_sentence(tab: Any, server: FakeServer) -> None:
    write(tab, f"\n{LINE}\nzwei")
    tab.click("#tab-inside")
    tab.wait_for_selector("#figures canvas")
    assert server.bodies("v1/inside") == [{"model": "lstm", "text": LINE}]
    assert tab.locator("#recurrences section").count() == len(server.trace["recurrences"])
    assert tab.locator("#beam svg").count() == tab.locator("#attention canvas").count() == 1
    assert tab.inner_text("#result") == server.trace["translation"]
    with tab.expect_response("**/v1/inside"):
        write(tab, "drei", "#sentence")
    assert server.bodies("v1/inside")[-1]["text"] == "drei"
    tab.click("#tab-translate")
    assert tab.input_value("#text") == "\ndrei\nzwei"


def test_playing_moves_through_the_translation(tab: Any, server: FakeServer) -> None:
    write(tab, LINE)
    tab.click("#tab-inside")
    tab.wait_for_selector("#figures canvas")
    pause(tab)
    tab.click("#play")
    tab.clock.run_for(800)
    assert tab.get_attribute("#token-1", "aria-selected") == "true"
    assert tab.inner_text("#play") == "Stop"
    tab.clock.run_for(800 * len(server.trace["words"]))
    assert tab.inner_text("#play") == "Play"


def test_an_export_has_no_inside(tab: Any, server: FakeServer) -> None:
    tab.select_option("#pair", "en de")
    write(tab, "one")
    tab.click("#tab-inside")
    wait_for(tab, "An export has no weights", "#status")
    assert server.bodies("v1/inside") == []


def test_what_is_answered_for_another_view_changes_nothing(tab: Any, server: FakeServer) -> None:
    server.holds = True
    tab.select_option("#pair", "en de")
    write(tab, "one")
    held(tab, server, 1)
    tab.click("#tab-inside")
    wait_for(tab, "An export has no weights", "#status")
    release(server)
    tab.click("#tab-translate")
    held(tab, server, 1)
    assert tab.inner_text("#status") == ""
    release(server)
    wait_for(tab, "ONE")


def test_the_figures_of_a_sentence_that_was_changed_back_stay(tab: Any, server: FakeServer) -> None:
    write(tab, LINE)
    tab.click("#tab-inside")
    tab.wait_for_selector("#figures canvas")
    server.holds = True
    write(tab, "zwei", "#sentence")
    held(tab, server, 1)
    assert tab.locator("#figures.waiting").count() == 1
    write(tab, LINE, "#sentence")
    assert tab.locator("#figures.waiting").count() == 0
    server.trace = {**server.trace, "translation": "late"}
    release(server)
    tab.wait_for_timeout(50)
    assert tab.inner_text("#result") != "late"
    write(tab, "", "#sentence")
    assert (tab.inner_text("#status"), tab.locator("#figures canvas").count()) == ("", 0)


def test_two_models_are_compared_word_by_word(tab: Any, server: FakeServer) -> None:
    write(tab, LINE)
    tab.click("#tab-compare")
    wait_for(tab, "EIN OTHER SPIELT", "#compare")
    tab.wait_for_selector("#compare .lines mark")
    assert tab.locator("#compare .lines mark").all_inner_texts() == ["MANN", "OTHER"]
    tab.select_option("#compare .pane:nth-child(2) select", "lstm")
    tab.wait_for_function("() => !document.querySelector('#compare .lines mark')")
    write(tab, "zwei hunde", "#compare textarea")
    wait_for(tab, "ZWEI HUNDE", "#compare .pane:nth-child(1) .lines")


def test_one_model_cannot_be_compared(browser: Any, server: FakeServer) -> None:
    server.models = [LSTM]
    with opened(browser, server, "#compare") as tab:
        wait_for(tab, "Serve a second model", "#compared")


def test_the_languages_and_the_model_are_chosen_and_swapped(tab: Any, server: FakeServer) -> None:
    assert tab.locator("#pair option").all_inner_texts() == ["German → English", "English → German"]
    tab.select_option("#model", "gru")
    write(tab, LINE)
    wait_for(tab, "EIN OTHER SPIELT GITARRE")
    with tab.expect_response("**/v1/translate"):  # the translation is the text that was shown before
        tab.click("#swap")
    assert server.bodies("v1/translate")[-1] == {"model": "small", "text": ["EIN OTHER SPIELT GITARRE"]}
    tab.reload()
    tab.wait_for_function("() => document.querySelector('#model').value")
    assert tab.input_value("#model") == "small"


def test_terms_of_the_glossary_are_sent(tab: Any, server: FakeServer) -> None:
    write(tab, LINE)
    tab.click("#glossary summary")
    tab.click("#add-term")
    tab.keyboard.type("mann")
    tab.keyboard.press("Tab")
    tab.keyboard.type("gentleman")
    tab.clock.fast_forward(PAUSE)
    wait_for(tab, "EIN gentleman")
    assert server.bodies("v1/translate")[-1]["glossary"] == {"mann": "gentleman"}
    tab.keyboard.press("Tab")
    with tab.expect_response("**/v1/translate"):
        tab.keyboard.press("Space")
        tab.clock.fast_forward(PAUSE)
    assert server.bodies("v1/translate")[-1]["glossary"] == {"mann": ["gentleman", "suggested"]}
    tab.reload()
    assert tab.input_value("#terms input") == "mann"
    tab.click("#glossary summary")
    assert tab.is_checked("label >> text=Suggested")
    tab.uncheck("label >> text=Suggested")
    write(tab, LINE)
    wait_for(tab, "EIN gentleman")
    assert server.bodies("v1/translate")[-1]["glossary"] == {"mann": "gentleman"}
    tab.click(".term button")
    write(tab, LINE)
    wait_for(tab, "EIN MANN")


def test_the_history_stays_in_the_browser_and_can_be_deleted(tab: Any, server: FakeServer) -> None:
    pause(tab)
    for text in ("ein", "ein mann"):  # neither settles
        tab.fill("#text", text)
    write(tab, LINE)
    wait_for(tab, LINE.upper())
    tab.clock.fast_forward(SETTLED)
    write(tab, "zwei")
    wait_for(tab, "ZWEI")
    tab.clock.fast_forward(SETTLED)
    tab.clock.resume()
    tab.reload()
    tab.click("#history summary")
    assert tab.locator("#entries span:first-child").all_inner_texts() == ["zwei", LINE]
    tab.click(f"#entries >> text={LINE}")
    wait_for(tab, "EIN MANN")
    tab.click("#forget")
    assert tab.locator("#entries li").count() == 0
    assert tab.evaluate("localStorage.getItem('nmt.history')") is None
    tab.uncheck("#keep")
    write(tab, "drei")
    wait_for(tab, "DREI")
    tab.clock.fast_forward(SETTLED)
    assert tab.evaluate("localStorage.getItem('nmt.history')") is None


def test_what_others_stored_and_wrote_into_the_address_does_no_harm(tab: Any, server: FakeServer) -> None:
    for name, value in (("glossary", '{"a": 1}'), ("history", '"x"'), ("model", "[1]"), ("language", '"xx"')):
        tab.evaluate("([name, value]) => localStorage.setItem(`nmt.${name}`, value)", [name, value])
    tab.evaluate("() => { location.hash = 'constructor'; }")
    tab.reload()
    write(tab, LINE)
    wait_for(tab, "EIN MANN")


def test_the_page_is_korean_for_those_who_read_it(browser: Any, server: FakeServer) -> None:
    with opened(browser, server, locale="ko-KR") as tab:
        assert tab.inner_text("#tab-translate") == "번역"
        assert tab.locator("#pair option").all_inner_texts() == ["독일어 → 영어", "영어 → 독일어"]
        write(tab, LINE)
        tab.click("#tab-inside")
        tab.wait_for_selector("#figures canvas")
        assert "빔 탐색" in tab.inner_text("#figures")
        tab.select_option("#language", "en")
        assert "Beam search" in tab.inner_text("#figures")
        assert tab.get_attribute("html", "lang") == "en"


def texts_of_the_page() -> set[str]:
    """The texts that the page and the figures are written with."""
    found = set()
    for folder in FOLDERS.values():
        for file in folder.iterdir():
            text = file.read_text(encoding="utf-8") if file.name.endswith((".js", ".html")) else ""
            text = re.sub(r'"\s*\+ "', "", text)  # texts in two pieces
            found |= {*re.findall(r'(?:say|phrase)\("([^"]+)"', text)}
            found |= {*re.findall(r'(?:\? |: )"((?:unit|One) [^"]+)"', text)}
            found |= {*re.findall(r'data-say-\w+="([^"]+)"', text)}
            found |= {*re.findall(r"data-say>([^<]+)<", text)}
    return found


def test_every_text_is_translated_into_korean_with_the_same_values() -> None:
    table = (FOLDERS["page"] / "korean.js").read_text(encoding="utf-8")
    korean = dict(re.findall(r'^  "([^"]+)":\s*"([^"]+)",$', table, re.MULTILINE))
    assert {*korean} == texts_of_the_page()
    for english, text in korean.items():
        assert {*re.findall(r"\{\w+\}", english)} == {*re.findall(r"\{\w+\}", text)}, english


def test_a_server_without_models_says_so(browser: Any, server: FakeServer) -> None:
    server.models = []
    with opened(browser, server) as tab:
        wait_for(tab, "No model is loaded", "#status")


def test_a_server_that_was_gone_is_found_again(tab: Any, server: FakeServer) -> None:
    server.is_gone = True
    write(tab, LINE)
    wait_for(tab, "does not answer", "#status")
    server.is_gone = False
    tab.clock.fast_forward(3000)
    wait_for(tab, "EIN MANN")
    assert tab.inner_text("#status") == ""


def test_a_busy_server_is_asked_again_after_the_time_that_it_gives(tab: Any, server: FakeServer) -> None:
    server.problem = (429, {"Retry-After": "7"}, "the queue is full")
    pause(tab)
    write(tab, LINE)
    wait_for(tab, "trying again in 7 s", "#status")
    server.problem = None
    tab.clock.run_for(6000)
    assert len(server.bodies("v1/translate")) == 1
    tab.clock.run_for(1500)
    wait_for(tab, "EIN MANN")


def test_a_text_that_is_too_long_is_not_sent(tab: Any, server: FakeServer) -> None:
    write(tab, "a" * 201)
    wait_for(tab, "too long: 201 of 200", "#status")
    assert server.bodies("v1/translate") == []
    write(tab, "𝄞" * 200)  # characters, not their halves
    wait_for(tab, "𝄞")


def test_what_the_server_refuses_is_reported_in_its_words(tab: Any, server: FakeServer) -> None:
    server.problem = (400, {}, "<b>no</b> such thing")
    write(tab, LINE)
    wait_for(tab, "<b>no</b> such thing", "#status")


def test_a_key_is_asked_for_and_sent(tab: Any, server: FakeServer) -> None:
    server.problem = (401, {}, "an API key is needed")
    write(tab, LINE)
    tab.fill("#key-value", "secret")
    server.problem = None
    with tab.expect_request("**/v1/translate") as request:
        tab.keyboard.press("Enter")
    assert request.value.headers["authorization"] == "Bearer secret"
    wait_for(tab, "EIN MANN")
    assert not tab.is_visible("#key")


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=alert(1)>", "</textarea><script>alert(1)</script>", "שלום עולם"]
)
def test_texts_are_shown_and_never_taken_for_markup(tab: Any, server: FakeServer, text: str) -> None:
    write(tab, text)
    wait_for(tab, text.upper())
    tab.locator(".word").last.click()
    tab.wait_for_selector("#word li")
    assert tab.locator("img, #lines script, #word script").count() == 0
    assert {*tab.locator("#lines p").evaluate_all("all => all.map(one => one.dir)")} == {"auto"}
    assert tab.evaluate("getComputedStyle(document.querySelector('#lines p')).direction") == (
        "rtl" if text > "֐" else "ltr"
    )


HOSTILE = """<img src=x onerror="hacked=1"><script>hacked=1</script>'">&lt;${hacked=1}"""
CLEAN = """() => typeof hacked === "undefined"
    && !document.querySelector("img, iframe, object, body script, a, [onerror], [onload]")"""


class HostileServer(FakeServer):
    """A server all of whose texts are markup."""

    def __init__(self) -> None:
        super().__init__()
        name = {"source": "<b>de", "target": "<b>en"}
        self.models = [{**LSTM, **name, "name": HOSTILE}, {**GRU, **name, "name": f"{HOSTILE} 2"}]
        words = [{**word, "piece": HOSTILE, "likeliest": [(HOSTILE, -1.0)]} for word in self.trace["words"]]
        source = [HOSTILE] * len(self.trace["source"])
        beam = {**self.trace["beam"], "pieces": [HOSTILE] * len(self.trace["beam"]["pieces"])}
        self.trace = {**self.trace, "translation": HOSTILE, "source": source, "words": words, "beam": beam}

    def translate(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"translations": [{"text": HOSTILE, "notes": [HOSTILE]} for _ in body["text"]]}

    def alternatives(self, body: dict[str, Any]) -> dict[str, Any]:
        chosen = [{"word": body["word"], "probability": 0.5}, {"word": HOSTILE, "probability": 0.3}]
        return {"source": [(HOSTILE, 1.0)], "alternatives": chosen}


def test_no_text_of_the_server_is_markup_anywhere(browser: Any) -> None:
    with opened(browser, HostileServer()) as tab:
        for place in ("#pair", "#model"):
            assert "<" in tab.locator(f"{place} option").first.inner_text()
        write(tab, LINE)
        wait_for(tab, HOSTILE)
        wait_for(tab, HOSTILE, "#facts")
        tab.locator(".word").last.click()
        wait_for(tab, HOSTILE, "#word ul")
        wait_for(tab, HOSTILE, "#word .looked")
        assert tab.evaluate(CLEAN)
        tab.clock.fast_forward(SETTLED)  # it is in the history, and was spoken
        tab.click("#history summary")
        wait_for(tab, HOSTILE, "#entries .to")
        assert tab.evaluate(CLEAN)
        tab.click("#tab-compare")
        tab.wait_for_function(
            "text => [...document.querySelectorAll('#compare .lines')].every(one => one.innerText === text)",
            arg=HOSTILE,
        )
        assert tab.evaluate(CLEAN)
        tab.click("#tab-inside")
        tab.wait_for_selector("#figures canvas")
        wait_for(tab, HOSTILE, "#result")
        wait_for(tab, HOSTILE, "#figures")
        assert tab.evaluate(CLEAN)


def test_no_text_of_the_user_or_of_an_error_is_markup_anywhere(tab: Any, server: FakeServer) -> None:
    stored = {
        "history": [{"model": HOSTILE, "text": HOSTILE, "translation": HOSTILE}],
        "glossary": [[HOSTILE, HOSTILE]],
        **{"compared": [HOSTILE, HOSTILE], "model": HOSTILE, "language": HOSTILE, "key": HOSTILE},
    }
    for name, value in stored.items():
        tab.evaluate(
            "([name, value]) => localStorage.setItem(`nmt.${name}`, JSON.stringify(value))", [name, value]
        )
    tab.goto(f"{ADDRESS}?{HOSTILE}#{HOSTILE}", timeout=0)
    for place in ("#glossary", "#history"):
        tab.click(f"{place} summary")
    assert tab.input_value("#terms input >> nth=0") == HOSTILE
    tab.click("#entries button")
    wait_for(tab, HOSTILE.split(" ")[0].upper())
    assert tab.evaluate(CLEAN)
    server.problem = (400, {"Retry-After": HOSTILE}, HOSTILE)
    tab.locator(".word").first.click()
    wait_for(tab, HOSTILE, "#word")
    for view, place in (("translate", "#text"), ("compare", "#compare textarea"), ("inside", "#sentence")):
        tab.click(f"#tab-{view}")
        write(tab, f"{HOSTILE} {view}", place)
        wait_for(tab, HOSTILE, "#status")
        assert tab.evaluate(CLEAN)
    server.problem = (413, {}, HOSTILE)
    write(tab, HOSTILE, "#sentence")
    wait_for(tab, f"The text is too long: {HOSTILE}", "#status")
    assert tab.evaluate(CLEAN)


@pytest.mark.parametrize(
    ("view", "width", "scheme"),
    [
        ("translate", 1100, "light"),
        *(
            pytest.param(view, width, scheme, marks=pytest.mark.slow)
            for view in ("translate", "compare", "inside")
            for width, scheme in ((1100, "light"), (1100, "dark"), (390, "light"), (390, "dark"))
            if (view, width, scheme) != ("translate", 1100, "light")
        ),
    ],
)
def test_nothing_is_in_the_way_of_a_screen_reader(
    browser: Any, server: FakeServer, view: str, width: int, scheme: str
) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    size = {"width": width, "height": 800}
    with opened(
        browser, server, f"#{view}", viewport=size, color_scheme=scheme, reduced_motion="reduce"
    ) as tab:
        write(tab, LINE, {"translate": "#text", "compare": "#compare textarea", "inside": "#sentence"}[view])
        if view == "translate":
            tab.click(".word >> text=MANN")
            tab.wait_for_selector("#word li")
            tab.click("#glossary summary")
            tab.click("#history summary")
            tab.click("#add-term")
        tab.wait_for_selector({"translate": "#word li", "compare": "mark", "inside": "#figures canvas"}[view])
        tab.evaluate(axe)
        found = tab.evaluate("axe.run().then(result => result.violations)")
        assert [
            (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found
        ] == []
