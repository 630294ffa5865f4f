"""Checks of what Python callers pass: what is read as a list, and what as a choice."""

from typing import Any

import numpy as np
import pytest

from nmt.api.scoring import score
from nmt.api.translator import check_lines
from nmt.arguments import check_choice, check_strings
from nmt.decoding.job import LineConstraints
from nmt.errors import UsageError


class Table:
    """A table as pandas has it: its iterator gives the names of the columns."""

    shape = (2, 1)

    def __iter__(self) -> Any:
        return iter(["text"])


NO_LISTS = [np.array("a"), np.array([["a"]]), {"a": 1}, {"a", "b"}, frozenset("a"), b"a", None, 3, Table()]


@pytest.mark.parametrize("value", NO_LISTS, ids=lambda value: type(value).__name__)
def test_what_is_no_list_of_lines_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="must be a list of strings"):
        check_strings("hyps", value)
    with pytest.raises(UsageError, match="lines must be a string or a list of strings"):
        list(check_lines(value, LineConstraints()))
    with pytest.raises(UsageError, match="refs must be a list of lines"):
        score(["a"], value)


def test_lists_in_any_form_are_read() -> None:
    for value in (
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        (text for text in "ab"),
        {"a": 0, "b": 1}.keys(),
    ):
        assert check_strings("hyps", value) == ("a", "b")


@pytest.mark.parametrize("value", [np.array(["auto", "never"]), ["auto"], None, 1], ids=repr)
def test_a_choice_is_a_string(value: Any) -> None:
    with pytest.raises(UsageError, match="split must be one of: auto, never"):
        check_choice("split", value, ("auto", "never"))
