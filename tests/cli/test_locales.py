"""Locales in which text is not UTF-8, and names of files that are not UTF-8."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.verbs import ROOT, run_verbs
from tests.end_to_end.toy import nmt
from tests.grid import mark_slow

ARTIFACTS = ROOT / "tests" / "compatibility" / "v0.1"
LOCALES = {"ko_KR": "EUC-KR", "zh_CN": "GBK", "ja_JP": "EUC-JP", "C": ""}
CODE_PAGES = ("cp949", "cp1252")  # of consoles of Windows
NAME = os.fsdecode("모델".encode("euc-kr"))
IS_BYTES = pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode here")


def make_locale(language: str, charmap: str, folder: Path) -> Mapping[str, str]:
    """Compile a locale (unless it is C), and return its environment; skip if it cannot be compiled."""
    if language in CODE_PAGES:  # Python's own streams only: names of files are Unicode there
        return {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": language}
    if not charmap:
        return {"LC_ALL": language}
    if shutil.which("localedef") is None:
        pytest.skip("there is no localedef here")
    command = ["localedef", "-i", language, "-f", charmap, str(folder / "locale")]
    made = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if not (folder / "locale").is_dir():
        pytest.skip(f"localedef has no source of {language} in {charmap}: {made.stderr[:200]}")
    return {"LC_ALL": "locale", "LOCPATH": str(folder)}


@pytest.mark.parametrize("language", mark_slow([*LOCALES, *CODE_PAGES], default=["ko_KR"]))
def test_text_messages_and_names_are_utf8_in_every_locale(language: str, tmp_path: Path) -> None:
    locale = make_locale(language, LOCALES.get(language, ""), tmp_path)
    text = "저는 학생이에요. 오늘 학교에 갔어요.\n你好，世界。\n"
    (tmp_path / "글.ko").write_text(text, encoding="utf-8")
    (tmp_path / "옛글.ko").write_bytes(text.splitlines(keepends=True)[0].encode("cp949") * 3)
    (tmp_path / "예.yaml").write_text(
        "task: language-model\ndata: {train: 글.ko, valid: 글.ko}\n", encoding="utf-8"
    )
    verbs = [
        ["score", "글.ko", "-r", "글.ko", "-m", "chrf"],
        ["translate", str(ARTIFACTS / "onnx"), "-i", "글.ko", "-o", "번역.en", "-q"],
        ["recipes", "validate", "예.yaml"],
        ["score", "옛글.ko", "-r", "글.ko"],
    ]
    finished = run_verbs(verbs, tmp_path, {"PYTHONUTF8": "0", **locale})
    output, errors = finished.stdout.decode(), finished.stderr.decode()
    exits = [line for line in output.splitlines() if line.startswith("exit")]
    assert exits == ["exit 0"] * 3 + ["exit 1"], output + errors
    assert "예.yaml: valid" in output
    assert len((tmp_path / "번역.en").read_text(encoding="utf-8").splitlines()) == 2
    assert "nmt: 옛글.ko, line 1: byte 0xc0 at position 1 is not UTF-8; it looks like " in errors
    assert '(it reads "저는 학생이에요. 오늘 학교에 갔어요.")' in errors
    assert "-t UTF-8 '옛글.ko' > '옛글.ko.utf8'`" in errors


@pytest.mark.slow
@IS_BYTES
def test_directories_and_files_may_have_names_that_are_not_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors accepts no such name, and the advice was to restore the file from a copy."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ARTIFACTS / "averaged", NAME)
    Path(f"{NAME}.de").write_text("der hund\n", encoding="utf-8")
    verbs = [["translate", NAME, "-i", f"{NAME}.de", "-o", f"{NAME}.en", "-q"]]
    verbs += [["score", f"{NAME}.en", "-r", f"{NAME}.en", *form] for form in ([], ["--json"])]
    verbs += [["inspect", "sentence", NAME, "der hund", "-o", f"{NAME}.{form}"] for form in ("html", "json")]
    verbs += [["inspect", "sentence", NAME, "der hund", "--format", "txt"]]
    verbs += [["average", str(ARTIFACTS / "interrupted"), "-o", f"{NAME}.mean"]]
    finished = run_verbs(verbs, tmp_path, {"LC_ALL": "C", "NMT_DEBUG": "1"})
    assert finished.stdout.count(b"exit 0") == len(verbs), finished.stdout + finished.stderr
    assert Path(f"{NAME}.en").read_text(encoding="utf-8").count("\n") == 1


@IS_BYTES
def test_a_file_with_such_a_name_is_quoted_in_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{NAME}.ko").write_bytes("저는 학생이에요.\n커피 한 잔 주세요.\n".encode("cp949"))
    message = nmt("score", f"{NAME}.ko", "-r", f"{NAME}.ko").stderr
    assert r"$'\xb8\xf0\xb5\xa8.ko' > $'\xb8\xf0\xb5\xa8.ko.utf8'`" in message
