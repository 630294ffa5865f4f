"""Scores equal those of sacreBLEU, with its signatures."""

import random
from pathlib import Path
from urllib.error import URLError

import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest
from sacrebleu.tokenizers import tokenizer_spm

from nmt.errors import DataError, UsageError
from nmt.evaluation.metrics import METRICS, build_sentence_scorer, compare, score, sentence_utility

WORDS = ["The", "a", "small", "big", "dog", "cat", "house", "runs", "sleeps", ",", ".", "and", "3.14"]


def text(seed: int, lines: int = 60) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randrange(1, 15))) for _ in range(lines)]


def noisy(lines: list[str], seed: int, share: float = 0.3) -> list[str]:
    draw = random.Random(seed)
    return [
        " ".join(draw.choice(WORDS) if draw.random() < share else w for w in line.split()) for line in lines
    ]


REF, OTHER_REF = text(1), noisy(text(1), 5, 0.2)
HYP, WORSE = noisy(REF, 2), noisy(REF, 3, 0.6)

ORACLES = {
    "bleu": lambda refs: sacrebleu.corpus_bleu(HYP, refs).score,
    "chrf": lambda refs: sacrebleu.corpus_chrf(HYP, refs).score,
    "chrf++": lambda refs: sacrebleu.corpus_chrf(HYP, refs, word_order=2).score,
    "ter": lambda refs: sacrebleu.corpus_ter(HYP, refs).score,
}


@pytest.mark.parametrize("refs", [[REF], [REF, OTHER_REF]], ids=["one", "two"])
@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_sacrebleu(metric: str, refs: list[list[str]]) -> None:
    [found] = score(HYP, refs, [metric])
    assert found.value == ORACLES[metric](refs)
    assert f"nrefs:{len(refs)}" in found.signature
    assert f"version:{sacrebleu.__version__}" in found.signature


@pytest.mark.parametrize("metric", METRICS)
def test_lower_case_is_scored_and_signed(metric: str) -> None:
    [cased] = score(HYP, [[line.upper() for line in REF]], [metric])
    [lowered] = score(HYP, [[line.upper() for line in REF]], [metric], lowercase=True)
    [expected] = score([line.lower() for line in HYP], [[line.lower() for line in REF]], [metric])
    assert lowered.value == pytest.approx(expected.value)
    assert lowered.signature != cased.signature


def test_bleus_tokenizer_can_be_chosen_and_is_signed() -> None:
    [found] = score(HYP, [REF], ["bleu"], tokenize="char")
    assert found.value == BLEU(tokenize="char").corpus_score(HYP, [REF]).score
    assert "tok:char" in found.signature


def test_confidence_is_that_of_sacrebleus_bootstrap() -> None:
    [found] = score(HYP, [REF], ["bleu"], confidence=True)
    expected = BLEU().corpus_score(HYP, [REF], n_bootstrap=1000)
    assert (found.value, found.mean, found.interval) == (expected.score, expected._mean, expected._ci)
    assert "bs:1000|seed:12345" in found.signature


@pytest.mark.parametrize("test", ["bs", "ar"])
def test_significance_is_that_of_sacrebleus_paired_test(test: str) -> None:
    systems = {"old": WORSE, "new": HYP}
    found = compare(systems, [REF], ["bleu"], test=test)
    paired = PairedTest(list(systems.items()), {"bleu": BLEU()}, [REF], test_type=test, n_ar_confidence=0)
    for system, expected in zip(systems, paired()[1]["BLEU"], strict=True):
        [one] = found[system]
        assert (one.value, one.p_value) == (expected.score, expected.p_value)
        assert (one.mean, one.interval) == (expected.mean, expected.ci)
    assert found["old"][0].p_value is None
    assert found["new"][0].p_value < 0.02
    assert [of_system[0].beyond_chance for of_system in found.values()] == [None, True]
    assert f"{test}:" in found["old"][0].signature


def test_a_system_does_not_differ_from_itself() -> None:
    found = compare({"old": HYP, "same": HYP}, [REF], ["bleu", "ter"])
    assert [(one.p_value, one.beyond_chance) for one in found["same"]] == 2 * [(1.0, False)]


def test_the_bootstrap_s_p_is_of_one_side_and_has_half_the_level() -> None:
    [found] = compare({"old": HYP, "new": noisy(REF, 33, 0.4)}, [REF], ["bleu"])["new"]
    assert found.p_value is not None
    assert 0.025 < found.p_value < 0.05
    assert found.beyond_chance is False


def test_files_of_different_lengths_are_refused_with_both_counts() -> None:
    with pytest.raises(DataError, match=r"59 lines, but the reference has 60"):
        score(HYP[1:], [REF], ["bleu"])
    with pytest.raises(DataError, match=r"new: 60 lines, but reference 2 has 61"):
        score(HYP, [REF, [*REF, ""]], ["bleu"], name="new")


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(DataError, match="reference is empty"):
        score([], [[]], ["bleu"])
    with pytest.raises(UsageError, match="needs a reference"):
        score(HYP, [], ["bleu"])


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no metric 'blue', one of: bleu"):
        score(HYP, [REF], ["blue"])
    with pytest.raises(UsageError, match="no tokenizer '13b', did you mean '13a'"):
        score(HYP, [REF], ["bleu"], tokenize="13b")
    with pytest.raises(UsageError, match="no paired test 'xx'"):
        compare({"a": HYP, "b": WORSE}, [REF], ["bleu"], test="xx")
    with pytest.raises(UsageError, match="two systems"):
        compare({"a": HYP}, [REF], ["bleu"])


def test_blank_lines_are_scored_like_any_other() -> None:
    [found] = score(["", *HYP[1:]], [["", *REF[1:]]], ["chrf"])
    assert 0 < found.value < 100


def test_ter_counts_characters_where_words_have_no_spaces() -> None:
    [found] = score(["我很高兴认识你"], [["我很高兴见到你"]], ["ter"], tokenize="zh")
    assert found.value == pytest.approx(100 * 2 / 7)
    assert "asian:yes" in found.signature


def test_sentences_are_scored_as_sacrebleu_scores_them() -> None:
    hyp, ref = HYP[0], REF[0]
    assert build_sentence_scorer("bleu")(hyp, ref) == sacrebleu.sentence_bleu(hyp, [ref]).score
    assert build_sentence_scorer("chrf")(hyp, ref) == sacrebleu.sentence_chrf(hyp, [ref]).score
    assert (
        build_sentence_scorer("chrf++")(hyp, ref) == sacrebleu.sentence_chrf(hyp, [ref], word_order=2).score
    )
    assert build_sentence_scorer("bleu")("a dog", "a dog") == pytest.approx(100.0)
    assert build_sentence_scorer("ter")(hyp, ref) == sacrebleu.sentence_ter(hyp, [ref]).score
    with pytest.raises(UsageError, match=r"no metric 'rouge', one of: bleu, chrf, chrf\+\+, ter"):
        build_sentence_scorer("rouge")


@pytest.mark.parametrize("metric", METRICS)
def test_the_utility_of_a_better_sentence_is_higher(metric: str) -> None:
    utility = sentence_utility(metric)
    assert utility(REF[0], REF[0]) == pytest.approx(100.0)
    assert utility(WORSE[0], REF[0]) < 100.0


def test_a_tokenizer_whose_model_cannot_be_downloaded_is_named_with_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(url: str, path: str) -> None:
        raise URLError("no route")

    monkeypatch.setattr(tokenizer_spm, "SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr(tokenizer_spm, "download_file", refuse)
    with pytest.raises(
        DataError, match=r"flores200 needs a model, .* from https://tinyurl\.com/flores.*no route"
    ):
        score(HYP, [REF], ["bleu"], tokenize="flores200")
