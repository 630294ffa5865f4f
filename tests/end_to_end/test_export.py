"""From a finished run to a directory that is translated with, without torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Finished
from tests.end_to_end.test_passed_on import private_texts
from tests.end_to_end.toy import done, nmt

pytest.importorskip("onnx", reason="exporting needs the extra [export]")
pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")

from nmt.export.export_model import read_validation_texts
from nmt.recipe.tasks.translation import load_translator

LINES = "Der alte Hund sucht einen Vogel.\n\nDer gute Mann malt einen Baum.\n"


@pytest.fixture(scope="module")
def shipped(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported translator; tests that break it break a copy."""
    folder = tmp_path_factory.mktemp("shipped") / "model"
    check = ["--check", finished.text / "test.de", "--ref", finished.text / "test.en"]
    printed = done(nmt("export", finished.run, "--to", "onnx", "-o", folder, *check))
    assert "0 of 20 lines differ" in printed
    assert "BLEU" in printed
    return folder


def test_it_translates_as_the_run_does(finished: Finished, shipped: Path) -> None:
    ours, theirs = (
        done(nmt("translate", model, "-q", stdin=LINES.encode())) for model in (shipped, finished.run)
    )
    assert ours == theirs
    assert len(ours.splitlines()) == 3


def test_its_card_has_the_name_of_the_directory(shipped: Path) -> None:
    card = (shipped / "README.md").read_text("utf-8")
    assert f"\n# {shipped.name}\n" in card
    assert f"| nmt translate {shipped.name}\n" in card


def test_its_precision_is_that_of_the_export(shipped: Path) -> None:
    refused = nmt("translate", shipped, "--int8", "-q", stdin=LINES.encode())
    assert refused.exit_code == 2
    assert "was exported in float32" in refused.stderr


def test_invisible_characters_change_nothing_in_either(finished: Finished, shipped: Path) -> None:
    dirty = LINES.replace("Hund", "Hu\u00adn\u200bd").replace("Mann", "Ma\u2060nn\x85").encode()
    clean = done(nmt("translate", finished.run, "-q", stdin=LINES.encode()))
    for model in (shipped, finished.run):
        assert done(nmt("translate", model, "-q", stdin=dirty)) == clean


@pytest.mark.parametrize("option", ["--must", "--prefix"])
def test_a_phrase_that_cannot_be_written_is_refused_by_either(
    option: str, finished: Finished, shipped: Path, tmp_path: Path
) -> None:
    (tmp_path / "phrases").write_text("https://x.org/a?b=1\n\nΖ\n", encoding="utf-8")
    for model in (shipped, finished.run):
        found = nmt("translate", model, option, tmp_path / "phrases", stdin=LINES.encode())
        assert found.stdout_bytes == b"\n\n\n"
        assert "'https://x.org/a?b=1' cannot be written: the target vocabulary has no tokens" in found.stderr


def test_both_apply_a_glossary_and_report_what_they_cannot_write(
    finished: Finished, shipped: Path, tmp_path: Path
) -> None:
    (tmp_path / "terms.tsv").write_text(
        "Hund\tfish stone\nmann\tΖ\nBaum\tred bird\tsuggested\n", encoding="utf-8"
    )
    options = ["-q", "--glossary", tmp_path / "terms.tsv", "--suggestion-margin", "100"]
    text = b"Der alte Hund sucht einen Mann.\nDer alte Vogel kennt einen Baum.\n"
    found = [nmt("translate", model, *options, stdin=text) for model in (shipped, finished.run)]
    first, second = found[0].stdout.splitlines()
    assert "fish stone" in first
    assert "fish stone" not in second
    assert "red bird" in second
    assert "line 1: the term 'mann' -> 'Ζ' is not applied: the target vocabulary" in found[0].stderr
    assert [one.stdout for one in found] == [found[0].stdout] * 2


def test_it_rescores_as_the_run_does(finished: Finished, shipped: Path) -> None:
    sides = ["--src", finished.text / "test.de", "--tgt", finished.text / "test.en"]
    ours, theirs = (
        [float(score) for score in done(nmt("rescore", model, *sides, "-q")).split()]
        for model in (shipped, finished.run)
    )
    assert len(ours) == 20
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_the_comparison_is_printed_and_written_to_a_report(shipped: Path) -> None:
    report = json.loads((shipped / "report.json").read_text(encoding="utf-8"))
    assert report["lines"] == 20
    assert report["differing"] == []
    assert any(name.startswith("BLEU|") for name in report["exported"]["scores"])


def test_it_has_no_path_of_this_machine(finished: Finished, shipped: Path) -> None:
    assert private_texts(shipped, finished.text.parent) == {}
    compared = read_validation_texts(load_translator(finished.run))
    assert compared is not None
    assert compared.name == "valid.de and valid.en"


def test_translating_with_it_imports_no_torch(shipped: Path) -> None:
    program = (
        "import sys; from nmt.cli.app import app; app(sys.argv[1:], standalone_mode=False); "
        "heavy = {'torch', 'sacrebleu', 'onnx', 'nmt.recipe'} & {*sys.modules}; assert not heavy, heavy"
    )
    command = [sys.executable, "-c", program, "translate", str(shipped), "-q"]
    ran = subprocess.run(command, input=LINES.encode(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.count(b"\n") == 3


@pytest.mark.parametrize("name", ["step.onnx", "config.json", "source.spm", "report.json"])
def test_an_altered_file_is_refused_by_name(shipped: Path, tmp_path: Path, name: str) -> None:
    broken = shutil.copytree(shipped, tmp_path / "broken")
    content = bytearray((broken / name).read_bytes())
    content[len(content) // 2] ^= 1
    (broken / name).write_bytes(content)
    result = nmt("translate", broken, stdin=b"x\n")
    assert result.exit_code == 1
    assert f"{name}: refused" in result.stderr


def test_a_missing_file_and_a_later_format_are_refused(shipped: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(shipped, tmp_path / "broken")
    (broken / "encoder.onnx").unlink()
    assert "encoder.onnx: refused: no such file" in nmt("translate", broken, stdin=b"x\n").stderr
    sums, config = (
        json.loads((shipped / name).read_text(encoding="utf-8")) for name in ("checksums.json", "config.json")
    )
    del sums["step.onnx"], sums["config.json"], sums["encoder.onnx"]
    (broken / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")
    assert (
        "no checksum of config.json, encoder.onnx, step.onnx" in nmt("translate", broken, stdin=b"x\n").stderr
    )
    (broken / "config.json").write_text(json.dumps({**config, "format": 3}), encoding="utf-8")
    assert "format 3 needs nmt 0.2.0 or later" in nmt("translate", broken, stdin=b"x\n").stderr


def test_a_directory_that_exists_is_kept(finished: Finished, shipped: Path) -> None:
    result = nmt("export", finished.run, "-o", shipped)
    assert result.exit_code == 2
    assert "exists; choose another name" in result.stderr


def test_a_failed_export_leaves_nothing_behind(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "short").write_text("a\n", encoding="utf-8")
    result = nmt(
        "export",
        finished.run,
        "-o",
        tmp_path / "x",
        "--check",
        tmp_path / "lines",
        "--ref",
        tmp_path / "short",
    )
    assert result.exit_code == 1
    assert "lines has 2 lines" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines", "short"]
