"""Words that the target vocabulary lacks, copied."""

from nmt.data.vocabulary import UNK, WordVocabulary
from nmt.decoding.copying.unknown import replace_unknown
from tests.decoding.words import CutWords


def test_a_word_of_its_own_is_copied_between_spaces() -> None:
    words = WordVocabulary(["a", "dog"])
    ids = [4, UNK, 5, UNK, UNK]
    copies = ["Ein", "Haus", "Hund", "Xaver", "Zoe"]
    assert replace_unknown(ids, copies, words, subwords=False) == "a Haus dog Xaver Zoe"


def test_several_unknown_pieces_of_one_word_are_one_copy() -> None:
    words = WordVocabulary(["a"])
    assert replace_unknown([UNK, UNK, 4, UNK], ["x", "x", "-", "x"], words, subwords=False) == "x a x"


def test_what_follows_a_copy_without_a_space_follows_it() -> None:
    pieces = CutWords(60)
    assert replace_unknown([6, UNK, 7], ["a", "Haus", "b"], pieces, subwords=True) == "p6 Hausp7"
    assert replace_unknown([6, UNK, 8], ["a", "Haus", "b"], pieces, subwords=True) == "p6 Haus p8"
