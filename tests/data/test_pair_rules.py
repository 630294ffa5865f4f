"""Filtering: every pair is kept or counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.pair_rules import FilterReport, LengthFilter, LengthSettings

KEEP = LengthFilter(LengthSettings(min_length=2, max_length=10, max_ratio=2.0))


@pytest.mark.parametrize(
    ("src", "tgt", "reason"),
    [
        (2, 2, None),
        (10, 5, None),
        (0, 5, "blank side"),
        (5, 0, "blank side"),
        (1, 2, "shorter than 2 tokens"),
        (11, 11, "longer than 10 tokens"),
        (9, 4, "one side more than 2 times the other"),
        (4, 9, "one side more than 2 times the other"),
    ],
)
def test_a_pair_is_dropped_for_one_reason_or_kept(src: int, tgt: int, reason: str | None) -> None:
    assert KEEP.drop_reason(src, tgt) == reason


def test_without_a_ratio_sides_may_differ() -> None:
    assert LengthFilter(LengthSettings(min_length=2, max_length=10)).drop_reason(2, 10) is None


def test_the_report_counts_by_reason_and_names_the_first_line() -> None:
    report = FilterReport()
    assert [report.count(KEEP.drop_reason(n, n)) for n in (5, 0, 0, 11, 3)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert str(report).splitlines() == [
        "kept 2 of 5 pairs; dropped:",
        "  2 blank side (first: line 2)",
        "  1 longer than 10 tokens (first: line 4)",
    ]


def test_a_report_without_drops_is_one_line() -> None:
    assert str(FilterReport(seen=29_000)) == "kept 29,000 of 29,000 pairs"


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15))))
def test_kept_and_dropped_add_up(lengths: list[tuple[int, int]]) -> None:
    report = FilterReport()
    kept = sum(report.count(KEEP.drop_reason(*pair)) for pair in lengths)
    assert report.kept == kept
    assert report.kept + sum(entry.pairs for entry in report.dropped.values()) == report.seen == len(lengths)
