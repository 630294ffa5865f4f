"""The command line of `nmt study memory`."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.toy import done, nmt

SHORT = ("study", "memory", "--updates", 3, "--hidden", 4)


def test_a_study_is_a_table_within_80_columns_and_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "memory.svg"
    asked = ("--cells", "rnn,gru-reset-after", "--gaps", "1,2,3,4,5,6", "--tasks", "copy", "--seeds", 2)
    lines = done(nmt(*SHORT, *asked, "--plot", picture)).splitlines()
    assert lines[0].split() == ["copy", "1", "2", "3", "4", "5"]
    assert lines[3].split() == ["copy", "6"]
    assert [line.split()[0] for line in lines[1:3]] == ["rnn", "gru-reset-after"]
    assert lines[6].split() == ["by", "chance", "12.5"]
    assert max(map(len, lines)) <= 80
    assert "gru-reset-after" in picture.read_text(encoding="utf-8")


def test_a_study_as_json_has_every_seed() -> None:
    asked = ("--quick", "--cells", "rnn", "--gaps", "1,2", "--tasks", "adding,copy", "--json")
    found = json.loads(done(nmt(*SHORT, *asked)))
    assert [(of["task"], of["cell"], of["gaps"], len(of["seeds"])) for of in found] == [
        ("adding", "rnn", [1, 2], 1),
        ("copy", "rnn", [1, 2], 1),
    ]
    assert found[0]["means"] == found[0]["seeds"][0]


def test_a_custom_cell_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from nmt.cells.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n", encoding="utf-8", newline="\n"
    )
    asked = ("--cells", f"{file}:Mine", "--gaps", "1", "--tasks", "copy", "--seeds", 1)
    assert done(nmt(*SHORT, *asked)).splitlines()[1].split()[0] == "Mine"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--cells", "rnn,ltsm", "--cells: unknown name 'ltsm': did you mean 'lstm'?"),
        ("--tasks", "addin", "--tasks: unknown name 'addin': did you mean 'adding'?"),
        ("--gaps", "5,x", "--gaps: expected positive integers, such as 5,20,100 (got '5,x')"),
        ("--gaps", "0", "--gaps: expected positive integers, such as 5,20,100 (got '0')"),
        ("--gaps", "", "--gaps: expected positive integers, such as 5,20,100 (got '')"),
        ("--gaps", "1,100000000000", "--gaps: with 4 units the memory allows gaps up to 10,000"),
        ("--gaps", "9" * 30, "--gaps: with 4 units the memory allows gaps up to 10,000"),
        ("--tasks", "", "--tasks: unknown name ''"),
        ("--cells", "", "--cells: unknown name ''"),
        ("--hidden", 1_000_000, "4096"),
        ("--cells", "none.py:Mine", "there is no file none.py"),
    ],
)
def test_wrong_values_are_refused(option: str, value: object, said: str) -> None:
    result = nmt(*SHORT, option, value)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_custom_cells_of_the_same_name_are_shown_with_their_files(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(
            "from nmt.cells.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n", encoding="utf-8"
        )
    cells = [f"{tmp_path / name}:Mine" for name in ("one.py", "two.py")]
    asked = ("--cells", f"rnn,{','.join(cells)}", "--gaps", "1", "--tasks", "copy", "--seeds", 1)
    lines = done(nmt(*SHORT, *asked)).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == cells
    assert {line.rindex(".") for line in lines[1:5]} == {lines[1].rindex(".")}
