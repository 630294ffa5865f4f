"""Scores by sentence length and word frequency, compared with manual counts."""

from nmt.evaluation.buckets import (
    Bucket,
    WordMatches,
    count_words,
    find_bucket,
    group_by_length,
    make_buckets,
    match_by_frequency,
    split_words,
)


def test_buckets_follow_each_other_and_the_last_has_no_end() -> None:
    assert list(map(str, make_buckets((0, 1, 10)))) == ["0", "1 to 9", "10 or more"]
    among = make_buckets((1, 6, 1000))
    assert [find_bucket(n, among).first for n in (0, 1, 5, 6, 999, 1000, 10**6)] == [
        1,
        1,
        1,
        6,
        6,
        1000,
        1000,
    ]
    assert str(among[1]) == "6 to 999"
    assert str(among[2]) == "1,000 or more"


def test_words_are_those_of_the_tokenizer_and_keep_their_case() -> None:
    assert count_words(["Hi, hi hi.", ""]) == {"Hi": 1, ",": 1, "hi": 2, ".": 1}


def test_sentences_are_sorted_by_the_words_of_their_source() -> None:
    assert group_by_length(["a b", "a b c d e f", "", "a b c d e"]) == {
        Bucket(1, 5): [0, 2, 3],
        Bucket(6, 10): [1],
    }


def test_words_are_found_as_often_as_the_reference_has_them() -> None:
    found = match_by_frequency(["the the cat", "new"], ["the cat cat", "old new"], {"the": 100, "cat": 3})
    assert found == {
        Bucket(0, 0): WordMatches(matched=1, hyp=1, ref=2),  # new; old was not found
        Bucket(1, 9): WordMatches(matched=1, hyp=1, ref=2),  # cat, once of twice
        Bucket(100, 999): WordMatches(matched=1, hyp=2, ref=1),  # the, written once too often
    }
    assert found[Bucket(0, 0)].f1 == 200 * 1 / 3


def test_a_bucket_without_a_word_of_the_references_is_left_out_and_nothing_found_is_no_error() -> None:
    assert match_by_frequency(["x"], ["y"], {"x": 5}) == {Bucket(0, 0): WordMatches(0, 0, 1)}
    assert WordMatches().f1 == 0.0


def test_words_of_languages_without_spaces_are_those_of_their_tokenizer() -> None:
    assert split_words("我是学生。", "zh") == ["我", "是", "学", "生", "。"]
    assert split_words("我是学生。") == ["我是学生。"]
    assert count_words(["ไป", "ไป มา"], "char")["ไ"] == 2
    buckets = group_by_length(["我是学生。", "我昨天在图书馆借了三本书。"], "zh")
    assert [*buckets.values()] == [[0], [1]]
    [matches] = match_by_frequency(["我是老师。"], ["我是学生。"], {}, "zh").values()
    assert (matches.matched, matches.hyp, matches.ref) == (3, 5, 5)
