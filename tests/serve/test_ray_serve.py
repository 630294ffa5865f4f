"""The example for Ray Serve: a replica translates as the command does."""

import runpy
from pathlib import Path

import pytest

from nmt.decoding.job import Line
from nmt.decoding.translation import translate_window
from nmt.export.directory import load_export

CHECKOUT = Path(__file__).resolve().parents[2]
MODEL = CHECKOUT / "tests" / "compatibility" / "v0.1" / "onnx"
LINES = ["Der alte Hund sucht einen Vogel.", "Ein Mann malt. Ein Hund schläft."]


@pytest.mark.slow
def test_a_replica_translates_as_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    serve = pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
    pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")
    monkeypatch.setenv("MODEL", str(MODEL))
    example = runpy.run_path(str(CHECKOUT / "docs" / "examples" / "ray_serve.py"))
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        handle = serve.run(example["app"])
        answers = [handle.translate.remote(line) for line in LINES]
        found = [answer.result(timeout_s=300) for answer in answers]
    finally:
        serve.shutdown()
        ray.shutdown()
    lines = [Line(number, text) for number, text in enumerate(LINES, 1)]
    assert found == [one.text for one in translate_window(lines, load_export(MODEL))]
