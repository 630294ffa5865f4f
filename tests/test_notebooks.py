"""The tutorial as notebooks, and training in a notebook's kernel."""

import os
import shlex
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests.test_tutorial import CHAPTERS, CHECKOUT, TUTORIAL, blocks, commands

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
pytest.importorskip("jupytext")
spec = spec_from_file_location("notebooks", CHECKOUT / "docs" / "notebooks.py")
assert spec is not None and spec.loader is not None
notebooks = module_from_spec(spec)
spec.loader.exec_module(notebooks)

SHIM = """#!/bin/sh
case $1 in
    run | train)
        exec {python} -m nmt "$@" training.stop_after=4u training.validation.every=4u \\
            training.learning_rate.warmup=0 ;;
    *) exec {python} -m nmt "$@" ;;
esac
"""
"""The command `nmt` with runs that end after four updates."""


def make(folder: Path, language: str, chapter: str) -> Any:
    path = notebooks.make_notebook(TUTORIAL / language / chapter, folder / language)
    return nbformat.read(path, as_version=4)


def codes(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Run a notebook in `folder`, whose bin/ comes first on the path."""
    python = Path(sys.executable).parent
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder / "bin"), str(python), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    client = nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(folder)}})
    client.execute(**options)


def text_of(cell: Any, name: str) -> str:
    return "".join(output.text for output in cell.outputs if output.get("name") == name)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_notebook_has_all_of_its_chapter(chapter: str, tmp_path: Path) -> None:
    english, korean = (make(tmp_path, language, chapter) for language in ("en", "ko"))
    code = "\n".join(codes(english))
    assert codes(korean) == codes(english)
    assert [line for line in commands(chapter) if line not in code.replace("\\\n", "")] == []
    for block in blocks(chapter):
        if block.file:
            assert f"%%writefile {block.file}\n{block.text.rstrip()}" in code
    assert ">>>" not in code
    assert code.count("SVG(") == len(set(code.split('SVG("')[1:]))
    assert all(cell.get("outputs", []) == [] for cell in english.cells)


def test_links_of_a_notebook_lead_to_notebooks_and_to_the_pages(tmp_path: Path) -> None:
    [text] = [cell.source for cell in make(tmp_path, "ko", "7-your-own-cell.md").cells[-1:]]
    found = notebooks.LINK.search(text)
    assert (tmp_path / "ko" / found[1]).resolve() == CHECKOUT / "docs" / "guide.md" or "guide.md" in text
    first = make(tmp_path, "en", "2-forgetting.md")
    assert any("](3-lstm.ipynb)" in cell.source for cell in first.cells)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("chapters", [CHAPTERS[:1], pytest.param(CHAPTERS, marks=pytest.mark.long)], ids=len)
def test_notebooks_run_one_after_the_other(
    chapters: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "bin" / "nmt"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(python=shlex.quote(sys.executable)), encoding="utf-8")
    shim.chmod(0o755)
    for chapter in chapters:
        notebook = make(tmp_path, "en", chapter)
        execute(notebook, tmp_path, monkeypatch)
        wants = [
            example.want.strip()
            for block in blocks(chapter)
            for example in notebooks.EXAMPLES.get_examples(block.text)
            if example.want
        ]
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        results = [output.data for output in outputs if output.output_type == "execute_result"]
        assert [data["text/plain"] for data in results if "image/svg+xml" not in data] == wants
        assert "\x1b" not in "".join(output.get("text", "") for output in outputs)


TRAIN = "run = nmt.train('hello', overrides=overrides, output='runs/hello')"
INTERRUPT = """
import os, signal
import nmt
from nmt.training.logging import MetricsLog

overrides = {"training.stop_after": "12u", "training.validation.every": "6u"}
write = MetricsLog.write

def write_and_interrupt(log, event, *rest):
    write(log, event, *rest)
    if event["event"] == "validation":
        os.kill(os.getpid(), signal.SIGINT)  # as the stop button does

MetricsLog.write = write_and_interrupt
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_training_in_a_kernel_is_interrupted_resumed_and_plotted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [INTERRUPT + TRAIN, f"MetricsLog.write = write\n{TRAIN}", "run.plot('loss')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
    notebook.cells[0].metadata["tags"] = ["raises-exception"]
    execute(notebook, tmp_path, monkeypatch)
    stopped, resumed, plotted = notebook.cells
    assert stopped.outputs[-1].ename == "KeyboardInterrupt"
    assert text_of(resumed, "stdout").count("resuming from") == 1
    lines = [output.data["text/plain"] for output in resumed.outputs if "data" in output]
    assert len(lines) == 1
    assert "12/12" in lines[0]
    log = (tmp_path / "runs" / "hello" / "train.log").read_text(encoding="utf-8").splitlines()
    shown = (text_of(stopped, "stdout") + text_of(resumed, "stdout")).splitlines()
    assert shown == [line for line in log if line in shown]
    assert sum("12/12" in line for line in log) <= 1
    assert [text_of(cell, "stderr") for cell in notebook.cells] == ["", "", ""]
    assert "image/png" in plotted.outputs[0].data
