"""BLEU, chrF and TER as sacreBLEU computes them (Post, 2018), each with its signature."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

from nmt.errors import DataError, UsageError

RESAMPLES = 1000  # bootstrap samples for a confidence interval


class Score(NamedTuple):
    """One score of one system."""

    name: str
    value: float
    signature: str
    mean: float | None = None  # of the bootstrap samples
    interval: float | None = None  # half the width of the 95% confidence interval
    p_value: float | None = None  # that the baseline is as good
    beyond_chance: bool | None = None  # whether p is below the test's level


def _bleu(lowercase: bool, tokenize: str | None) -> Metric:
    return BLEU(lowercase=lowercase, tokenize=tokenize)


def _chrf(lowercase: bool, tokenize: str | None) -> Metric:
    return CHRF(lowercase=lowercase)


def _chrf_plus_plus(lowercase: bool, tokenize: str | None) -> Metric:
    return CHRF(lowercase=lowercase, word_order=2)


def _ter(lowercase: bool, tokenize: str | None) -> Metric:
    return TER(case_sensitive=not lowercase)


METRICS: Mapping[str, Callable[[bool, str | None], Metric]] = {
    "bleu": _bleu,
    "chrf": _chrf,
    "chrf++": _chrf_plus_plus,
    "ter": _ter,
}

PAIRED_TESTS = {"bs": "paired bootstrap resampling", "ar": "paired approximate randomisation"}
LEVELS = {"bs": 0.025, "ar": 0.05}
"""The p below which a difference is called more than chance, as one in twenty of equal systems or fewer are.
sacreBLEU's bootstrap takes the mean from absolute differences, so that its p is that of one side."""


def score(
    hyp: Sequence[str],
    refs: Sequence[Sequence[str]],
    metrics: Sequence[str],
    *,
    lowercase: bool = False,
    tokenize: str | None = None,
    confidence: bool = False,
    name: str = "the hypotheses",
) -> list[Score]:
    """One score for each metric; `refs` are whole references, each as long as `hyp`.

    `tokenize` is BLEU's (None: 13a). `confidence` adds mean and 95% interval of bootstrap resampling.
    `name` is what messages call the hypotheses.
    """
    _same_length({name: hyp}, refs)
    return [_score(_metric(metric, lowercase, tokenize), hyp, refs, confidence) for metric in metrics]


def _score(metric: Metric, hyp: Sequence[str], refs: Sequence[Sequence[str]], confidence: bool) -> Score:
    result = metric.corpus_score(hyp, refs, n_bootstrap=RESAMPLES if confidence else 1)
    signature = metric.get_signature().format()
    if not confidence:
        return Score(result.name, result.score, signature)
    return Score(result.name, result.score, signature, result._mean, result._ci)


def compare(
    systems: Mapping[str, Sequence[str]],
    refs: Sequence[Sequence[str]],
    metrics: Sequence[str],
    *,
    test: str = "bs",
    lowercase: bool = False,
    tokenize: str | None = None,
) -> dict[str, list[Score]]:
    """The scores of each system, and how probable it is that the first one, the baseline, is as good.

    `test` names one of PAIRED_TESTS (Koehn, 2004; Riezler and Maxwell, 2005). The values are sacreBLEU's, but
    for a system that scores exactly as the baseline does: p is 1.
    """
    if test not in PAIRED_TESTS:
        raise UsageError(f"no paired test '{test}', one of: {', '.join(PAIRED_TESTS)}")
    if len(systems) < 2:
        raise UsageError("a paired test compares two systems or more")
    _same_length(systems, refs)
    named = {name: _metric(name, lowercase, tokenize) for name in metrics}
    signatures, columns = PairedTest(list(systems.items()), named, refs, test_type=test, n_ar_confidence=0)()
    results = {name: column for name, column in columns.items() if name != "System"}
    return {
        system: [
            _tested(name, column[place], column[0], signatures[name].format(), LEVELS[test])
            for name, column in results.items()
        ]
        for place, system in enumerate(systems)
    }


def _tested(name: str, found: Result | str, baseline: Result | str, signature: str, level: float) -> Score:
    assert isinstance(found, Result)
    assert isinstance(baseline, Result)
    p_value = found.p_value
    if p_value is not None and found.score == baseline.score:
        p_value = 1.0  # sacreBLEU's count of larger differences gives equal systems the smallest p instead
    # sacreBLEU's numbers are numpy's, which JSON does not know
    mean, interval, p_value = (None if n is None else float(n) for n in (found.mean, found.ci, p_value))
    beyond = None if p_value is None else p_value < level
    return Score(name, float(found.score), signature, mean, interval, p_value, beyond)


def _metric(name: str, lowercase: bool, tokenize: str | None) -> Metric:
    if name not in METRICS:
        raise UsageError(f"no metric '{name}', one of: {', '.join(METRICS)}")
    if tokenize is not None and tokenize not in BLEU.TOKENIZERS:
        raise UsageError(f"no tokenizer '{tokenize}', one of: {', '.join(BLEU.TOKENIZERS)}")
    try:
        return METRICS[name](lowercase, tokenize)
    except RuntimeError as error:  # a tokenizer whose dictionary is not installed; sacreBLEU says how
        raise UsageError(" ".join(str(error).split())) from None


def _same_length(systems: Mapping[str, Sequence[str]], refs: Sequence[Sequence[str]]) -> None:
    if not refs:
        raise UsageError("a score needs a reference")
    for name, hyp in systems.items():
        for number, ref in enumerate(refs, 1):
            if len(hyp) != len(ref):
                which = f"reference {number}" if len(refs) > 1 else "the reference"
                raise DataError(
                    f"{name}: {len(hyp):,} lines, but {which} has {len(ref):,}: "
                    "line n of one must belong to line n of the other"
                )
    if not refs[0]:
        raise DataError("there is nothing to score: the reference has no lines")


SENTENCE_METRICS: Mapping[str, Callable[[], Metric]] = {
    "bleu": lambda: BLEU(effective_order=True),  # of the n-gram orders that a short line has
    "chrf": CHRF,
    "chrf++": lambda: CHRF(word_order=2),
}


def sentence_score(metric: str) -> Callable[[str, str], float]:
    """A function of a hypothesis and a reference, one line each, to its score in percent."""
    if metric not in SENTENCE_METRICS:
        raise UsageError(f"no metric '{metric}' of sentences, one of: {', '.join(SENTENCE_METRICS)}")
    scorer = SENTENCE_METRICS[metric]()
    return lambda hyp, ref: float(scorer.sentence_score(hyp, [ref]).score)
