"""A line that is written to `nmt translate` is answered while the pipe stays open."""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path

import pytest
import typer

from nmt.cli.translate import translate
from nmt.data import pipes
from nmt.data.pipes import PipeLines, open_pipe
from nmt.decoding.job import LineReader, number_lines
from nmt.errors import DataError
from nmt.workers import Workers
from tests.decoding import small

TIMEOUT = 120  # seconds, on a machine under load
EXPORTED = Path(__file__).resolve().parents[1] / "compatibility" / "v0.1" / "onnx"


class Coprocess:
    """`nmt translate` in another process, and the two pipes to it."""

    def __init__(self, model: str, *options: str) -> None:
        (theirs, self.writer), (self.reader, out) = os.pipe(), os.pipe()
        ours = (self.writer, self.reader)
        process = get_context("fork").Process(target=_serve, args=(model, options, theirs, out, ours))
        self.process = process
        process.start()
        os.close(theirs)
        os.close(out)
        self.rest = b""

    def answer(self, text: str, lines: int = 1) -> list[str]:
        """Write a text and return as many lines of the answer; the pipe stays open."""
        os.write(self.writer, text.encode())
        while self.rest.count(b"\n") < lines:
            assert wait([self.reader], TIMEOUT), f"no answer; so far {self.rest!r}"
            block = os.read(self.reader, 1 << 16)
            assert block, "the other process has ended"
            self.rest += block
        *answered, self.rest = self.rest.split(b"\n", lines)
        return [line.decode() for line in answered]

    def close(self) -> None:
        os.close(self.writer)
        self.process.join(TIMEOUT)
        os.close(self.reader)
        assert self.process.exitcode == 0


def _serve(model: str, options: tuple[str, ...], source: int, output: int, others: tuple[int, ...]) -> None:
    for end in others:
        os.close(end)
    sys.stdin = io.TextIOWrapper(os.fdopen(source, "rb"), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(os.fdopen(output, "wb"), encoding="utf-8")
    app = typer.Typer()
    app.command()(translate)
    app([model, "-q", *options], standalone_mode=False)
    sys.stdout.flush()


@contextmanager
def coprocess(model: str, *options: str) -> Iterator[Coprocess]:
    process = Coprocess(model, *options)
    try:
        yield process
        process.close()
    finally:
        process.process.kill()
        process.process.join()


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("read_ahead", ["0", "20"])
def test_each_line_is_answered_before_the_next_one_is_written(
    monkeypatch: pytest.MonkeyPatch, workers: str, read_ahead: str
) -> None:
    small.take_its_place(monkeypatch)
    with coprocess("model", "--workers", workers, "--read-ahead", read_ahead) as process:
        first = process.answer("a dog\n")
        assert first != [""]
        assert process.answer("\n") == [""]
        assert process.answer("a dog\n") == first
        assert process.answer("a dog\na cat\na dog\n", 3)[::2] == first * 2
        assert process.answer("a dog\nno end", 1) == first  # a line without its end is no line yet
        assert len(process.answer(" here\n")) == 1


@pytest.mark.parametrize("workers", ["1", "3"])
def test_json_and_n_best_lists_are_answered_too(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    small.take_its_place(monkeypatch)
    with coprocess("model", "--json", "--workers", workers) as process:
        for text in ("a dog", "a cat"):
            [record] = process.answer(json.dumps({"text": text}) + "\n")
            assert json.loads(record)["text"] == text
    with coprocess("model", "--n-best", "2", "--workers", workers) as process:
        for number in range(3):
            assert all(line.startswith(f"{number} |||") for line in process.answer("a dog\n", 2))


@pytest.mark.parametrize("workers", ["1", "3"])
def test_an_exported_model_answers_too(workers: str) -> None:
    pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")
    with coprocess(str(EXPORTED), "--workers", workers) as process:
        first = process.answer("Der alte Hund sucht einen Vogel.\n")
        assert process.answer("Der alte Hund sucht einen Vogel.\n") == first != [""]


@contextmanager
def open_pair() -> Iterator[tuple[PipeLines, io.RawIOBase]]:
    source, end = os.pipe()
    with os.fdopen(source, "rb") as stream, os.fdopen(end, "wb", buffering=0) as writer:
        lines = open_pipe(stream)
        assert lines is not None
        yield lines, writer


@pytest.fixture
def pipe() -> Iterator[tuple[PipeLines, io.RawIOBase]]:
    with open_pair() as pair:
        yield pair


def test_lines_are_put_together_whatever_the_blocks(
    pipe: tuple[PipeLines, io.RawIOBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "BLOCK", 3)
    lines, writer = pipe
    text = b"a\n\nlonger line\r\n\xff\n" + "é\u2028x\nlast".encode()
    writer.write(text)
    writer.close()
    assert list(lines) == list(io.BytesIO(text))
    assert next(lines, None) is None
    assert lines.is_ready()


def test_a_line_without_end_is_refused(
    pipe: tuple[PipeLines, io.RawIOBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.data.text.LONGEST_LINE", 1000)
    lines, writer = pipe
    writer.write(b"short\n" + b"y" * 2000)
    with pytest.raises(DataError, match="the input, line 2: longer than 1,000 bytes"):
        list(lines)


def test_a_part_of_a_line_is_not_ready(pipe: tuple[PipeLines, io.RawIOBase]) -> None:
    lines, writer = pipe
    assert not lines.is_ready()
    writer.write(b"a")
    assert not lines.is_ready()
    writer.write(b"b\nc")
    assert lines.is_ready()
    assert next(lines) == b"ab\n"
    assert not lines.is_ready()
    writer.close()
    assert lines.is_ready()
    assert list(lines) == [b"c"]


def test_windows_are_full_while_there_is_input(pipe: tuple[PipeLines, io.RawIOBase]) -> None:
    lines, writer = pipe
    reader = LineReader(number_lines((line.decode(), None) for line in lines))
    windows = reader.windows(4, lines)
    writer.write(b"x\n" * 10)
    assert [len(next(windows).lines) for _ in range(3)] == [4, 4, 2]
    writer.write(b"x\n" * 3)
    writer.close()
    assert [len(window.lines) for window in windows] == [3]


def test_results_of_workers_are_not_held_back() -> None:
    with Workers(lambda: bytes.upper, 3) as workers, open_pair() as (lines, writer):
        results = workers.map(lines, lines)
        for text in (b"a\n", b"b\n"):
            writer.write(text)
            assert next(results) == (text, text.upper())
        writer.write(b"c\n" * 20)
        writer.close()
        assert [result for _, result in results] == [b"C\n"] * 20


def test_files_are_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n")
    with path.open("rb") as stream:
        assert open_pipe(stream) is None
    assert open_pipe(io.BytesIO(b"a\n")) is None
    with open("/dev/null", "rb") as null:
        lines = open_pipe(null)
        assert lines is not None
        assert list(lines) == []
