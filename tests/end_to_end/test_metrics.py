"""A metric is one entry of one table: from there every verb and every recipe knows it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nmt.evaluation.metrics import METRICS, Metric
from nmt.training.console import metric_heading
from tests.end_to_end.toy import done, nmt, spelt, write_corpus, write_recipe
from tests.grid import mark_slow

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer

SMALL = ("encoder.embedding=8", "encoder.hidden=8", "decoder.embedding=8", "decoder.hidden=16")


def word_chrf(lowercase: bool = False, _: str = "13a") -> "Scorer":
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=lowercase, char_order=2, word_order=1)


@pytest.mark.parametrize("metric", mark_slow(["chrf++", "ter", "word-chrf"], default=["ter", "word-chrf"]))
def test_a_metric_of_the_table_is_known_wherever_a_metric_is_named(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "word-chrf", Metric("word chrF", word_chrf, lambda _: word_chrf()))
    corpus = write_corpus(tmp_path / "corpus", spelt, train=40, held_out=4)
    recipe, run = write_recipe(tmp_path / "toy.yaml", corpus), tmp_path / "run"
    settings = {
        "evaluation.metrics": f"[{metric}]",
        "training.objective": "minimum-risk",
        "training.risk.metric": metric,
        "training.risk.samples": 2,
        "training.learning_rate.warmup": 0,
        "training.stop_after": "4u",
        "training.validation.every": "2u",
        "training.validation.metric": metric,
        "training.validation.stop_on": f"{{{metric}: 9, loss: 9}}",
    }
    printed = done(nmt("run", recipe, *SMALL, *(f"{k}={v}" for k, v in settings.items()), "-o", run))
    assert METRICS[metric].corpus_scorer(False, "13a").corpus_score(["a"], [["a"]]).name in printed
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    first, second = (event for event in events if event["event"] == "validation")
    if all(METRICS[metric].is_at_floor(event[metric]) for event in (first, second)):
        improved = second["loss"] < first["loss"]
    else:
        best = max if METRICS[metric].higher_is_better else min
        improved = second[metric] != first[metric] and second[metric] == best(first[metric], second[metric])
    assert (first["best"], second["best"]) == (True, improved)
    assert metric_heading(metric) == METRICS[metric].label
    lines = (corpus / "test.src").read_bytes()
    assert done(nmt("translate", run, "--mbr", metric, "--samples", 3, stdin=lines)).count("\n") == 4
    assert done(nmt("score", run / "test.hyp", "--ref", corpus / "test.tgt", "--metrics", metric))


def test_an_unknown_metric_is_refused_with_the_names_before_a_model_is_read(tmp_path: Path) -> None:
    refused = nmt("translate", tmp_path / "missing", "--mbr", "rouge")
    assert "no metric 'rouge', one of: bleu, chrf, chrf++, ter" in refused.output
