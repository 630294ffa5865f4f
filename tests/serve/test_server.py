"""The program `nmt serve`: equal answers, no torch for exports, signals, and the configuration read again."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nmt import Translator
from tests.end_to_end.toy import done, nmt

CHECKOUT = Path(__file__).parents[2]
ARTIFACTS = CHECKOUT / "tests/compatibility/v0.1"
EXPORT, LINES = ARTIFACTS / "onnx", ARTIFACTS / "lines.de"

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")


class ServeProcess:
    """A running `nmt serve`."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        connection.request("GET" if body is None else "POST", path, body and json.dumps(body))
        response = connection.getresponse()
        status, content = response.status, response.read()
        connection.close()
        return status, json.loads(content) if content[:1] in (b"{", b"[") else content.decode()

    def translate(self, text: str, **fields: Any) -> str:
        status, answer = self.ask("/v1/translate", {"text": text, **fields})
        assert status == 200, answer
        return str(answer["translations"][0]["text"])

    def wait_for(self, text: str) -> None:
        """Wait until the log has a text."""
        while text not in self.log.read_text(encoding="utf-8"):
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            threading.Event().wait(0.01)


@contextmanager
def serve(folder: Path, *words: object) -> Iterator[ServeProcess]:
    log = folder / "log"
    command = [sys.executable, "-m", "nmt", "serve", "--port", "0", *map(str, words)]
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"},
            encoding="utf-8",
        )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().partition(" ")[0]
        assert url.startswith("http://127.0.0.1:"), log.read_text(encoding="utf-8")
        yield ServeProcess(process, url, log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def mapped_files(pid: int) -> str:
    """Return the names of the files in the memory of a process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    own = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return own + "".join(mapped_files(int(child)) for child in children)


def test_an_export_is_served_without_torch_and_as_the_configuration_says(tmp_path: Path) -> None:
    config = tmp_path / "serve.yaml"
    config.write_text(f"models: [{{path: {EXPORT}, name: first}}]\nlimits: {{texts: 5}}\n", encoding="utf-8")
    lines = LINES.read_text(encoding="utf-8").splitlines()
    expected = done(nmt("translate", EXPORT, "-i", LINES, "-q")).splitlines()
    with serve(tmp_path, "--config", config) as server:
        with ThreadPoolExecutor(8) as threads:
            assert [*threads.map(server.translate, lines)] == expected
        assert server.translate("\n".join(lines)) == "\n".join(expected)
        asked = {"text": lines[0], "n_best": 3, "beam": 6, "scores": True, "alignments": True}
        [found] = server.ask("/v1/translate", asked)[1]["translations"][0]["lines"]
        same = Translator(EXPORT).translate(lines[0], n_best=3, beam=6, aligned=True)
        assert [(one["text"], one["score"], one["token_log_probs"]) for one in found["candidates"]] == [
            (one.text, one.score, one.token_log_probs) for one in same.candidates
        ]
        assert [tuple(pair) for pair in found["alignment"]] == same.alignment
        if sys.platform == "linux":
            files = mapped_files(server.process.pid)
            assert "onnxruntime" in files
            assert "libtorch" not in files
        assert server.ask("/v1/translate", {"text": ["a"] * 6})[0] == 400
        config.write_text("models: []\nlimits: {text: 5}\n", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("limits.text: no such setting, did you mean 'texts'?")
        assert server.translate(lines[0], model="first") == expected[0]
        config.write_text(f"models: [{{path: {EXPORT}, name: second}}]\nworkers: 2\n", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("workers: changed from the next start on")
        assert server.translate(lines[0], model="second") == expected[0]
        assert server.ask("/v1/translate", {"text": "a", "model": "first"})[0] == 400
        assert server.ask("/v1/translate", {"text": ["a"] * 6})[0] == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    assert lines[0] not in server.log.read_text(encoding="utf-8")


LONG = "\n".join(["Der alte Hund sucht einen Vogel."] * 500)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_requests_are_answered_before_the_end_unless_a_second_signal_comes(
    tmp_path: Path, number: signal.Signals
) -> None:
    with serve(tmp_path, f"de-en={EXPORT}") as server, ThreadPoolExecutor(1) as threads:
        answer = threads.submit(server.ask, "/v1/translate", {"text": LONG})
        while "nmt_running 0" in server.ask("/metrics")[1]:
            pass
        server.process.send_signal(number)
        server.wait_for("stopping when all requests are answered")
        if number == signal.SIGTERM:
            assert answer.result(120)[0] == 200
            assert server.process.wait(60) == 0
        else:
            server.process.send_signal(number)
            assert server.process.wait(60) == 128 + number
            with pytest.raises(OSError, match=r".*"):
                answer.result(60)


@pytest.mark.slow
def test_a_model_that_is_missing_is_reported(tmp_path: Path) -> None:
    done_process = subprocess.run(
        [sys.executable, "-m", "nmt", "serve", "--port", "0", str(tmp_path / "none")],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )
    assert done_process.returncode == 2  # as of every verb
    assert str(tmp_path / "none") in done_process.stderr
    assert "Traceback" not in done_process.stderr
