"""Standard streams that are closed, full or not in UTF-8, and libraries that are not installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.verbs import ROOT, run_verbs

ARTIFACTS = ROOT / "tests/compatibility/v0.1"
CLOSED = "nmt: standard output is closed: redirect it, to /dev/null if the output is not wanted\n"


def run_in_shell(words: str) -> tuple[int, str]:
    """Return the exit code and stderr of a command line, where `nmt` is this command."""
    command = words.replace("nmt", f"{sys.executable} -m nmt", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, encoding="utf-8", cwd=ROOT, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("nmt recipes ls <&-", (0, "")),
        ("nmt recipes ls 2>&-", (0, "")),
        ("nmt recipes ls >&-", (1, CLOSED)),
        ("nmt --version >&-", (1, CLOSED)),
        ("nmt score --help >&-", (1, CLOSED)),
        ("nmt recipes ls >&- 2>&-", (1, "")),
        ("nmt merge no-such -o other 2>&-", (1, "")),
    ],
)
def test_a_command_with_closed_stdout_fails(words: str, result: tuple[int, str]) -> None:
    assert run_in_shell(words) == result


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", ["--help", "--version", "score --help", "recipes ls"])
def test_full_stdout_is_reported(words: str) -> None:
    assert run_in_shell(f"nmt {words} > /dev/full") == (1, "nmt: No space left on device\n")


def test_a_closed_stream_leaves_no_descriptor_for_other_files() -> None:
    code = "import os, sys; from nmt.cli.streams import open_streams; open_streams(); "
    code += "print(os.open('LICENSE', os.O_RDONLY) > 2, sys.stdin.read() == '', file=sys.stdout)"
    command = f'{sys.executable} -c "{code}" <&- 2>&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, encoding="utf-8", cwd=ROOT, check=False)
    assert done.stdout == "True True\n"


RECIPE = """
task: translation
data: {root: 말뭉치, src: de, tgt: en, train: 짝, valid: 짝}
subwords: {kind: char}
engine: torch
encoder: {cell: gru, embedding: 4, hidden: 4}
decoder: {embedding: 4, hidden: 4}
training: {stop_after: 1u, validation: {every: 1u}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_text_and_file_names_are_utf8_whatever_the_locale(tmp_path: Path, locale: dict[str, str]) -> None:
    (tmp_path / "말뭉치").mkdir()
    for side in ("de", "en"):
        (tmp_path / "말뭉치" / f"짝.{side}").write_text("집에 가요.\n여우 둘\n" * 9, encoding="utf-8")
    (tmp_path / "예.yaml").write_text(RECIPE, encoding="utf-8")
    shutil.copytree(ARTIFACTS / "averaged", tmp_path / "모델")
    verbs = [
        ["recipes", "validate", "예.yaml"],
        ["train", "예.yaml", "-o", "학습"],
        ["doctor", "예.yaml", "--updates", "0"],
        ["translate", "모델", "-i", "말뭉치/짝.de", "-o", "번역.en", "-q"],
        ["score", "번역.en", "-r", "말뭉치/짝.en", "-m", "chrf"],
        ["inspect", "sentence", "학습", "여우가 집에", "--format", "txt"],
        ["score", "없음.en", "-r", "없음.en"],
    ]
    done = run_verbs(verbs, tmp_path, os.environ | locale)
    output, errors = done.stdout.decode(), done.stderr.decode()
    exits = [line for line in output.splitlines() if line.startswith("exit")]
    assert exits == ["exit 0"] * 2 + ["exit 1"] + ["exit 0"] * 3 + ["exit 1"], output + errors
    assert {"예.yaml: valid", "학습", "번역.en"} <= set(output.splitlines())
    assert "source       여우가 집에" in output
    assert "nmt: no file 없음.en" in errors
    assert "bug" not in errors


def test_ctrl_c_while_the_command_is_imported_leaves_no_traceback() -> None:
    code = "import sys; sys.modules['nmt.cli.app'] = Stop = type(sys)('app'); "
    code += "exec('def main(): raise KeyboardInterrupt', Stop.__dict__); import nmt.cli as cli; "
    code += "cli.app = Stop; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr) == (130, "nmt: stopped\n")
