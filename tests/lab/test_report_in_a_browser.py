"""The report of a study in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from nmt.lab.study.report import StudySummary, write_report
from tests.lab.browser import SCREENS, Screen, shown
from tests.lab.test_study_report import trial


@pytest.mark.parametrize("screen", SCREENS)
def test_a_report_opens_with_its_pictures_and_wide_tables_are_scrolled_by_key(
    browser: Any, tmp_path: Path, screen: Screen
) -> None:
    about = StudySummary(
        "<script>console.log(1)</script> & 연구",
        *("cell", "lstm", ["pairs"], "bleu", 5, f"nmt study run {'a' * 300}", "vary: {}\n"),
        {"rnn,200,seed1": "killed"},
    )
    trials = [trial(system, pairs, bleu=7.0) for pairs in ("100", "2000") for system in ("lstm", "gru")]
    with shown(browser, write_report(tmp_path, about, trials), screen) as tab:
        assert tab.inner_text("h1") == about.title
        assert tab.evaluate(
            "[...document.images].map(one => one.complete && one.naturalWidth > 300)"
        ) == 3 * [True]
        assert tab.evaluate(
            "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))"
        )
        scores = tab.locator(".wide").first
        scores.focus()
        tab.keyboard.press("ArrowRight")
        if scores.evaluate("table => table.scrollWidth > table.clientWidth"):
            # A function: the page's policy forbids to evaluate a text again.
            tab.wait_for_function("() => document.activeElement.scrollLeft > 0")
