"""The page of a sentence: whole, small, and with the numbers that were given to it."""

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import pytest
import torch

from nmt.insight.page import LEVELS, UNITS, page
from nmt.insight.sentence import Recurrence, Sentence, Word, sentence
from tests.insight.telescope import TEXT, small


def data(text: str) -> dict[str, Any]:
    """What the page is told, as a browser would read it."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    told: dict[str, Any] = json.loads(found[1])
    return told


def test_the_values_on_the_page_are_the_tensors_but_for_half_a_level() -> None:
    found = sentence(*small(encoder={"bidirectional": "all"}), TEXT)
    for one, packed in zip(found.recurrences, data(page(found, "a"))["recurrences"], strict=True):
        assert [series["name"] for series in packed["series"]] == [*one.values]
        for series, value in zip(packed["series"], one.values.values(), strict=True):
            levels = torch.tensor(list(b64decode(series["data"]))).view(-1, len(value)).t()
            level = (series["high"] - series["low"]) / LEVELS
            shown = series["low"] + levels * level
            assert (shown - value[:, packed["units"]]).abs().max() <= level / 2 + 1e-6


def large(text: str) -> Sentence:
    """Four layers of 1,024 units on each side, over 120 pieces."""
    torch.manual_seed(1)
    values = {name: torch.rand(120, 1024) for name in ("i", "f", "g", "o", "c", "h")}
    sides = [(side, layer) for side in ("encoder", "decoder") for layer in range(1, 5)]
    recurrences = [Recurrence(side, layer, "forward", "lstm", (), (), "", values) for side, layer in sides]
    words = [Word("piece", -1.0, [("piece", -1.0)] * 8)] * 120
    return Sentence(text, text, ["piece"] * 120, words, -1.0, torch.rand(120, 120), recurrences, [], {})


def test_a_page_stays_under_a_megabyte_and_says_what_it_leaves_out() -> None:
    text = page(large("a"), "a")
    assert len(text.encode()) < 1_000_000
    for packed in data(text)["recurrences"]:
        assert 10 < len(packed["units"]) < UNITS
        assert packed["hidden"] == 1024


def test_the_units_left_out_are_those_that_vary_least() -> None:
    found = large("a")
    still = [unit for unit in range(1024) if unit % 3]
    for name in found.recurrences[0].values:
        found.recurrences[0].values[name][:, still] = 0.5
    assert not {*data(page(found, "a"))["recurrences"][0]["units"]} & {*still}


@pytest.mark.parametrize("text", ["</script><b>", "<!--", "/* js */ /* css */", "/* data */", "a\u2028b\\"])
def test_no_sentence_breaks_out_of_the_data(text: str) -> None:
    whole = page(large(text), text)
    assert data(whole)["text"] == text

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            assert tag != "b"

    Tags().feed(whole)
    assert whole.count("</script>") == 2


def test_a_page_names_nothing_to_be_fetched() -> None:
    addresses = re.findall(r"\w+://[^\s\"']+", page(large("a"), "a"))
    assert addresses == ["http://www.w3.org/2000/svg"]  # the name of a language, which nobody fetches
    assert "default-src 'none'" in page(large("a"), "a")
