"""What other programs will read."""

from nmt.decoding.io import FORMATS, format_alignment
from nmt.decoding.job import Line
from nmt.decoding.translation import BLANK, Candidate, Translation

DOG = Translation(
    Line(1, "ein Hund"),
    [
        Candidate("a dog", -1.234, -12.34, ["▁a", "▁dog", "</s>"], [-12.0, -0.3, -0.04]),
        Candidate("the dog", -2.0, -20.0, ["▁the", "▁dog"], [-8.0, -12.0]),
    ],
    [],
    ["▁ein", "▁Hund"],
    [(0, 0), (2, 1)],
)
NOTHING = Translation(Line(2, ""), [BLANK], [], [], [])


def test_plain_text_is_the_best_candidate() -> None:
    assert FORMATS["plain"](DOG) == "a dog"
    assert FORMATS["plain"](NOTHING) == ""


def test_scores_stand_before_a_tab() -> None:
    assert FORMATS["scored"](DOG) == "-1.2340\ta dog"


def test_candidates_are_written_as_moses_writes_them() -> None:
    assert FORMATS["moses"](DOG) == (
        "0 ||| a dog ||| F0= -12.3400 ||| -1.2340\n0 ||| the dog ||| F0= -20.0000 ||| -2.0000"
    )
    assert FORMATS["moses"](NOTHING) == "1 |||  ||| F0= 0.0000 ||| 0.0000"


def test_alignments_are_written_as_pharaoh_wrote_them() -> None:
    assert format_alignment(DOG) == "0-0 2-1"
    assert format_alignment(NOTHING) == ""


def test_fairseq_has_its_lines_its_numbers_and_logarithms_to_the_base_of_two() -> None:
    assert FORMATS["fairseq"](DOG).split("\n") == [
        "S-0\t▁ein ▁Hund",
        "H-0\t-1.7803\t▁a ▁dog",
        "D-0\t-1.7803\ta dog",
        "P-0\t-17.3123 -0.4328 -0.0577",
        "H-0\t-2.8854\t▁the ▁dog",
        "D-0\t-2.8854\tthe dog",
        "P-0\t-11.5416 -17.3123",
    ]
    assert FORMATS["fairseq"](NOTHING) == "S-1\t\nH-1\t0.0000\t\nD-1\t0.0000\t\nP-1\t"
