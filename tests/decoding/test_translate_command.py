"""`nmt translate` as it is typed."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from nmt.cli.translate import translate
from nmt.decoding.job import Line
from nmt.errors import DataError, UsageError
from tests.decoding import small

Nmt = Callable[..., Result]
HELLO = "a dog\n\n\u2028a dog\n".encode()


@pytest.fixture
def nmt(monkeypatch: pytest.MonkeyPatch) -> Nmt:
    """Runs the command on a small model."""
    small.take_its_place(monkeypatch)
    app = typer.Typer()
    app.command()(translate)

    def run(*arguments: object, stdin: bytes = b"", model: str = "model") -> Result:
        return CliRunner().invoke(app, [model, *map(str, arguments)], input=stdin)

    return run


def test_standard_input_goes_to_standard_output_line_by_line(nmt: Nmt) -> None:
    done = nmt(stdin=HELLO)
    assert done.exit_code == 0
    lines = done.stdout_bytes.split(b"\n")
    assert len(lines) == 4
    assert lines[0]
    assert lines[1] == b""
    assert done.stderr.startswith("3 lines in ")


def test_quiet_says_nothing_but_notes(nmt: Nmt) -> None:
    assert nmt("--quiet", stdin=HELLO).stderr == ""
    assert nmt("-q", stdin=b"a\xff\n\n").stderr.startswith("line 1: byte 0xff")


def test_a_last_line_without_an_end_is_a_line(nmt: Nmt) -> None:
    assert nmt(stdin=b"a\nb").stdout_bytes.count(b"\n") == 2
    assert nmt(stdin=b"").stdout_bytes == b""


@pytest.mark.parametrize("names", [("-i", "-o"), ("--input", "--output"), ("--src", "--output")])
def test_files_give_what_streams_give(nmt: Nmt, tmp_path: Path, names: tuple[str, str]) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(HELLO)
    assert nmt(names[0], source, names[1], output).exit_code == 0
    assert output.read_bytes() == nmt(stdin=HELLO).stdout_bytes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.txt"]


def test_a_compressed_file_is_read_as_its_text(nmt: Nmt, tmp_path: Path) -> None:
    source, output = tmp_path / "in.txt.gz", tmp_path / "out.txt"
    source.write_bytes(gzip.compress(HELLO))
    assert nmt("-i", source, "-o", output).exit_code == 0
    assert output.read_bytes() == nmt(stdin=HELLO).stdout_bytes
    in_parts = nmt("-i", source, "-o", output, "--shard", "1/2").exception
    assert isinstance(in_parts, UsageError)
    assert "--shard needs a plain file" in str(in_parts)


def test_the_command_line_comes_before_the_recipe(nmt: Nmt) -> None:
    greedy = nmt("--beam", 1, stdin=HELLO).stdout
    assert nmt("--beam_size", 1, stdin=HELLO).stdout == greedy
    wide = nmt("--beam", 12, "--length-penalty", 0, "--scores", stdin=HELLO).stdout
    assert wide != nmt("--scores", stdin=HELLO).stdout


def test_batch_size_changes_no_byte(nmt: Nmt) -> None:
    text = b"".join(b"word " * (number % 9) + b"\n" for number in range(40))
    assert nmt("--batch", 1, stdin=text).stdout == nmt("--batch-size", 64, stdin=text).stdout


def test_n_best_is_written_as_moses_writes_it_and_widens_the_beam(nmt: Nmt) -> None:
    lines = nmt("--n-best", 3, stdin=HELLO).stdout_bytes.decode().removesuffix("\n").split("\n")
    assert [line.split(" ||| ")[0] for line in lines] == ["0", "0", "0", "1", "2", "2", "2"]
    assert nmt("--n_best", 3, stdin=HELLO).stdout_bytes.decode().removesuffix("\n").split("\n") == lines
    assert isinstance(nmt("--n-best", 3, "--beam", 2, stdin=HELLO).exception, UsageError)
    assert isinstance(nmt("--n-best", 3, "--scores", stdin=HELLO).exception, UsageError)


def test_scores_and_alignments_are_written_when_asked_for(nmt: Nmt, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    done = nmt("--scores", "--alignments", pairs, stdin=HELLO)
    score, text = done.stdout.split("\n")[0].split("\t")
    assert float(score) < 0
    assert text in nmt(stdin=HELLO).stdout
    assert len(pairs.read_bytes().split(b"\n")) == 4
    assert b"-" in pairs.read_bytes()


def test_a_long_line_gives_one_line_and_a_note(nmt: Nmt) -> None:
    done = nmt("--max-length", 50, stdin=b"x" * 3000 + b"\nb\n")
    assert done.stdout_bytes.count(b"\n") == 2
    assert "line 1: 1,001 tokens, more than 50: translated in 21 parts" in done.stderr


def test_what_cannot_be_read_or_written_is_said(nmt: Nmt, tmp_path: Path) -> None:
    absent = nmt("-i", tmp_path / "absent").exception
    assert isinstance(absent, DataError)
    assert "cannot read" in str(absent)
    assert isinstance(nmt("-o", tmp_path / "no" / "folder").exception, UsageError)
    assert isinstance(nmt("-i", tmp_path / "text.gz").exception, DataError)


def test_a_job_that_fails_leaves_no_output_and_keeps_the_old_one(nmt: Nmt, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    output.write_text("old\n", encoding="utf-8")
    assert isinstance(nmt("-o", output, stdin=HELLO, model="missing").exception, DataError)
    assert output.read_text(encoding="utf-8") == "old\n"
    assert list(tmp_path.iterdir()) == [output]


def test_a_stopped_job_says_where_its_lines_stand(
    nmt: Nmt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.decoding import translation as job

    def stops(lines: list[Line], of: job.Job) -> list[job.Translation]:
        if lines[0].number > 1:
            raise KeyboardInterrupt
        return translate_window(lines, of)

    translate_window = job.translate_window
    monkeypatch.setattr(job, "translate_window", stops)
    done = nmt("-o", tmp_path / "out.txt", "--batch", 2, "--read-ahead", 1, stdin=HELLO)
    assert done.exit_code in (1, 130)
    assert "out.txt.part; resume with --resume" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.txt.part", "out.txt.part.json"]
    assert (tmp_path / "out.txt.part").read_bytes().count(b"\n") == 2


def test_a_device_is_written_to_and_not_replaced(nmt: Nmt) -> None:
    assert nmt("-o", os.devnull, stdin=HELLO).exit_code == 0
    assert Path(os.devnull).is_char_device()


def test_a_link_to_the_output_is_followed(nmt: Nmt, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    nmt("-o", link, stdin=b"a\n")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") != "old"


def test_a_folder_cannot_be_the_output(nmt: Nmt, tmp_path: Path) -> None:
    done = nmt("-o", tmp_path, stdin=HELLO)
    assert isinstance(done.exception, UsageError)
    assert "is a directory" in str(done.exception)


BAD = b'{"text": "a b"}\noops\n{"text": 3}\n{"text": "c"}\n'


@pytest.mark.parametrize("workers", [1, 2])
def test_lines_that_are_no_json_give_exit_code_1_once_all_are_answered(
    nmt: Nmt, tmp_path: Path, workers: int
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(BAD)
    failed = nmt("--json", "-q", "-i", source, "-o", output, "--workers", workers)
    assert isinstance(failed.exception, DataError)
    assert "line" not in failed.stderr
    assert '2 lines were not valid, and not translated: see "error" in the output' in str(failed.exception)
    answers = [json.loads(line) for line in output.read_bytes().splitlines()]
    assert [sorted({"translation", "error"} & {*answer}) for answer in answers] == [
        ["translation"], ["error"], ["error"], ["translation"]
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]
    source.write_bytes(BAD.splitlines(keepends=True)[0])
    assert nmt("--json", "-q", "-i", source, "-o", output).exit_code == 0
