"""`nmt score` as it is typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sacrebleu
import typer
from typer.testing import CliRunner, Result

from nmt.cli.score import score
from nmt.errors import DataError, NmtError, UsageError
from tests.evaluation.test_scores import HYP, OTHER_REF, REF, WORSE

Nmt = Callable[..., Result]


@pytest.fixture
def nmt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nmt:
    """Runs the command in a folder that holds hyp, worse, ref and ref2."""
    monkeypatch.chdir(tmp_path)
    for name, lines in {"hyp": HYP, "worse": WORSE, "ref": REF, "ref2": OTHER_REF}.items():
        Path(name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    app = typer.Typer()
    app.command()(score)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def error(done: Result) -> NmtError:
    assert isinstance(done.exception, NmtError)
    return done.exception


def test_the_table_has_every_score_and_its_signature_in_80_columns(nmt: Nmt) -> None:
    done = nmt("hyp", "--ref", "ref")
    assert done.exit_code == 0
    assert f"BLEU    {sacrebleu.corpus_bleu(HYP, [REF]).score:7.2f}" in done.stdout
    assert "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in done.stdout
    assert all(name in done.stdout for name in ("chrF2", "TER"))
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json_holds_the_same(nmt: Nmt) -> None:
    found = json.loads(
        nmt("hyp", "-r", "ref", "-r", "ref2", "--json", "--confidence", "--metrics", "bleu").stdout
    )
    [bleu] = found[0]["scores"]
    assert found[0]["system"] == "hyp"
    assert bleu["value"] == sacrebleu.corpus_bleu(HYP, [REF, OTHER_REF]).score
    assert bleu["interval"] > 0
    assert "nrefs:2|bs:1000" in bleu["signature"]


def test_a_baseline_brings_significance(nmt: Nmt) -> None:
    for test in ([], ["--paired", "ar"]):
        done = nmt("hyp", "worse", "--baseline", "worse", "--ref", "ref", "-m", "chrf", *test)
        assert "p = 0." in done.stdout
        assert "(significant)" in done.stdout
    assert "±" in nmt("hyp", "-r", "ref", "--confidence").stdout


def test_options_change_score_and_signature(nmt: Nmt) -> None:
    assert "case:lc" in nmt("hyp", "-r", "ref", "-m", "bleu", "--lowercase").stdout
    assert "tok:char" in nmt("hyp", "-r", "ref", "-m", "bleu", "--tokenize", "char").stdout


def test_lines_end_at_the_line_feed_only(nmt: Nmt) -> None:
    Path("hyp").write_text("a\u2028b\x85c\n" * 60, encoding="utf-8")
    assert nmt("hyp", "-r", "ref").exit_code == 0


def test_wrong_input_is_refused(nmt: Nmt) -> None:
    Path("short").write_text("one\n", encoding="utf-8")
    short = error(nmt("short", "-r", "ref"))
    assert isinstance(short, DataError)
    assert "short: 1 lines, but the reference has 60" in str(short)
    assert isinstance(error(nmt("absent", "-r", "ref")), DataError)
    assert isinstance(error(nmt("hyp", "-r", "ref", "-m", "blue")), UsageError)
    assert isinstance(error(nmt("hyp", "-r", "ref", "--paired", "bs")), UsageError)
    assert nmt("hyp").exit_code == 2


def test_metrics_may_be_named_with_spaces(nmt: Nmt) -> None:
    assert "chrF2|" in nmt("hyp", "--ref", "ref", "--metrics", "bleu, chrf").stdout


@pytest.mark.parametrize("paired", ["bs", "ar"])
def test_a_comparison_can_be_written_as_json(nmt: Nmt, paired: str) -> None:
    done = nmt("hyp", "--ref", "ref", "--baseline", "worse", "--paired", paired, "--json")
    assert done.exit_code == 0
    baseline, system = json.loads(done.stdout)
    assert baseline["system"] == "worse"
    assert 0 < system["scores"][0]["p_value"] <= 1
