import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nmt import __version__
from nmt.cli import app as root
from nmt.errors import DataError, Interruption, UsageError, raise_on_signals

runner = CliRunner()
ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "tests/compatibility/v0.1"


class Unexpected(BaseException):
    """An exception of a cell file that is none of Python's."""


def an_app_that(raises: BaseException) -> typer.Typer:
    """A command line with one verb, which fails."""
    app = typer.Typer(cls=root.VerbGroup, pretty_exceptions_enable=False)
    app.callback()(lambda: None)

    @app.command()
    def fail() -> None:
        raise raises

    return app


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_command_answers_without_importing_heavy_rooms(option: str) -> None:
    code = (
        "import sys; sys.argv = ['nmt', sys.argv[1]]\n"
        "from nmt.cli import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, option], capture_output=True, encoding="utf-8", cwd=ROOT, check=True
    )
    heavy = {"torch", "numpy", "sacrebleu", "sentencepiece", "pydantic", "yaml", "safetensors"}
    assert heavy.isdisjoint(done.stderr.split())
    assert done.stdout


def test_the_version_is_printed() -> None:
    assert runner.invoke(root.app, ["--version"]).stdout == f"nmt {__version__}\n"


def test_the_help_names_the_verbs() -> None:
    result = runner.invoke(root.app, ["--help"])
    assert result.exit_code == 0
    assert "recipes" in result.stdout


def all_verbs(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """Every verb that does something, with the verb that it belongs to."""
    if not hasattr(command, "commands"):
        yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from all_verbs(inner, *words, name)


@pytest.mark.parametrize("words", [*all_verbs(typer.main.get_command(root.app))], ids=" ".join)
def test_no_word_of_a_help_is_cut_or_split_at_80_columns(words: tuple[str, ...]) -> None:
    wide, narrow = (
        runner.invoke(root.app, [*words, "--help"], terminal_width=width, env={"COLUMNS": f"{width}"}).stdout
        for width in (300, 80)
    )
    assert {*wide.split()} <= {*narrow.split()}
    assert max(map(len, narrow.splitlines())) <= 80
    assert "<bool>" not in narrow
    assert not re.search(r"<\w+ range>|x>=|\{", narrow)


def test_the_help_of_a_verb_reads_as_text_with_its_options_by_subject() -> None:
    text = runner.invoke(root.app, ["translate", "--help"], env={"COLUMNS": "80"}).stdout
    assert text.splitlines()[0].endswith(" translate [OPTIONS] MODEL")
    assert "\n  -i, --src, --input FILE  Input; by default stdin.\n" in text
    assert "\n      --no-unk                  Never output <unk>.\n" in text
    sections = re.findall(r"^(\w.*):$", text, re.MULTILINE)
    assert (sections[0], sections[1], sections[-1]) == ("Arguments", "Files", "Options")
    text = runner.invoke(root.app, ["train", "--help"], env={"COLUMNS": "80"}).stdout
    assert text.splitlines()[0].endswith(" train [OPTIONS] RECIPE... [KEY=VALUE...]")
    assert "training.stop_after=5e (all: `nmt recipes" in text


def test_a_misspelt_verb_is_answered_with_the_nearest() -> None:
    result = runner.invoke(root.app, ["recipe"])
    assert result.exit_code == 2
    assert "recipes" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no such model"), 2, "nmt: no such model\n"),
        (DataError("train.de: line 3 is not UTF-8"), 1, "nmt: train.de: line 3 is not UTF-8\n"),
        (PermissionError(13, "Permission denied", "runs"), 1, "nmt: runs: Permission denied\n"),
        (
            ModuleNotFoundError("No module", name="torch.nn"),
            1,
            "nmt: torch is not installed: pip install torch "
            "(exported models translate and rescore without it)\n",
        ),
        (
            ModuleNotFoundError("No module", name="sentencepiece"),
            1,
            "nmt: sentencepiece is not installed: pip install sentencepiece\n",
        ),
        (OSError(28, "No space left on device"), 1, "nmt: No space left on device\n"),
        (Interruption(), 130, "nmt: stopped\n"),
        (KeyboardInterrupt(), 1, "nmt: the code of a custom cell raised KeyboardInterrupt\n"),
        (Unexpected("no luck"), 1, "nmt: the code of a custom cell raised Unexpected: no luck\n"),
        (typer.Exit(3), 3, ""),
    ],
)
def test_an_error_becomes_a_message_and_an_exit_code(error: BaseException, code: int, said: str) -> None:
    result = runner.invoke(an_app_that(raises=error), ["fail"])
    assert (result.exit_code, result.stderr, result.stdout) == (code, said, "")


def test_a_bug_is_reported_and_its_traceback_is_printed_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NMT_DEBUG", raising=False)
    result = runner.invoke(an_app_that(raises=KeyError("gate")), ["fail"])
    assert result.exit_code == root.BUG
    assert "this is a bug, sorry: KeyError: 'gate'" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("NMT_DEBUG", "1")
    assert isinstance(runner.invoke(an_app_that(raises=KeyError("gate")), ["fail"]).exception, KeyError)


def test_a_broken_pipe_is_not_reported() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "recipes", "ls"],
        stdout=writing,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=ROOT,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (root.BROKEN_PIPE, "")


def test_a_wrong_option_ends_with_exit_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "recipes", "ls", "--al"], capture_output=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2


def test_processes_import_nothing_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study's directory may come from a stranger, and `python -m` looks there first."""
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.delenv("PYTHONSAFEPATH")
    monkeypatch.setattr(sys, "argv", ["nmt", "--version"])
    with pytest.raises(SystemExit):
        root.main()
    (tmp_path / "tabnanny.py").write_text("print('run unasked')", encoding="utf-8")
    for command in (["-m", "tabnanny", "."], ["-c", "import tabnanny"]):
        child = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, check=True)
        assert b"unasked" not in child.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "arguments",
    [
        ("average", ARTIFACTS / "interrupted"),
        pytest.param(("export", ARTIFACTS / "averaged"), marks=pytest.mark.slow),
        ("clean", ARTIFACTS / "text/train.de", ARTIFACTS / "text/train.en"),
        ("merge", ARTIFACTS / "jobs/lines.1.en", ARTIFACTS / "jobs/lines.2.en"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_nothing_unfinished_is_left_after_a_signal(
    arguments: tuple[object, ...],
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rename = os.replace

    def replace(old: Path, new: Path) -> None:
        if Path(new).parent == tmp_path:
            os.kill(os.getpid(), number)
        rename(old, new)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "rename", replace)
    before = signal.getsignal(number)
    result = runner.invoke(root.app, [*map(str, arguments), "-o", str(tmp_path / "out")])
    assert result.exit_code == code, result.output
    assert result.stderr == ("nmt: stopped\n" if code == 130 else "")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with raise_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_choice_that_does_not_exist_is_refused_with_the_others() -> None:
    result = runner.invoke(root.app, ["translate", "run", "--split", "no"])
    assert result.exit_code == 2
    assert "Invalid value for '--split': 'no' is not one of 'auto', 'never'." in result.stderr
