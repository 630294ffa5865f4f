"""Selection of the best translation by a reference."""

from pathlib import Path

import pytest

from nmt.errors import DataError
from nmt.evaluation.metrics import sentence_utility
from nmt.evaluation.selection import group_candidates, select_candidates

LISTS = """\
0 ||| a dog runs ||| F0= -1.2 ||| -0.4
0 ||| a dog is running ||| F0= -2.2 ||| -0.7
2 ||| the | bars ||| stay ||| F0= -1.0 ||| -0.3
3 |||  ||| F0= 0.0 ||| 0.0
"""


def write(folder: Path, text: str) -> Path:
    (folder / "list").write_text(text, "utf-8")
    return folder / "list"


def test_candidates_are_grouped_by_line(tmp_path: Path) -> None:
    assert list(group_candidates(write(tmp_path, LISTS), 5)) == [
        *(["a dog runs", "a dog is running"], [], ["the | bars ||| stay"], [""], []),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a dog\n", "list:1: not a line of an n-best list"),
        ("0 ||| a\n-1 ||| b\n", "list:2: not a line of an n-best list"),
        ("1 ||| a\n0 ||| b\n", "list:2: the translations of line 0 follow those of line 1"),
        ("7 ||| a\n", "has translations of line 7, counted from 0, but there are 3 lines"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        list(group_candidates(write(tmp_path, text), 3))


@pytest.mark.parametrize("metric", ["bleu", "chrf", "ter"])
def test_the_nearest_to_the_reference_is_selected_from_all_lists(metric: str) -> None:
    refs = ["a dog is running", "the sun", "x"]
    lists = [[["a dog runs", "a dog is running"], ["sun"], []], [["dogs"], ["the sun", "sun"], []]]
    selected = select_candidates(lists, refs, sentence_utility(metric))
    assert [text for text, _ in selected] == ["a dog is running", "the sun", ""]


def test_of_equals_the_first_is_selected() -> None:
    assert list(select_candidates([[["b", "a"]]], ["c"], lambda hyp, ref: 1.0)) == [("b", 1.0)]
