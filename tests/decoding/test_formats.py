"""What other programs will read."""

from nmt.decoding import formats
from nmt.decoding.translate import BLANK, Candidate, Translation

DOG = Translation(
    1, [Candidate("a dog", -1.234, -12.34), Candidate("the dog", -2.0, -20.0)], [(0, 0), (2, 1)], []
)
NOTHING = Translation(2, [BLANK], [], [])


def test_plain_text_is_the_best_candidate() -> None:
    assert formats.plain(DOG) == "a dog"
    assert formats.plain(NOTHING) == ""


def test_scores_stand_before_a_tab() -> None:
    assert formats.scored(DOG) == "-1.2340\ta dog"


def test_candidates_are_written_as_moses_writes_them() -> None:
    assert formats.moses(DOG) == (
        "0 ||| a dog ||| F0= -12.3400 ||| -1.2340\n0 ||| the dog ||| F0= -20.0000 ||| -2.0000"
    )
    assert formats.moses(NOTHING) == "1 |||  ||| F0= 0.0000 ||| 0.0000"


def test_alignments_are_written_as_pharaoh_wrote_them() -> None:
    assert formats.pharaoh(DOG) == "0-0 2-1"
    assert formats.pharaoh(NOTHING) == ""
