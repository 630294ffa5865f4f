"""Scores of translations against references."""

from collections.abc import Iterable, Sequence
from reprlib import repr as shorten
from typing import Any

from nmt.arguments import check_flag, check_strings, check_text, is_list
from nmt.errors import UsageError
from nmt.evaluation import metrics as evaluation
from nmt.evaluation.metrics import DEFAULT_METRICS, Score
from nmt.evaluation.tokenizers import AUTO


def score(
    hyps: Iterable[str] | str,
    refs: Iterable[str] | Sequence[Iterable[str]] | str,
    *,
    metrics: Sequence[str] | str = DEFAULT_METRICS,
    tokenize: str = AUTO,
    lowercase: bool = False,
    confidence: bool = False,
) -> dict[str, Score]:
    """Score detokenised translations, as `nmt score` does: sacreBLEU's scores with their signatures.

    `refs` is one reference for each line, or a list of complete references. `metrics` are of bleu, chrf,
    chrf++ and ter. `tokenize` is BLEU's tokenizer; "auto" chooses it by the script of the references.
    `confidence` adds the mean and half of the 95% interval of a bootstrap. Returns the scores by metric:
    `nmt.score(hyps, refs)["bleu"].value`. Raises UsageError for a wrong argument, DataError for lists of
    different lengths.
    """
    hyps = [hyps] if isinstance(hyps, str) else list(check_strings("hyps", hyps))
    names = [metrics] if isinstance(metrics, str) else list(check_strings("metrics", metrics))
    found = evaluation.score(
        hyps,
        _check_references(refs),
        names,
        lowercase=check_flag("lowercase", lowercase),
        tokenize=check_text("tokenize", tokenize),
        confidence=check_flag("confidence", confidence),
        name="hyps",
    )
    return dict(zip(names, found, strict=True))


def _check_references(refs: Any) -> list[list[str]]:
    """Return complete references, of which one may be given as a list of lines or a single line."""
    if isinstance(refs, str):
        return [[refs]]
    if not is_list(refs):
        raise UsageError(f"refs must be a list of lines, or a list of such lists (got {shorten(refs)})")
    several = list(refs)
    if all(isinstance(ref, str) for ref in several):
        return [list(several)]
    return [list(check_strings(f"reference {number}", ref)) for number, ref in enumerate(several, 1)]
