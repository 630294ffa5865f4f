"""The quality of a line in the output of `nmt translate` and in Python."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nmt as package
from nmt.decoding.io import format_quality
from nmt.decoding.job import Line
from nmt.decoding.translation import translate_lines
from nmt.errors import UsageError
from nmt.evaluation.quality import QualityModel, request_quality
from nmt.evaluation.tuning import TUNING, BeamAndPenalty, TunedSearch, Tuning
from nmt.recipe.artifact import find_trained
from nmt.recipe.tasks.translation import build_job, load_translator
from nmt.serve.batching import RunningSearches
from nmt.serve.requests import LineRequest, TranslationSettings
from tests.end_to_end.toy import done, nmt
from tests.evaluation.test_quality import EVIDENCE

ARTIFACTS = Path(__file__).resolve().parent.parent / "compatibility" / "v0.1"
LINES = (ARTIFACTS / "text" / "test.de").read_text(encoding="utf-8").splitlines()
WEIGHTS = {"log_prob": 2.0, "lowest": 0.5, "length": -1.0, "agreement": 3.0, "coverage": 1.0}


def make_tuning(weights: str) -> Tuning:
    """A choice that keeps the search, with an estimate of quality."""
    setting = BeamAndPenalty(3, 1.0)
    search = TunedSearch(setting, setting, "chrF2", 50.0, 50.0, 10)
    return Tuning(weights, search, QualityModel(50.0, 3, 1.0, WEIGHTS, -0.5, EVIDENCE))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    shutil.copytree(ARTIFACTS / "interrupted", run, symlinks=True)
    (run / TUNING).write_bytes(make_tuning(find_trained(run).sha256).to_bytes())
    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "in.de"
    file.write_text("\n".join([*LINES, "", "    ", f"{LINES[0]} {LINES[1]}"]) + "\n", encoding="utf-8")
    return file


def translate(run: Path, source: Path, *options: object) -> list[str]:
    return done(nmt("translate", run, "-q", "-i", source, *options)).split("\n")[:-1]


def test_a_column_has_the_quality_and_nothing_else_changes(run: Path, source: Path) -> None:
    plain = translate(run, source)
    rows = [line.split("\t") for line in translate(run, source, "--quality")]
    assert [text for _, text in rows] == plain
    assert [quality == "" for quality, _ in rows] == [not text for text in plain]
    values = [float(quality) for quality, text in rows if text]
    assert all(0 < value < 1 for value in values)
    assert len({*values}) > 3
    scored = [line.split("\t") for line in translate(run, source, "--quality", "--scores")]
    assert [[quality, text] for _, quality, text in scored] == rows
    assert [score for score, _, _ in scored] == [
        line.split("\t")[0] for line in translate(run, source, "--scores")
    ]


def test_json_has_the_quality_and_the_candidates_asked_for(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "in.json"
    file.write_text("".join(json.dumps({"text": line}) + "\n" for line in [LINES[0], "", "[1"]), "utf-8")
    file.write_text(file.read_text("utf-8") + "[1\n", "utf-8")
    options = ("--json", "--quality", "--n-best", "2")
    result = nmt("translate", run, "-q", "-i", file, *options)
    assert result.exit_code == 1  # of the line that is no JSON
    first, blank, _, broken = map(json.loads, result.stdout.splitlines())
    assert 0 < first["quality"] < 1
    assert len(first["n_best"]) == 2
    assert blank["quality"] is None
    assert "quality" not in broken


def test_the_quality_depends_on_no_other_line(run: Path, source: Path) -> None:
    whole = translate(run, source, "--quality")
    assert translate(run, source, "--quality", "--batch", "1") == whole
    assert translate(run, source, "--quality", "--workers", "2") == whole
    done(nmt("translate", run, "-q", "-i", source, "--quality", "--verify", "5"))


def test_a_job_is_resumed_with_the_same_estimate_only(run: Path, source: Path, tmp_path: Path) -> None:
    loaded = load_translator(run)
    job = build_job(loaded)
    asked = request_quality(job)
    assert asked.settings() != job.settings()
    assert loaded.tuning is not None
    assert loaded.tuning.quality is not None
    other = job._replace(estimator=replace(loaded.tuning.quality, bias=0.0))
    assert request_quality(other).settings() != asked.settings()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beam", "5"], "calibrated for a search with beam 3"),
        (["--length-penalty", "0.5"], "calibrated for a search"),
        (["--coverage-penalty", "0.2"], "calibrated for a search"),
        (["--sample"], "calibrated for a search"),
        (["--mbr", "chrf"], "calibrated for a search"),
        (["--n-best", "2"], "the format moses has no quality"),
        (["--format", "fairseq"], "the format fairseq has no quality"),
        (["--ensemble", ARTIFACTS / "averaged"], "no estimate of quality"),
    ],
)
def test_what_has_no_quality_is_refused(run: Path, source: Path, options: list[str], message: str) -> None:
    result = nmt("translate", run, "-q", "-i", source, "--quality", *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_a_model_without_an_estimate_says_how_to_get_one(source: Path) -> None:
    result = nmt("translate", ARTIFACTS / "averaged", "-q", "-i", source, "--quality")
    assert result.exit_code == 2
    assert "nmt tune RUN --write" in result.stderr


def test_python_gives_the_same_quality(run: Path, source: Path) -> None:
    translator = package.Translator(run)
    found = translator.translate([*LINES, ""], quality=True)
    rows = [line.split("\t")[0] for line in translate(run, source, "--quality")]
    assert [f"{one.quality:.4f}" for one in found[:-1]] == rows[: len(LINES)]
    assert found[-1].quality is None
    assert all(one.candidates[0].attention is None and len(one.candidates) == 1 for one in found)
    assert translator.translate(LINES[0]).quality is None
    with_attention = translator.translate(LINES[0], quality=True, attention=True, n_best=2)
    assert with_attention.candidates[0].attention is not None
    assert len(with_attention.candidates) == 2
    with pytest.raises(UsageError, match="quality must be True or False"):
        translator.translate(LINES[0], quality=1)  # type: ignore[call-overload]


def test_requests_to_the_server_have_the_quality_of_the_command(run: Path, source: Path) -> None:
    searches = RunningSearches({"m": build_job(load_translator(run))})
    lines = source.read_text(encoding="utf-8").splitlines()
    asked = (
        TranslationSettings(quality=True),
        TranslationSettings(),
        TranslationSettings(beam=2, quality=True),
    )
    for ticket, line in enumerate(lines):
        for kind, settings in enumerate(asked):
            request = LineRequest("m", Line(1, line), settings)
            searches.add(3 * ticket + kind, request, is_streamed=False)
    found: dict[int, Any] = {}
    while not searches.is_idle:
        found |= {event.ticket: event.result for event in searches.advance()}
    rows = [f"{format_quality(one)}\t{one.text}" for _, one in sorted(found.items())[::3]]
    assert rows == translate(run, source, "--quality")
    assert {found[3 * ticket + 1].quality for ticket in range(len(lines))} == {None}
    assert "calibrated for a search with beam 3" in str(found[2])


def test_a_line_that_was_not_translated_has_quality_0(run: Path) -> None:
    job = request_quality(build_job(load_translator(run)))
    plain = build_job(load_translator(run))
    [found] = translate_lines([("\u2603", None)], job)
    [same] = translate_lines([("\u2603", None)], plain)
    assert found.text == same.text
    if not same.candidates[0].tokens:  # no token of the line is in the vocabulary
        assert found.quality == 0


def test_exports_have_the_quality_of_the_model(run: Path, source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    exported = tmp_path / "onnx"
    shutil.copytree(ARTIFACTS / "onnx", exported)
    (exported / TUNING).write_bytes((run / TUNING).read_bytes())
    assert nmt("translate", exported, "-q", "-i", source, "--quality").exit_code == 2  # it is not listed
    sums = json.loads((exported / "checksums.json").read_bytes())
    sums[TUNING] = hashlib.sha256((exported / TUNING).read_bytes()).hexdigest()
    (exported / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")
    rows = [line.split("\t") for line in translate(exported, source, "--quality")]
    assert all(0 < float(quality) < 1 for quality, text in rows if text)
    assert "probability that chrF is 50 or more" in done(nmt("inspect", "model", exported))


def test_inspect_model_names_search_and_quality(run: Path) -> None:
    printed = " ".join(done(nmt("inspect", "model", run)).split())
    assert "translator de-en" in printed
    assert "beam 3, length penalty 1, chosen on 10 validation lines" in printed
    facts = json.loads(done(nmt("inspect", "model", ARTIFACTS / "averaged", "--json")))
    assert facts["weights"].startswith("the mean of u")
    assert facts["search"] == "beam 3, length penalty 1, of the recipe"
    language_model = done(nmt("inspect", "model", ARTIFACTS / "language-model"))
    assert "language model" in language_model


@pytest.mark.slow
def test_an_export_of_a_tuned_run_has_its_quality(run: Path, source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    done(nmt("export", run, "-o", tmp_path / "small", "--check", source))
    assert translate(tmp_path / "small", source, "--quality") == translate(run, source, "--quality")
    card = (tmp_path / "small" / "README.md").read_text(encoding="utf-8")
    assert "Quality: the probability that chrF is 50 or more" in card
