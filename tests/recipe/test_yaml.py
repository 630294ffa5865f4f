from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.recipe import yaml as yaml12
from nmt.recipe.yaml import Problem, YamlSource

SOURCE = YamlSource("a.yaml", Path("/somewhere"))


def read(text: str) -> object:
    problems: list[Problem] = []
    node = yaml12.read(text, SOURCE, problems)
    assert not problems
    assert node is not None
    return node.plain()


def problems(text: str) -> list[str]:
    found: list[Problem] = []
    yaml12.read(text, SOURCE, found)
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("True", True),
        ("1e-3", 1e-3),
        ("5E4", 5e4),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2001-01-01", "2001-01-01"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    got = read(f"a: {text}")
    assert got == {"a": value}
    assert type(got["a"]) is type(value)


def test_anchors_are_followed() -> None:
    assert read("a: &x {b: [1, 2]}\nc: *x") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


def test_every_value_and_key_knows_its_place() -> None:
    node = yaml12.read("a:\n  b: [1,\n   2]", SOURCE, [])
    assert node is not None
    inner = node.find("a", "b")
    assert inner is not None
    assert (str(inner.start), str(inner.position)) == ("a.yaml:2:3", "a.yaml:2:6")
    assert str(inner.value[1].start) == "a.yaml:3:4"
    assert node.find("a", "b", "c") is None
    assert node.find("z") is None


def test_an_empty_document_is_an_empty_mapping() -> None:
    assert read("# nothing\n") == {}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1: a: given twice, first on line 1"),
        ("a:\n  b: 1\n  b: 2", "a.yaml:3:3: a.b: given twice, first on line 2"),
        ("a: &x\n  b: *x", "a.yaml:1:4: a.b: this alias contains itself"),
        ("a: &x {b: 1}\nc: {<<: *x}", "merge keys are not part of YAML 1.2"),
        ("[a]: 1", "a.yaml:1:1: the name of a setting is one word"),
        ("a: !!python/object:os.system x", "a.yaml:1:4: a: the tag !!python/object:os.system is not used"),
        ("a: !mine 1", "the tag !mine is not used"),
        ("a: !!int x", "a.yaml:1:4: a: 'x' is not a valid int"),
        ("a: [1", "a.yaml:1:6: not YAML: while parsing a flow sequence"),
        ("a: *b", "a.yaml:1:4: not YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "a.yaml:2:1: not YAML: expected a single document"),
        ("a: \0", "not YAML: the character U+0000 is not allowed"),
        ("a:\n\tb: 1", "a.yaml:2:1: not YAML"),
    ],
)
def test_what_is_not_a_tree_of_settings_is_refused_with_its_place(text: str, what: str) -> None:
    assert len(problems(text)) == 1
    assert what in problems(text)[0]


@example("\x85")
@example("a\u2028b\r\n\tc ")
@example("no")
@example("1e-3")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_written_so_that_it_reads_back(text: str) -> None:
    assert read(yaml12.write({"a": text, "b": [text]})) == {"a": text, "b": [text]}


@given(st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none())
def test_any_number_is_written_so_that_it_reads_back(value: object) -> None:
    assert read(yaml12.write({"a": value})) == {"a": value}
