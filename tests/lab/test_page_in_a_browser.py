"""The page of a sentence in a real browser, operated by its keys."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from nmt.lab.inspect.page import format_sentence_page
from nmt.lab.inspect.sentence import SentenceTrace, trace_sentence
from tests.lab.browser import SCREENS, Screen, settle, shown
from tests.lab.small_models import TEXT, small
from tests.lab.test_page import long


@pytest.fixture(scope="module")
def found() -> SentenceTrace:
    return trace_sentence(*small(encoder={"bidirectional": "all"}, decoder={"cell": "gru"}), TEXT)


def showing(browser: Any, found: SentenceTrace, file: Path, screen: Screen) -> AbstractContextManager[Any]:
    file.write_text(format_sentence_page(found, "a"), encoding="utf-8")
    return shown(browser, file, screen)


@pytest.fixture(params=SCREENS)
def opened(browser: Any, found: SentenceTrace, tmp_path: Path, request: Any) -> Iterator[Any]:
    with showing(browser, found, tmp_path / "sentence.html", request.param) as tab:
        yield tab


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)
    settle(tab)


def test_the_page_shows_the_sentence_and_fits_the_screen(opened: Any, found: SentenceTrace) -> None:
    assert opened.inner_text("h1") == found.text
    assert opened.inner_text("#translation") == found.translation
    assert opened.locator("#recurrences section").count() == len(found.recurrences)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("parts", [{}, {"decoder": {"attention": "none"}}])
def test_a_long_sentence_fits_the_screen_and_none_needs_attention(
    browser: Any, tmp_path: Path, screen: Screen, parts: dict[str, Any]
) -> None:
    found = trace_sentence(*small(**parts), "ab " * 70)
    with showing(browser, found, tmp_path / "long.html", screen) as tab:
        assert tab.locator("#attention").count() == (0 if parts else 1)


def test_a_sentence_of_which_the_page_has_the_beginning_says_so(browser: Any, tmp_path: Path) -> None:
    with showing(browser, long(300, 1500), tmp_path / "longest.html", SCREENS[0]) as tab:
        told, shown = tab.inner_text("#cut"), tab.locator("#target .chip").count()
        assert 300 < shown < 1500
        assert f"the first 300 source tokens and the first {shown} generated" in told
        assert "300 source tokens, 1500 generated tokens" in tab.inner_text("#facts")


def test_attention_and_beam_are_unpacked_as_they_were(opened: Any, found: SentenceTrace) -> None:
    assert found.attention is not None
    assert opened.locator("#cut").count() == 0
    told = opened.evaluate("data")
    assert told["attention"] == found.attention.double().mul(1000).round().div(1000).tolist()
    for branch, packed in zip(found.beam, told["beam"], strict=True):
        assert packed["piece"] == found.spelling[branch.piece]
        assert [packed[name] for name in ("position", "parent", "fate", "best")] == [
            *(branch.position, branch.parent, branch.fate, branch.best)
        ]
        numbers = [packed[name] for name in ("log_prob", "total", "score")]
        assert numbers == pytest.approx([branch.log_prob, branch.total, branch.score], abs=1e-4)


def test_the_values_of_every_heat_map_are_the_tensors(opened: Any, found: SentenceTrace) -> None:
    values = opened.evaluate(
        """views.recurrences.map(view => view.maps.map(map => map.columns.map((_, t) =>
             view.order.map((unit, row) => [view.units[unit], map.value(row, t)]))))"""
    )
    for one, views in zip(found.recurrences, values, strict=True):
        for value, view in zip(one.values.values(), views, strict=True):
            for t, row in enumerate(view):
                for unit, number in row:
                    assert number == pytest.approx(
                        value[t, unit].item(), abs=0.005 * value.abs().max().item() + 1e-6
                    )


def test_the_arrows_move_over_the_attention_and_its_value_is_told(opened: Any, found: SentenceTrace) -> None:
    assert found.attention is not None
    opened.focus("#attention canvas")
    press(opened, "Home", "ArrowDown", "ArrowRight", "ArrowRight")
    assert f"{found.attention[1, 2].item():.3f}" in opened.inner_text("#attention output")
    press(opened, "ArrowUp", "End")
    assert f"{found.attention[0, -1].item():.3f}" in opened.inner_text("#attention output")


def test_a_pixel_of_the_attention_has_the_colour_of_its_value(opened: Any, found: SentenceTrace) -> None:
    right = opened.evaluate(
        """(() => {
          const map = views.attention, { width, height } = map.canvas;
          const pixels = map.canvas.getContext("2d").getImageData(0, 0, width, height).data;
          const pixel = (row, column) => {
            const x = Math.floor((map.left + (column + 0.5) * map.width) * devicePixelRatio);
            const y = Math.floor((row + 0.5) * map.height * devicePixelRatio);
            return pixels.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
          };
          return data.attention.every((row, r) => row.every((value, c) =>
            `rgb(${pixel(r, c)})` === palette(0)[Math.round(value * LEVELS)]));
        })()"""
    )
    assert right is True


def test_tab_reaches_every_figure_and_the_arrows_move_in_it(opened: Any, found: SentenceTrace) -> None:
    reached = set()
    for _ in range(60):
        opened.keyboard.press("Tab")
        reached.add(opened.evaluate("document.activeElement.getAttribute('aria-label')"))
    wanted = {f"{name} of {one.path.title}; arrows move" for one in found.recurrences for name in one.values}
    assert wanted | {"attention; arrows move", "generated tokens"} <= reached
    one = found.recurrences[0]
    opened.focus(f'canvas[aria-label="f of {one.path.title}; arrows move"]')
    opened.select_option(f'section[aria-label="{one.path.title}"] select', "-1")
    press(opened, "Home", "ArrowDown", "ArrowRight")
    told = opened.inner_text(f'section[aria-label="{one.path.title}"] output')
    assert told.startswith(f"unit 1, reading {found.source[1]}:")


def test_the_page_says_what_it_is_and_that_the_beam_scrolls(opened: Any) -> None:
    assert "How the model translated this sentence" in opened.inner_text("header")
    assert "scroll" in opened.inner_text("#beam .note")
    assert opened.evaluate(
        "getComputedStyle(find('beam').querySelector('.scroll')).backgroundAttachment"
    ) == ("local, local, scroll, scroll")


def test_the_beam_is_walked_by_keys(opened: Any, found: SentenceTrace) -> None:
    opened.focus("#beam .scroll")
    press(opened, "Home")
    first = [branch for branch in found.beam if branch.parent == -1]
    way = [branch for branch in found.beam if branch.best]
    told = opened.inner_text("#beam output")
    assert found.spelling[way[0].piece] in told
    press(opened, *["ArrowUp"] * len(first), *["ArrowDown"] * (len(first) - 1))
    assert "pruned" in opened.inner_text("#beam output")
    assert f"{first[-1].total:.2f}".replace("-", "−") in opened.inner_text("#beam output")


def test_another_written_piece_shows_what_was_likeliest_there(opened: Any, found: SentenceTrace) -> None:
    opened.focus("#target")
    press(opened, "ArrowRight")
    likely = opened.locator(".likely span").all_inner_texts()
    assert likely[:3] == [piece for piece, _ in found.words[1].likeliest[:3]]


def test_the_equations_of_a_cell_are_unfolded_by_key(opened: Any, found: SentenceTrace) -> None:
    one = opened.locator("details").first
    assert not one.locator("pre").is_visible()
    one.locator("summary").focus()
    press(opened, "Enter")
    assert one.locator("pre").inner_text() == found.recurrences[0].equations
    assert "f * s.c + i * g" in found.recurrences[0].equations
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
