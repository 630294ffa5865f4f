"""BLEU, chrF and TER as sacreBLEU computes them (Post, 2018), each with its signature.

Metrics are selected by their names in METRICS.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from annotated_types import MinLen

from nmt.errors import DataError, UsageError
from nmt.settings import OneOf, Settings

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer
    from sacrebleu.significance import Result


@dataclass(frozen=True)
class Metric:
    """A metric of translations: sacreBLEU's scorers, which give signatures, and its direction."""

    label: str
    corpus_scorer: Callable[[bool, str | None], "Scorer"]  # of `lowercase` and BLEU's tokenizer (None: 13a)
    sentence_scorer: Callable[[], "Scorer"]
    higher_is_better: bool = True


# sacreBLEU is imported when a scorer is made, so that the command line can list the names without it.
def _bleu(lowercase: bool = False, tokenize: str | None = None, effective_order: bool = False) -> "Scorer":
    from sacrebleu.metrics.bleu import BLEU

    if tokenize is not None and tokenize not in BLEU.TOKENIZERS:
        raise UsageError(f"no tokenizer '{tokenize}', one of: {', '.join(BLEU.TOKENIZERS)}")
    return BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=effective_order)


def _chrf(lowercase: bool = False, word_order: int = 0) -> "Scorer":
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=lowercase, word_order=word_order)


def _ter(lowercase: bool = False) -> "Scorer":
    from sacrebleu.metrics.ter import TER

    return TER(case_sensitive=not lowercase)


METRICS: dict[str, Metric] = {
    # A sentence's BLEU counts only the n-gram orders that a short line has.
    "bleu": Metric("BLEU", _bleu, lambda: _bleu(effective_order=True)),
    "chrf": Metric("chrF", lambda lowercase, _: _chrf(lowercase), _chrf),
    "chrf++": Metric("chrF++", lambda lowercase, _: _chrf(lowercase, 2), lambda: _chrf(word_order=2)),
    "ter": Metric("TER", lambda lowercase, _: _ter(lowercase), _ter, higher_is_better=False),
}
DEFAULT_METRICS = ("bleu", "chrf")
"""Metrics that every validation reports, and that the check of an exported model compares."""

RESAMPLES = 1000  # bootstrap samples for a confidence interval


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Settings):
    """The scoring of translations."""

    metrics: Annotated[list[Annotated[str, OneOf(lambda: METRICS)]], MinLen(1)] = field(
        default_factory=lambda: ["bleu", "chrf", "ter"]
    )
    """Scores reported, each with its signature."""
    lowercase: bool = False
    """Score in lower case."""


class Score(NamedTuple):
    """One score of one system."""

    name: str
    value: float
    signature: str
    mean: float | None = None  # of the bootstrap samples
    interval: float | None = None  # half the width of the 95% confidence interval
    p_value: float | None = None  # that the baseline is as good
    beyond_chance: bool | None = None  # whether p is below the test's level


PAIRED_TESTS = {"bs": "paired bootstrap resampling", "ar": "paired approximate randomisation"}
LEVELS = {"bs": 0.025, "ar": 0.05}
"""Significance levels, for a false positive rate of 5%. sacreBLEU's bootstrap subtracts the mean from
absolute differences, so its p is one-sided."""


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
    """Return a score for each metric; `refs` are complete references, each as long as `hyp`.

    `tokenize` is BLEU's tokenizer (None: 13a). `confidence` adds the bootstrap's mean and 95% interval.
    `name` is the name of the hypotheses in messages.
    """
    _check_lengths({name: hyp}, refs)
    scores = []
    for scorer in (_corpus_scorer(metric, lowercase, tokenize) for metric in metrics):
        result = scorer.corpus_score(hyp, refs, n_bootstrap=RESAMPLES if confidence else 1)
        mean, interval = (result._mean, result._ci) if confidence else (None, None)
        scores.append(Score(result.name, result.score, scorer.get_signature().format(), mean, interval))
    return scores


def compare(
    systems: Mapping[str, Sequence[str]],
    refs: Sequence[Sequence[str]],
    metrics: Sequence[str],
    *,
    test: str = "bs",
    lowercase: bool = False,
    tokenize: str | None = None,
) -> dict[str, list[Score]]:
    """Score each system, and test its difference from the first one, the baseline.

    `test`: one of PAIRED_TESTS (Koehn, 2004; Riezler and Maxwell, 2005). The values are sacreBLEU's, except
    for a system with exactly the baseline's score: p is 1.
    """
    from sacrebleu.significance import PairedTest

    if test not in PAIRED_TESTS:
        raise UsageError(f"no paired test '{test}', one of: {', '.join(PAIRED_TESTS)}")
    if len(systems) < 2:
        raise UsageError("a paired test needs at least two systems")
    _check_lengths(systems, refs)
    scorers = {name: _corpus_scorer(name, lowercase, tokenize) for name in metrics}
    paired = PairedTest(list(systems.items()), scorers, refs, test_type=test, n_ar_confidence=0)
    signatures, columns = paired()
    results: dict[str, Any] = {name: column for name, column in columns.items() if name != "System"}
    return {
        system: [
            _compared_score(name, column[index], column[0], signatures[name].format(), LEVELS[test])
            for name, column in results.items()
        ]
        for index, system in enumerate(systems)
    }


def _compared_score(name: str, system: "Result", baseline: "Result", signature: str, level: float) -> Score:
    p_value = system.p_value
    if p_value is not None and system.score == baseline.score:
        p_value = 1.0  # sacreBLEU counts larger differences, which gives equal systems the smallest p
    # sacreBLEU returns numpy numbers, which json cannot write
    mean, interval, p_value = (None if n is None else float(n) for n in (system.mean, system.ci, p_value))
    beyond = None if p_value is None else p_value < level
    return Score(name, float(system.score), signature, mean, interval, p_value, beyond)


def find_metric(name: str) -> Metric:
    """Return a metric by its name; raise UsageError, which lists the names, if there is none."""
    if name not in METRICS:
        raise UsageError(f"no metric '{name}', one of: {', '.join(METRICS)}")
    return METRICS[name]


def _corpus_scorer(name: str, lowercase: bool, tokenize: str | None) -> "Scorer":
    try:
        return find_metric(name).corpus_scorer(lowercase, tokenize)
    except RuntimeError as error:  # the tokenizer's dictionary is not installed; sacreBLEU's message explains
        raise UsageError(" ".join(str(error).split())) from None


def _check_lengths(systems: Mapping[str, Sequence[str]], refs: Sequence[Sequence[str]]) -> None:
    if not refs:
        raise UsageError("scoring needs a reference")
    for name, hyp in systems.items():
        for number, ref in enumerate(refs, 1):
            if len(hyp) != len(ref):
                which = f"reference {number}" if len(refs) > 1 else "the reference"
                raise DataError(
                    f"{name}: {len(hyp):,} lines, but {which} has {len(ref):,}: "
                    "line n of one must correspond to line n of the other"
                )
    if not refs[0]:
        raise DataError("nothing to score: the reference is empty")


def sentence_score(metric: str) -> Callable[[str, str], float]:
    """Return a function of a hypothesis and a reference, one line each, to its score in percent."""
    scorer = find_metric(metric).sentence_scorer()
    return lambda hyp, ref: float(scorer.sentence_score(hyp, [ref]).score)


def sentence_utility(metric: str) -> Callable[[str, str], float]:
    """Return `sentence_score`, or 100 minus it if lower is better, so that higher is better."""
    score = sentence_score(metric)
    return score if find_metric(metric).higher_is_better else lambda hyp, ref: 100.0 - score(hyp, ref)
