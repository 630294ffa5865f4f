"""Runs, models, exports and jobs made by version 0.1 work as before, and so do its options and settings."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from nmt import __version__
from tests.end_to_end.toy import app, done, nmt

ARTIFACTS = Path(__file__).parent / "v0.1"
EXPECTED = ARTIFACTS / "expected"

TRANSLATIONS: dict[str, tuple[str, ...]] = {
    "interrupted": ("interrupted",),
    "interrupted-shortlist": ("interrupted", "--shortlist"),
    "averaged": ("averaged",),
    "averaged-greedy": ("averaged", "--beam", "1"),
    "averaged-sample": ("averaged", "--sample", "--seed", "3", "--temperature", "0.7"),
    "averaged-mbr": ("averaged", "--mbr", "chrf"),
    "averaged-lm": ("averaged", "--lm", "language-model", "--lm-weight", "0.3", "--trust-code"),
    "averaged-constrained": ("averaged", "--must", "must", "--unk-replace"),
    "ensemble": ("averaged", "--ensemble", "interrupted", "--no-repeat-ngram", "3"),
    "onnx": ("onnx",),
    "onnx-greedy": ("onnx", "--beam", "1"),
    "onnx-int8": ("onnx-int8",),
    "onnx-int8-greedy": ("onnx-int8", "--beam", "1"),
}

WITHDRAWN_VALUES = {"engine": {"inductor"}}
"""Values that the reference page no longer lists, by setting."""


CHANGED_DEFAULTS = {
    "translation:training.validation.metric": "auto",
    "translation:training.validation.samples": "0",
    "language-model:training.validation.samples": "0",
    "translation:training.keep": "4",
    "language-model:training.keep": "4",
}
"""Defaults that are different for new runs; runs of version 0.1 keep theirs, which their recipe contains."""


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of everything in another directory than it was made in; it is the current directory."""
    copy = tmp_path / "v0.1"
    shutil.copytree(ARTIFACTS, copy, symlinks=True)
    monkeypatch.chdir(copy)
    return copy


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_models_translate_to_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.startswith("onnx"):
        pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")
    monkeypatch.chdir(ARTIFACTS)
    # products of eight-bit numbers depend on the processor: clear cases only
    lines = "text/test.de" if "int8" in name else "lines.de"
    result = nmt("translate", *TRANSLATIONS[name], "--split", "never", "-q", "-i", lines)
    assert result.exit_code == 0, result.output
    assert result.stdout_bytes == (EXPECTED / f"{name}.en").read_bytes()


def test_alignments_are_the_same(tmp_path: Path) -> None:
    output, alignments = tmp_path / "out.en", tmp_path / "out.align"
    lines = ARTIFACTS / "lines.de"
    outputs = ("-o", output, "--alignments", alignments)
    done(nmt("translate", ARTIFACTS / "averaged", "--split", "never", "-i", lines, *outputs))
    assert output.read_bytes() == (EXPECTED / "averaged.en").read_bytes()
    assert alignments.read_bytes() == (EXPECTED / "averaged.align").read_bytes()


def test_scores_of_given_translations_are_the_same() -> None:
    pairs = ("-i", ARTIFACTS / "text/test.de", "-t", ARTIFACTS / "text/test.en")
    scores = [float(line) for line in done(nmt("rescore", ARTIFACTS / "averaged", *pairs, "-q")).splitlines()]
    before = [float(line) for line in (EXPECTED / "averaged.rescore").read_text("utf-8").splitlines()]
    assert scores == pytest.approx(before, abs=2e-4)


def test_a_language_model_with_a_custom_cell_works_as_before() -> None:
    run = ARTIFACTS / "language-model"
    sample = done(nmt("sample", run, "--prompt", "The old", "--length", 60, "--count", 2, "--trust-code"))
    assert sample == (EXPECTED / "language-model.sample").read_text("utf-8")
    measured = done(nmt("perplexity", run, ARTIFACTS / "text/test.en", "--length", 50))
    before = (EXPECTED / "language-model.perplexity").read_text("utf-8")
    assert numbers(measured) == pytest.approx(numbers(before), abs=2e-3)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+(?:\.\d+)?", text)]


def test_an_interrupted_run_resumes_and_ends_with_the_same_losses(artifacts: Path) -> None:
    run = artifacts / "interrupted"
    kept = [file for file in (*run.glob("*.spm"), *run.glob("data/*/*")) if file.is_file()]
    untouched = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in kept}
    assert len(untouched) == 6
    earlier = (run / "metrics.jsonl").read_bytes()
    resumed = nmt("train", "translation.yaml", "-o", "interrupted")
    assert resumed.exit_code == 0, resumed.output
    assert "interrupted/checkpoints/u0000450" in resumed.stderr
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in kept} == untouched
    assert (run / "metrics.jsonl").read_bytes().startswith(earlier)
    now, before = validations(run / "metrics.jsonl"), validations(EXPECTED / "finished.metrics.jsonl")
    assert [one["update"] for one in now] == [*range(50, 501, 50)]
    for ours, theirs in zip(now, before, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert (run / "checkpoints/best").resolve().name == "u0000500"


def validations(metrics: Path) -> list[dict[str, Any]]:
    """What every validation measured."""
    events = map(json.loads, metrics.read_text("utf-8").splitlines())
    return [event for event in events if event.pop("event") == "validation"]


def test_shards_are_merged(artifacts: Path) -> None:
    done(nmt("merge", "jobs/lines.1.en", "jobs/lines.2.en", "-o", "lines.en"))
    assert (artifacts / "lines.en").read_bytes() == (EXPECTED / "averaged.en").read_bytes()


def test_an_interrupted_translation_is_resumed_by_the_version_that_began_it_only(artifacts: Path) -> None:
    info = artifacts / "jobs/valid.en.part.json"
    begun = (artifacts / "jobs/valid.en.part").read_bytes()
    files = ("-i", "text/valid.de", "-o", "jobs/valid.en")
    resume = ("translate", "averaged", *files, "--split", "never", "--resume")
    refused = nmt(*resume)
    assert refused.exit_code == 1, refused.output
    assert f"nmt: was 0.1.0, now {__version__}" in refused.stderr
    assert (artifacts / "jobs/valid.en.part").read_bytes() == begun
    info.write_text(info.read_text("utf-8").replace('"nmt": "0.1.0"', f'"nmt": "{__version__}"'), "utf-8")
    done(nmt(*resume))
    whole = (artifacts / "jobs/valid.en").read_bytes()
    assert whole.startswith(begun)
    assert whole == (artifacts / "text/valid.en").read_bytes()


def test_every_option_is_still_there() -> None:
    now = options(typer.main.get_command(app))
    for verb, before in json.loads((ARTIFACTS / "options.json").read_text("utf-8")).items():
        assert set(before) <= set(now[verb]), verb


def options(command: Any, path: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """The options of every verb, hidden ones included."""
    found = [*command.params]
    names = {
        name for one in found if one.param_type_name == "option" for name in (*one.opts, *one.secondary_opts)
    }
    verbs = {" ".join(("nmt", *path)): sorted(names)}
    for name, inner in getattr(command, "commands", {}).items():
        verbs |= options(inner, (*path, name))
    return verbs


def test_every_setting_has_its_default_and_its_values() -> None:
    now = settings(done(nmt("recipes", "reference")))
    for name, before in json.loads((ARTIFACTS / "settings.json").read_text("utf-8")).items():
        assert now[name]["default"] == CHANGED_DEFAULTS.get(name, before["default"]), name
        withdrawn = WITHDRAWN_VALUES.get(name.rpartition(":")[2], set())
        assert set(before["values"]) - withdrawn <= set(now[name]["values"]), name


def settings(page: str) -> Mapping[str, Mapping[str, Any]]:
    """The settings of the reference page: `task:section.setting` to its default and the values it lists."""
    return dict(_settings(page))


def _settings(page: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    task = section = ""
    for line in page.splitlines():
        if heading := re.match(r"## `task: (.+)`", line):
            task = heading[1]
        elif heading := re.match(r"####? (.+)", line):
            section = f"{heading[1]}." if re.fullmatch(r"[a-z_.]+", heading[1]) else ""
        elif row := re.match(r"\| `([^`]+)` \| (.+?) \| (\*required\*|`.*?`) \|", line):
            values = sorted(re.findall(r"`([^`]+)`", row[2]))
            yield f"{task}:{section}{row[1]}", {"default": row[3].strip("`*"), "values": values}
