"""JSON objects in and out, a line each, whatever they hold."""

import json
from typing import Any

import pytest

from nmt.decoding import io as json_lines
from nmt.decoding.job import LineConstraints, LineReader
from nmt.decoding.translation import BLANK, Candidate, Translation

DOG = Candidate("a dog", -1.5, -3.0, ["▁a", "▁dog", "</s>"], [-1.0, -1.5, -0.5])


def answered(text: str, **options: bool) -> dict[str, Any]:
    """What a line is answered with, if it is translated as a dog."""
    line = json_lines.read_json_line(3, text, None, "text")
    candidates = [BLANK] if line.error else [DOG, DOG]
    written = json_lines.write_json_line(Translation(line, candidates, [], ["▁Hund"], [(0, 1)]), **options)
    assert len(written.splitlines()) == 1
    written.encode()
    found: dict[str, Any] = json.loads(written)
    return found


def test_unknown_fields_are_passed_through() -> None:
    fields = {"id": 7, "nested": {"a": [1, None, "\u2028\x85"]}, "text": "Hund", "half": "\ud800"}
    assert answered(json.dumps(fields)) == {**fields, "translation": "a dog", "score": -1.5}


def test_what_is_asked_for_is_there() -> None:
    tokens = [["▁a", -1.0], ["▁dog", -1.5], ["</s>", -0.5]]
    best = {"translation": "a dog", "score": -1.5, "log_prob": -3.0, "tokens": tokens}
    found = answered('{"text": "Hund"}', details=True, n_best=True)
    assert found == {"text": "Hund", **best, "alignment": [[0, 1]], "parts": [], "n_best": [best, best]}


def test_constraints_are_read() -> None:
    text = '{"text": "x", "prefix": "A", "must": ["b c", "d"], "must_not": ["e"], "seed": 5}'
    assert json_lines.read_json_line(1, text, None, "text").constraints == LineConstraints(
        "A", ("b c", "d"), ("e",), 5
    )


def test_half_a_character_is_replaced_in_the_text() -> None:
    assert json_lines.read_json_line(1, r'{"text": "a\ud83d"}', None, "text").text == "a\ufffd"
    assert json_lines.read_json_line(1, r'{"text": "\ud83e\udd8a"}', None, "text").text == "🦊"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "invalid JSON"),
        ("{", "invalid JSON"),
        ("\0", "invalid JSON"),
        ("[" * 100_000, "invalid JSON"),
        ('{"text": "a", "n": NaN}', "NaN is not a JSON number"),
        ('{"text": "a", "n": 1e999}', "1e999 is not a JSON number"),
        ('{"text": "a", "n": ' + "9" * 5000 + "}", "invalid JSON"),
        ("7", "not a JSON object"),
        ('{"txt": "a"}', "no field 'text'"),
        ('{"text": 7}', "'text' must be a string"),
        ('{"text": "a", "prefix": 7}', "'prefix' must be a string"),
        ('{"text": "a", "must": "b"}', "'must' must be a list of strings"),
        ('{"text": "a", "must_not": [7]}', "'must_not' must be a list of strings"),
        ('{"text": "a", "seed": -1}', "'seed' must be a whole number"),
        ('{"text": "a", "seed": true}', "'seed' must be a whole number"),
    ],
)
def test_a_bad_line_is_answered_with_its_number_and_what_is_wrong(text: str, said: str) -> None:
    found = answered(text)
    assert found["error"].startswith("line 3: ")
    assert said in found["error"]
    assert "translation" not in found


def test_what_came_with_a_bad_line_stays() -> None:
    assert answered('{"id": 7}')["id"] == 7


def test_the_digest_of_lines_with_errors_is_that_of_version_0_1() -> None:
    texts = [
        '{"text": "Hund", "must": ["a"], "seed": 5}',
        "",
        "{",
        "[" * 100_000,
        '{"text": "a", "n": NaN}',
        '{"text": "a", "n": 1e999}',
        "7",
        '{"txt": "a"}',
        '{"text": 7}',
        '{"text": "a", "prefix": 7}',
        '{"text": "a", "must": "b"}',
        '{"text": "a", "seed": -1}',
    ]
    lines = (json_lines.read_json_line(number, text, None, "text") for number, text in enumerate(texts, 1))
    [window] = LineReader(lines).windows(len(texts))
    assert window.digest == "fe47d076b6e55bc801958c68997f5f66e7888bf8a623382468abd1f461138ac9"
