"""A job that is killed at any moment and resumed writes what an undisturbed one writes."""

import io
import os
import random
import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from nmt.cli.translate import translate
from nmt.decoding.job import JobProgress, Line
from nmt.decoding.resume import open_output, read_checkpoint
from nmt.errors import DataError, UsageError
from nmt.recipe import artifact
from tests.decoding import small
from tests.grid import mark_slow

OURS = (os.path.join("nmt", "decoding", "resume.py"), os.path.join("nmt", "cli", "translate.py"))
RANDOM = random.Random(4)
LINES = [
    " ".join(RANDOM.choices(["ab", "cde", "f\u2028g", "\xff"], k=RANDOM.randrange(9))) for _ in range(60)
]
NASTY = b"\xff\xf0\0\n\n" + "\n".join(LINES).encode() + b"\n\n\nlast"
COUNT = NASTY.count(b"\n") + 1


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    small.take_its_place(monkeypatch)


def nmt(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(translate)
    return CliRunner().invoke(app, ["model", *map(str, arguments)])


def job(folder: Path, *options: object) -> list[object]:
    """The options of a job whose files lie in a folder."""
    source = folder / "source"
    if not source.exists():
        source.write_bytes(NASTY)
    here = ["-i", source, "-o", folder / "out", "--alignments", folder / "pairs"]
    return [*here, "--read-ahead", 2, *options]


def killed_at(moment: float, arguments: list[object]) -> int:
    """Run in a process of its own that is killed before a certain line of the program; how many it ran."""
    context = get_context("fork")
    counted = context.Value("l", 0)

    def line(_: FrameType, event: str, __: Any) -> Callable[..., Any]:
        counted.value += event == "line"
        if counted.value >= moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    def run() -> None:
        sys.settrace(lambda frame, *_: line if frame.f_code.co_filename.endswith(OURS) else None)
        nmt(*arguments)

    process = context.Process(target=run)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return int(counted.value)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "source"}


@pytest.mark.parametrize("attempt", mark_slow(range(3), default=[0]))
@pytest.mark.parametrize(
    "options",
    [(), ("--workers", 2), ("--n-best", 2), ("--format", "fairseq")],
    ids=lambda o: " ".join(map(str, o)),
)
def test_a_job_killed_at_random_moments_ends_as_one_that_was_not(
    tmp_path: Path, options: tuple[object], attempt: int
) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    undisturbed.mkdir(), disturbed.mkdir()
    steps = killed_at(float("inf"), job(undisturbed, *options))
    draw = random.Random(f"{options} {attempt}")
    for _ in range(2):
        killed_at(draw.randrange(steps), job(disturbed, *options, "--resume"))
    assert nmt(*job(disturbed, *options, "--resume")).exit_code == 0
    assert files(disturbed) == files(undisturbed)
    assert set(files(undisturbed)) == {"out", "pairs"}


def test_every_moment_of_the_end_can_be_gone_on_from(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"a\nb\n")
    steps = killed_at(float("inf"), job(tmp_path))
    whole = files(tmp_path)
    for moment in range(steps - 60, steps, 4):
        for name in files(tmp_path):
            (tmp_path / name).unlink()
        killed_at(moment, job(tmp_path))
        assert nmt(*job(tmp_path, "--resume")).exit_code == 0
        assert files(tmp_path) == whole


def stopped(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    """Leave a job behind that was stopped after its first window."""
    from nmt.decoding import translation

    translate_window = translation.translate_window

    def stops(lines: list[Line], of: translation.Job) -> list[translation.Translation]:
        if lines[0].number > 1:
            raise KeyboardInterrupt
        return translate_window(lines, of)

    with monkeypatch.context() as patch:
        patch.setattr(translation, "translate_window", stops)
        assert nmt(*job(folder, *options)).exit_code == 130
    assert (folder / "out.part").read_bytes().count(b"\n") == 16


@pytest.mark.parametrize("options", [(), ("--resume",)])
def test_a_second_job_with_the_same_output_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    stream = io.BytesIO()
    with open_output(stream, [tmp_path / "out"], {}, None) as output:
        output.write(["one"])
        output.save(JobProgress(1))
        checkpoint = read_checkpoint([tmp_path / "out"], {}) if options else None
        second = open_output(stream, [tmp_path / "out"], {}, checkpoint)
        with pytest.raises(UsageError, match="another process is writing .*out: wait"), second:
            raise AssertionError
        output.write(["two"])
    assert files(tmp_path) == {"out": b"one\ntwo\n"}


def test_what_was_translated_is_not_translated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path, monkeypatch)
    done = nmt(*job(tmp_path, "--resume"))
    assert f"{COUNT - 16} lines in" in done.stderr
    assert ", 16 before" in done.stderr
    assert "line 1: byte 0xff" not in done.stderr
    assert "warnings above" in done.stderr


def test_another_model_or_other_options_are_refused_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path, monkeypatch)
    before = files(tmp_path)
    monkeypatch.setattr(artifact, "model_fingerprint", lambda _: "another one")
    refused = nmt(*job(tmp_path, "--resume", "--beam", 3, "--scores"))
    assert isinstance(refused.exception, DataError)
    for said in (
        "model: was the small one, now another one",
        "beam: was 2, now 3",
        "--format: was plain, now scored",
    ):
        assert said in str(refused.exception)
    assert files(tmp_path) == before


def test_what_does_not_change_the_text_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path, monkeypatch)
    assert nmt(*job(tmp_path, "--resume", "--batch", 3, "--workers", 2, "-q")).exit_code == 0
    resumed = files(tmp_path)
    assert nmt(*job(tmp_path)).exit_code == 0
    assert resumed == files(tmp_path)


@pytest.mark.parametrize("source", [NASTY.replace(b"last", b"").replace(b"\0", b"\1"), b"a\n", b""])
def test_another_input_is_refused(source: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path, monkeypatch)
    before = files(tmp_path)
    (tmp_path / "source").write_bytes(source)
    refused = nmt(*job(tmp_path, "--resume"))
    assert isinstance(refused.exception, DataError)
    assert "16 lines" in str(refused.exception)
    assert files(tmp_path) == before


def test_an_input_that_has_grown_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path, monkeypatch)
    (tmp_path / "source").write_bytes(NASTY + b" line\nand one more\n")
    assert nmt(*job(tmp_path, "--resume")).exit_code == 0
    assert files(tmp_path)["out"].count(b"\n") == COUNT + 1


def test_an_output_that_has_lost_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path, monkeypatch)
    (tmp_path / "pairs.part").write_bytes(b"0-0\n")
    refused = nmt(*job(tmp_path, "--resume"))
    assert isinstance(refused.exception, DataError)
    assert "pairs.part is shorter" in str(refused.exception)


def test_a_torn_card_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path, monkeypatch)
    (tmp_path / "out.part.json").write_text('{"identity"', encoding="utf-8")
    assert isinstance(nmt(*job(tmp_path, "--resume")).exception, DataError)


def test_resume_needs_a_file_and_without_one_left_behind_begins(tmp_path: Path) -> None:
    assert isinstance(nmt("--resume").exception, UsageError)
    assert nmt(*job(tmp_path, "--resume")).exit_code == 0
    assert files(tmp_path)["out"].count(b"\n") == COUNT
