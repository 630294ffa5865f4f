"""A long job over garbage and sentences, killed three times, writes what an undisturbed one writes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Finished
from tests.end_to_end.test_one_line_in_one_line_out import nasty_lines

LINES = 200_000
KILLED_AFTER = (30_000, 90_000, 150_000)  # lines
SHARE_OF_GARBAGE = 0.1


def mixed(sentences: list[bytes], count: int, seed: int = 1) -> Iterator[bytes]:
    """Sentences with garbage between them: bytes that are no text, blank lines, very long ones."""
    draw, garbage, real = random.Random(seed), cycle(nasty_lines(seed, 2_000)), cycle(sentences)
    for _ in range(count):
        if draw.random() < 0.0005:
            yield next(garbage) * 200
        else:
            yield next(garbage) if draw.random() < SHARE_OF_GARBAGE else next(real)


def start(finished: Finished, source: Path, output: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nmt", "translate", str(finished.run), "-i", str(source)]
    files = ["-o", str(output), "--alignments", f"{output}.pairs"]
    with output.with_suffix(".log").open("ab") as log:
        return subprocess.Popen([*command, *files, "--beam", "1", "-q", *options], stderr=log)


def killed_after(lines: int, process: subprocess.Popen[bytes], card: Path) -> None:
    while process.poll() is None:
        if card.exists() and json.loads(card.read_bytes())["done"]["lines"] >= lines:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.real
def test_200_000_lines_through_two_workers_with_three_kills(
    finished: Finished, shared_corpora: Path, tmp_path: Path
) -> None:
    sentences = _german(shared_corpora)
    source, killed, undisturbed = tmp_path / "source", tmp_path / "killed", tmp_path / "undisturbed"
    source.write_bytes(b"".join(line + b"\n" for line in mixed(sentences, LINES)))
    for lines in KILLED_AFTER:
        killed_after(
            lines,
            start(finished, source, killed, "--workers", "2", "--resume"),
            tmp_path / "killed.part.json",
        )
    assert start(finished, source, killed, "--workers", "2", "--resume").wait() == 0
    assert start(finished, source, undisturbed).wait() == 0
    assert killed.read_bytes().count(b"\n") == LINES
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert Path(f"{killed}.pairs").read_bytes() == Path(f"{undisturbed}.pairs").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("killed", "killed.log", "killed.pairs"),
        *("source", "undisturbed", "undisturbed.log", "undisturbed.pairs"),
    ]


def _german(corpora: Path) -> list[bytes]:
    """The German side of the Tatoeba pairs."""
    with zipfile.ZipFile(corpora / "tatoeba-de-en" / "deu-eng.zip") as archive:
        text = archive.read("deu.txt").decode()
    return list(islice((line.split("\t")[1].encode() for line in text.split("\n") if line), LINES))
