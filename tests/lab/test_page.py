"""The page of a sentence: complete, small, and with the numbers of its trace."""

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import pytest
import torch

from nmt.lab.inspect.beam import BeamBranch
from nmt.lab.inspect.page import LEVELS, TEXT_CHARACTERS, UNITS, format_sentence_page
from nmt.lab.inspect.sentence import OutputToken, SentenceTrace, trace_sentence
from nmt.recurrence.recording import CellPath, CellRecord
from tests.lab.small_models import TEXT, small


def data(text: str) -> dict[str, Any]:
    """What the page is told, as a browser would read it."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    told: dict[str, Any] = json.loads(found[1])
    return told


def test_the_values_on_the_page_are_the_tensors_but_for_half_a_level() -> None:
    found = trace_sentence(*small(encoder={"bidirectional": "all"}), TEXT)
    for one, packed in zip(
        found.recurrences, data(format_sentence_page(found, "a"))["recurrences"], strict=True
    ):
        assert [series["name"] for series in packed["series"]] == [*one.values]
        for series, value in zip(packed["series"], one.values.values(), strict=True):
            levels = torch.tensor(list(b64decode(series["data"]))).view(-1, len(value)).t()
            level = (series["high"] - series["low"]) / LEVELS
            shown = series["low"] + levels * level
            assert (shown - value[:, packed["units"]]).abs().max() <= level / 2 + 1e-6


def large(text: str) -> SentenceTrace:
    """Four layers of 1,024 units on each side, over 120 pieces."""
    torch.manual_seed(1)
    values = {name: torch.rand(120, 1024) for name in ("i", "f", "g", "o", "c", "h")}
    sides = [(side, layer) for side in ("encoder", "decoder") for layer in range(1, 5)]
    recurrences = [
        CellRecord(CellPath(side, layer, "forward", "lstm"), (), (), "", values, {}) for side, layer in sides
    ]
    words = [OutputToken("piece", -1.0, [("piece", -1.0)] * 8)] * 120
    return SentenceTrace(text, text, ["piece"] * 120, words, -1.0, torch.rand(120, 120), recurrences, [], {})


def test_a_page_stays_under_a_megabyte_and_says_what_it_leaves_out() -> None:
    text = format_sentence_page(large("a"), "a")
    assert len(text.encode()) < 1_000_000
    for packed in data(text)["recurrences"]:
        assert 10 < len(packed["units"]) < UNITS
        assert packed["hidden"] == 1024


def long(read: int, written: int) -> SentenceTrace:
    """A sentence with a wide beam, and pieces of another script."""
    torch.manual_seed(1)
    sizes = {"encoder": read, "decoder": written}
    recurrences = [
        CellRecord(
            CellPath(side, layer, "forward", "lstm"),
            (),
            (),
            "",
            dict.fromkeys("ifgoch", torch.rand(size, 512)),
            {},
        )
        for side, size in sizes.items()
        for layer in (1, 2)
    ]
    words = [OutputToken("▁오늘은", -1.23456789, [("▁오늘은", -1.23456789)] * 8)] * written
    beam = [
        BeamBranch(t, 10 * (t - 1) if t else -1, 7, -1.23456789, -123.456789, "kept" if i < 5 else "pruned")
        for t in range(written)
        for i in range(10)
    ]
    attention = torch.rand(written, read)
    return SentenceTrace(
        "a", "b", ["▁오늘은"] * read, words, -1.0, attention, recurrences, beam, {7: "▁오늘은"}
    )


def test_the_longest_sentence_that_is_not_cut_into_parts_is_on_the_page_as_a_whole() -> None:
    text = format_sentence_page(long(201, 412), "a")
    assert len(text.encode()) < 1_000_000
    told = data(text)
    assert (len(told["source"]), len(told["words"]), len(told["beam"]["branches"])) == (201, 412, 4120)


def test_of_a_sentence_that_is_longer_still_the_page_has_the_beginning_and_its_sums_are_the_whole() -> None:
    found = long(201, 1000)
    text = format_sentence_page(found, "a")
    assert 900_000 < len(text.encode()) < 1_000_000
    told = data(text)
    assert (told["read"], told["written"], told["log_prob"]) == (201, 1000, found.log_prob)
    assert 201 < len(told["words"]) < 1000
    assert len(told["beam"]["branches"]) == 10 * len(told["words"])


def test_a_text_of_a_few_pieces_may_be_long() -> None:
    text = format_sentence_page(large("<" * 200_000), "a")
    assert len(text.encode()) < 1_000_000
    assert data(text)["text"] == "<" * (TEXT_CHARACTERS - 1) + "…"


def test_the_units_left_out_are_those_that_vary_least() -> None:
    found = large("a")
    still = [unit for unit in range(1024) if unit % 3]
    for name in found.recurrences[0].values:
        found.recurrences[0].values[name][:, still] = 0.5
    assert not {*data(format_sentence_page(found, "a"))["recurrences"][0]["units"]} & {*still}


@pytest.mark.parametrize("text", ["</script><b>", "<!--", "/* js */ /* css */", "/* data */", "a\u2028b\\"])
def test_no_sentence_breaks_out_of_the_data(text: str) -> None:
    whole = format_sentence_page(large(text), text)
    assert data(whole)["text"] == text

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            assert tag != "b"

    Tags().feed(whole)
    assert whole.count("</script>") == 2


def test_a_page_names_nothing_to_be_fetched() -> None:
    addresses = re.findall(r"\w+://[^\s\"']+", format_sentence_page(large("a"), "a"))
    assert addresses == ["http://www.w3.org/2000/svg"]  # the name of a language, which nobody fetches
    assert "default-src 'none'" in format_sentence_page(large("a"), "a")
