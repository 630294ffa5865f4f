"""BLEU, chrF and TER as sacreBLEU computes them (Post, 2018), each with its signature.

Metrics are selected by their names in METRICS, tokenizers of BLEU by theirs in `nmt.evaluation.tokenizers`.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from annotated_types import MinLen

from nmt.errors import DataError, UsageError
from nmt.evaluation.tokenizers import AUTO, CHOICES, SPACELESS, check_tokenizer, choose_tokenizer
from nmt.settings import OneOf, Settings

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer
    from sacrebleu.significance import Result


@dataclass(frozen=True)
class Metric:
    """A metric of translations: sacreBLEU's scorers, which give signatures, and its direction."""

    label: str
    corpus_scorer: Callable[[bool, str], "Scorer"]  # of `lowercase` and BLEU's tokenizer
    sentence_scorer: Callable[[str], "Scorer"]  # of BLEU's tokenizer
    higher_is_better: bool = True

    def is_at_floor(self, score: float) -> bool:
        """Return True for a score hardly better than that of empty translations."""
        return score < FLOOR_MARGIN if self.higher_is_better else score > 100 - FLOOR_MARGIN


FLOOR_MARGIN = 0.1  # smoothing gives hopeless translations a BLEU just above 0


# sacreBLEU is imported when a scorer is made, so that the command line can list the names without it.
def _build_bleu(lowercase: bool, tokenize: str, effective_order: bool = False) -> "Scorer":
    from sacrebleu.metrics.bleu import BLEU

    # Without `force` it warns of " ." at line ends, as an untrained model writes it; `nmt score` has a note.
    return BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=effective_order, force=True)


def _build_chrf(lowercase: bool = False, word_order: int = 0) -> "Scorer":
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=lowercase, word_order=word_order)


def _build_ter(lowercase: bool, tokenize: str) -> "Scorer":
    """Count edits of words; of characters where BLEU's tokenizer shows that words have no spaces."""
    from sacrebleu.metrics.ter import TER

    asian = tokenize in SPACELESS
    return TER(case_sensitive=not lowercase, normalized=asian, asian_support=asian)


METRICS: dict[str, Metric] = {
    # A sentence's BLEU counts only the n-gram orders that a short line has.
    "bleu": Metric("BLEU", _build_bleu, lambda tokenize: _build_bleu(False, tokenize, effective_order=True)),
    "chrf": Metric("chrF", lambda lowercase, _: _build_chrf(lowercase), lambda _: _build_chrf()),
    "chrf++": Metric(
        "chrF++", lambda lowercase, _: _build_chrf(lowercase, 2), lambda _: _build_chrf(word_order=2)
    ),
    "ter": Metric("TER", _build_ter, lambda tokenize: _build_ter(False, tokenize), higher_is_better=False),
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
    tokenize: Annotated[str, OneOf(lambda: CHOICES)] = AUTO
    """BLEU's tokenizer, the same wherever a run is scored. `auto` chooses by the language tag `data.tgt`, or
    the script of the target text, and is fixed when the run starts: `zh`; `ja-mecab`, `ko-mecab` if
    installed, else `char`; `char` for other scripts without spaces; else `13a`."""


class Score(NamedTuple):
    """One score of one system."""

    name: str
    value: float
    signature: str
    mean: float | None = None  # of the bootstrap samples
    interval: float | None = None  # half the width of the 95% confidence interval
    p_value: float | None = None  # that the baseline is as good
    beyond_chance: bool | None = None  # whether p is below the test's level

    @property
    def full_signature(self) -> str:
        """The signature with the name of the metric, as sacreBLEU prints it."""
        return f"{self.name}|{self.signature}"


class SystemScores(NamedTuple):
    """The scores of a system, as `nmt score --json` writes them."""

    system: str
    scores: list[Score]

    def to_dict(self) -> dict[str, object]:
        """Return the fields as JSON values, without those that are None."""
        scores = [{name: v for name, v in score._asdict().items() if v is not None} for score in self.scores]
        return {"system": self.system, "scores": scores}


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
    tokenize: str = AUTO,
    confidence: bool = False,
    name: str = "the hypotheses",
) -> list[Score]:
    """Return a score for each metric; `refs` are complete references, each as long as `hyp`.

    `tokenize` is BLEU's tokenizer; `auto` chooses by the script of the references.
    `confidence` adds the bootstrap's mean and 95% interval. `name` is the name of the hypotheses in messages.
    """
    _check_lengths({name: hyp}, refs)
    tokenize = _resolve_tokenizer(tokenize, refs)
    scores = []
    for scorer in (_build_scorer(metric, lowercase, tokenize) for metric in metrics):
        result = scorer.corpus_score(hyp, refs)
        mean, interval = _bootstrap(scorer, hyp, refs) if confidence else (None, None)
        scores.append(
            Score(result.name, float(result.score), scorer.get_signature().format(), mean, interval)
        )
    return scores


def _bootstrap(scorer: "Scorer", hyp: Sequence[str], refs: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Return mean and 95% interval of sacreBLEU's bootstrap samples, and have the signature name them.

    sacreBLEU's own mean fails where some scores are Python's numbers and some numpy's, as with blank lines.
    """
    values = sorted(_resample(scorer, hyp, refs))
    tail = RESAMPLES // 40
    return statistics.mean(values), 0.5 * (values[-tail - 1] - values[tail])


def _resample(scorer: "Scorer", hyp: Sequence[str], refs: Sequence[Sequence[str]]) -> list[float]:
    """Return the scores of bootstrap samples; the samples are the same for all systems of as many lines."""
    from sacrebleu.significance import _bootstrap_resample

    scorer.n_bootstrap = RESAMPLES
    statistics_of_lines = scorer._extract_corpus_statistics(hyp, refs)
    scorer.seed, samples = _bootstrap_resample(statistics_of_lines, scorer, RESAMPLES)
    return [float(sample.score) for sample in samples]


class ResampledScore(NamedTuple):
    """A score, and those of bootstrap samples of the lines."""

    score: Score
    samples: list[float]


def resample_score(
    hyp: Sequence[str], ref: Sequence[str], metric: str, *, lowercase: bool = False, tokenize: str = AUTO
) -> ResampledScore:
    """Return the score of a system with those of its bootstrap samples.

    Sample n is of the same lines for all systems, so their differences are paired. The other arguments are
    those of `score`.
    """
    [one] = score(hyp, [ref], [metric], lowercase=lowercase, tokenize=tokenize)
    scorer = _build_scorer(metric, lowercase, _resolve_tokenizer(tokenize, [ref]))
    return ResampledScore(one, _resample(scorer, hyp, [ref]))


def _resolve_tokenizer(tokenize: str, refs: Sequence[Sequence[str]]) -> str:
    check_tokenizer(tokenize)
    return choose_tokenizer(None, refs[0]) if tokenize == AUTO else tokenize


def compare(
    systems: Mapping[str, Sequence[str]],
    refs: Sequence[Sequence[str]],
    metrics: Sequence[str],
    *,
    test: str = "bs",
    lowercase: bool = False,
    tokenize: str = AUTO,
) -> dict[str, list[Score]]:
    """Score each system, and test its difference from the first one, the baseline.

    `test`: one of PAIRED_TESTS (Koehn, 2004; Riezler and Maxwell, 2005). The values are sacreBLEU's, except
    for a system with exactly the baseline's score: p is 1. The other arguments are those of `score`.
    """
    from sacrebleu.significance import PairedTest

    if test not in PAIRED_TESTS:
        raise UsageError(f"no paired test '{test}', one of: {', '.join(PAIRED_TESTS)}")
    if len(systems) < 2:
        raise UsageError("a paired test needs at least two systems")
    _check_lengths(systems, refs)
    tokenize = _resolve_tokenizer(tokenize, refs)
    scorers = {name: _build_scorer(name, lowercase, tokenize) for name in metrics}
    paired = PairedTest(list(systems.items()), scorers, refs, test_type=test, n_ar_confidence=0)
    signatures, columns = paired()
    results: dict[str, Any] = {name: column for name, column in columns.items() if name != "System"}
    return {
        system: [
            _build_compared_score(name, column[index], column[0], signatures[name].format(), LEVELS[test])
            for name, column in results.items()
        ]
        for index, system in enumerate(systems)
    }


def _build_compared_score(
    name: str, system: "Result", baseline: "Result", signature: str, level: float
) -> Score:
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


def _build_scorer(name: str, lowercase: bool, tokenize: str) -> "Scorer":
    with _explain_tokenizer_errors(tokenize):
        return find_metric(name).corpus_scorer(lowercase, tokenize)


@contextmanager
def _explain_tokenizer_errors(name: str) -> Iterator[None]:
    """Raise UsageError if libraries of a tokenizer are not installed, DataError if its model is not there."""
    try:
        yield
    except RuntimeError as error:  # sacreBLEU's message explains
        raise UsageError(" ".join(str(error).split())) from None
    except (OSError, SystemExit) as error:
        from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS

        url = SPM_MODELS.get(name, {}).get("url", "its address")
        raise DataError(
            f"BLEU's tokenizer {name} needs a model, which sacreBLEU could not load from {url}: {error}"
        ) from None


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


def build_sentence_scorer(metric: str, tokenize: str = "13a") -> Callable[[str, str], float]:
    """Return a function of a hypothesis and a reference, one line each, to its score in percent.

    `tokenize` is BLEU's tokenizer.
    """
    with _explain_tokenizer_errors(tokenize):
        scorer = find_metric(metric).sentence_scorer(tokenize)
    return lambda hyp, ref: float(scorer.sentence_score(hyp, [ref]).score)


def sentence_utility(metric: str, tokenize: str = "13a") -> Callable[[str, str], float]:
    """Return a sentence scorer, or 100 minus its score if lower is better, so that higher is better."""
    score = build_sentence_scorer(metric, tokenize)
    return score if find_metric(metric).higher_is_better else lambda hyp, ref: 100.0 - score(hyp, ref)
