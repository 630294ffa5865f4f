"""The command line of `nmt score`."""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
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


@pytest.mark.parametrize("segmented", [["hyp"], ["ref"], ["hyp", "ref"]])
def test_segments_of_subword_nmt_are_joined_before_scoring(nmt: Nmt, segmented: list[str]) -> None:
    whole = nmt("hyp", "--ref", "ref")
    for name in segmented:
        file = Path(name)
        file.write_text(re.sub(r"(\w{3})(?=\w)", r"\1@@ ", file.read_text("utf-8")), encoding="utf-8")
    joined = nmt("hyp", "--ref", "ref")
    assert joined.stdout == whole.stdout
    assert joined.stderr.count("were joined before scoring") == len(segmented)


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
    assert isinstance(error(nmt("hyp")), UsageError)


def test_metrics_may_be_named_with_spaces(nmt: Nmt) -> None:
    assert "chrF2|" in nmt("hyp", "--ref", "ref", "--metrics", "bleu, chrf").stdout


@pytest.mark.parametrize("paired", ["bs", "ar"])
def test_a_comparison_can_be_written_as_json(nmt: Nmt, paired: str) -> None:
    done = nmt("hyp", "--ref", "ref", "--baseline", "worse", "--paired", paired, "--json")
    assert done.exit_code == 0
    baseline, system = json.loads(done.stdout)
    assert baseline["system"] == "worse"
    assert 0 < system["scores"][0]["p_value"] <= 1


BLANKS = {
    "one": ["", *HYP[1:9]],
    "white space": ["  \t", *HYP[1:5], "\u3000", *HYP[6:9]],
    "all": [""] * 9,
}


@pytest.mark.parametrize("blank", BLANKS)
def test_blank_lines_have_scores_with_every_option(nmt: Nmt, blank: str) -> None:
    files = {"blank": BLANKS[blank], "hyp": HYP[:9], "ref": REF[:9], "ref2": OTHER_REF[:9]}
    for name, lines in files.items():
        Path(name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    metrics = ("-m", "bleu,chrf,chrf++,ter")
    for words in (("blank", "-r", "ref"), ("hyp", "-r", "blank"), ("blank", "-r", "ref", "-r", "ref2")):
        for options in (("--confidence",), ("--json", "--lowercase"), ("--tokenize", "zh")):
            done = nmt(*words, *metrics, *options)
            assert done.exit_code == 0, done.exception
            assert "nan" not in done.stdout.lower()
    for systems in (("blank", "--baseline", "hyp"), ("hyp", "--baseline", "blank")):
        done = nmt(*systems, "-r", "ref", "-m", "bleu,chrf", "--json")
        assert done.exit_code == 0, done.exception


def test_standard_input_is_scored(nmt: Nmt) -> None:
    text = "".join(line + "\n" for line in HYP)
    file = nmt("hyp", "-r", "ref", "-m", "bleu").stdout
    assert isinstance(error(nmt("-", "-r", "-")), UsageError)
    command = [sys.executable, "-m", "nmt", "score", "-", "-r", "ref", "-m", "bleu"]
    piped = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    assert piped.stdout.decode() == file.replace("hyp\n", "-\n", 1)


CHINESE = ["我昨天在图书馆借了三本书。", "你什么时候回来？", "他是我们的老师。"]


def write_chinese() -> None:
    Path("zh").write_text("".join(line + "\n" for line in CHINESE), encoding="utf-8")
    lines = [line.replace("我", "你") for line in CHINESE]
    Path("out").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize("options", [(), ("-l", "zh"), ("-l", "zh-TW"), ("--language", "en-zh")])
def test_the_tokenizer_fits_the_language_or_the_references(nmt: Nmt, options: tuple[str, ...]) -> None:
    write_chinese()
    done = nmt("out", "-r", "zh", "-m", "bleu,chrf", *options)
    assert "tok:zh|" in done.stdout
    assert done.stderr == ""
    assert "tok:13a|" in nmt("out", "-r", "zh", "-m", "bleu", "-l", "zh-en").stdout
    assert "tok:zh|" in nmt("out", "-r", "zh", "--baseline", "zh", "-m", "bleu").stdout


def test_a_tokenizer_that_does_not_fit_is_pointed_out(nmt: Nmt) -> None:
    write_chinese()
    hint = nmt("out", "-r", "zh", "-m", "bleu,chrf", "--tokenize", "13a").stderr
    assert hint.startswith("nmt: out: BLEU is 0.00, but chrF ")
    assert "try --tokenize zh" in hint
    Path("short").write_text("yes\n", encoding="utf-8")
    assert "few or short lines" in nmt("short", "-r", "short", "-m", "bleu,chrf").stderr
    assert nmt("hyp", "-r", "ref").stderr == ""


@pytest.fixture
def sacrebleu_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of sacreBLEU's test sets; it is empty, and downloads fail."""
    from sacrebleu import utils
    from sacrebleu.dataset import DATASETS

    def refuse(url: str) -> None:
        raise urllib.error.URLError(f"no route to {url}")

    folder = tmp_path / "sacrebleu"
    monkeypatch.setattr(utils, "SACREBLEU_DIR", str(folder))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    for name in ("wmt17", "wmt20/tworefs"):
        monkeypatch.setattr(DATASETS[name], "_outdir", str(folder / name))
        monkeypatch.setattr(DATASETS[name], "_rawdir", str(folder / name / "raw"))
    return folder


def test_public_test_sets_are_those_of_sacrebleu(nmt: Nmt, sacrebleu_directory: Path) -> None:
    folder = sacrebleu_directory / "wmt17"
    folder.mkdir(parents=True)
    for name in ("src", "ref", "docid", "genre", "origlang"):
        shutil.copy("ref", folder / f"wmt17.en-de.{name}")
    done = nmt("hyp", "--test-set", "wmt17", "-l", "en-de", "-m", "bleu")
    assert done.exit_code == 0, done.exception
    assert f"{sacrebleu.corpus_bleu(HYP, [REF]).score:.2f}" in done.stdout


def test_a_test_set_that_cannot_be_downloaded_is_named_with_its_address(
    nmt: Nmt, sacrebleu_directory: Path
) -> None:
    failed = error(nmt("hyp", "--test-set", "wmt17", "-l", "en-de"))
    assert isinstance(failed, DataError)
    for part in ("wmt17 en-de", str(sacrebleu_directory), "https://data.statmt.org/wmt17", "no route to"):
        assert part in str(failed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--test-set", "wmt170", "-l", "en-de"), "no test set 'wmt170', did you mean 'wmt17'"),
        (("--test-set", "wmt17"), "needs a pair of languages, --language: cs-en, de-en"),
        (("--test-set", "wmt17", "-l", "en-xx"), "no pair of languages 'en-xx'"),
        (("--test-set", "wmt17", "-l", "en-de", "-r", "ref"), "either --ref FILE, or --test-set"),
        ((), "either --ref FILE, or --test-set"),
    ],
)
def test_references_that_are_not_given_well_are_explained(
    nmt: Nmt, arguments: tuple[str, ...], message: str
) -> None:
    refused = error(nmt("hyp", *arguments))
    assert isinstance(refused, UsageError)
    assert message in str(refused)


def test_tokenized_text_is_reported_by_the_command_alone(nmt: Nmt, caplog: pytest.LogCaptureFixture) -> None:
    Path("tokenized").write_text("A cat sits here .\n" * 100, encoding="utf-8")
    Path("detokenized").write_text("A cat sits here.\n" * 100, encoding="utf-8")
    note = nmt("tokenized", "-r", "detokenized").stderr
    assert note == "nmt: tokenized: 100 lines end in ' .'; scores need detokenized text\n"
    assert nmt("detokenized", "-r", "tokenized").stderr == ""
    assert not caplog.records
