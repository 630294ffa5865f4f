"""Checks of translations for common failures, on synthetic outputs."""

import pytest

from nmt.lab.doctor.finding import Finding
from nmt.lab.doctor.output_checks import ValidationOutput, check_outputs

SOURCES = [f"der {a} Hund sucht eine {b} Katze" for a in ("alte", "rote", "gute") for b in ("kluge", "faule")]
REFS = [f"the {a} dog seeks a {b} cat" for a in ("old", "red", "good") for b in ("clever", "lazy")]


def outputs(hyps: list[str]) -> list[ValidationOutput]:
    """What a model wrote for six sources."""
    return [ValidationOutput(*each) for each in zip(range(1, 7), SOURCES, REFS, hyps, strict=True)]


def found(hyps: list[str]) -> list[Finding]:
    return check_outputs(outputs(hyps))


def test_a_healthy_model_shows_none() -> None:
    assert found(REFS) == []
    assert found([ref.replace("clever", "wise") for ref in REFS]) == []


@pytest.mark.parametrize(
    ("hyps", "what"),
    [
        (["<unk> <unk> dog <unk>"] * 6, "100% of the translations are mostly unknown words"),
        ([" ⁇  ⁇  ⁇  the"] * 6, "100% of the translations are mostly unknown words"),
        ([f"{word} the the the the the" for word in "abcdef"], "repeat a word"),
        ([f"{word} of the dog of the dog of the dog" for word in "abcdef"], "repeat a word or a few words"),
        ([""] * 6, "100% of the translations are empty"),
        (SOURCES, "100% of the translations copy the source"),
        ([source.upper() for source in SOURCES], "copy the source"),
        (["a man walks along the street"] * 6, "100% of the translations are the same line"),
    ],
)
def test_each_failure_is_named_with_an_example_and_what_to_try(hyps: list[str], what: str) -> None:
    (finding,) = found(hyps)
    assert what in finding.what
    assert finding.level == "error"
    assert finding.example
    assert finding.advice


def test_what_fails_now_and_then_is_a_warning_with_its_line() -> None:
    (finding,) = found([*REFS[:2], "", *REFS[3:]])
    assert finding.level == "warning"
    assert finding.what == "17% of the translations are empty"
    assert finding.where == "for example line 3 of the validation pairs"
    assert SOURCES[2] in finding.example


@pytest.mark.parametrize("hyp", ["dog", "an old dog that seeks a lazy cat and a man who knows a bird"])
def test_translations_that_are_far_too_short_or_long_are_a_warning(hyp: str) -> None:
    (finding,) = found([f"{hyp} {word}" for word in ("one", "two", "three", "four", "five", "six")])
    assert finding.level == "warning"
    assert "of the length of the references" in finding.what
    assert "search.length_penalty" in finding.advice


def test_blank_sources_and_repeated_or_copied_references_are_no_failure() -> None:
    same = [
        ValidationOutput(line, "ja ja ja ja ja", "yes yes yes yes yes", "yes yes yes yes yes")
        for line in (1, 2)
    ]
    assert check_outputs(same) == []
    assert (
        check_outputs(
            [ValidationOutput(1, "", "", ""), ValidationOutput(2, "Tokio 2020", "Tokio 2020", "Tokio 2020")]
        )
        == []
    )
    assert check_outputs([]) == []
