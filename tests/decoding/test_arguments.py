"""Arguments of the Python interface are checked like options of the command line."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmt
from nmt.decoding.job import Line, LineConstraints
from nmt.decoding.options import WIDEST, Options
from nmt.errors import UsageError
from nmt.export.directory import load_export

ARTIFACTS = Path(__file__).resolve().parents[1] / "compatibility/v0.1"


@pytest.fixture(scope="module")
def translator() -> nmt.Translator:
    return nmt.Translator(ARTIFACTS / "averaged")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beam": 0}, "beam must be 1 or more (got 0)"),
        ({"beam": -1}, "beam must be 1 or more"),
        ({"beam": True}, "beam must be a whole number (got True)"),
        ({"beam": 2.0}, "beam must be a whole number"),
        ({"beam": "2"}, "beam must be a whole number (got '2')"),
        ({"beam": np.float64(2)}, "beam must be a whole number"),
        ({"beam": 10**30}, "beam must be a whole number"),
        ({"beam": WIDEST + 1}, "the beam and n_best must be at most 10,000"),
        ({"n_best": 0}, "n_best must be 1 or more (got 0)"),
        ({"n_best": [2]}, "n_best must be a whole number"),
        ({"n_best": 6, "beam": 5}, "n_best 6 exceeds the beam of 5"),
        ({"options": {"beam": 2}}, "options must be Options (got {'beam': 2})"),
        ({"options": 0}, "options must be Options (got 0)"),
        ({"aligned": 1}, "aligned must be True or False (got 1)"),
        ({"aligned": "no"}, "aligned must be True or False"),
        ({"attention": 1}, "attention must be True or False"),
        ({"prefix": None}, "the prefix must be a string (got None)"),
        ({"must": "phrase"}, "must must be a list of strings (got 'phrase')"),
        ({"must_not": [1]}, "each of must_not must be a string"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, Any], message: str, translator: nmt.Translator
) -> None:
    with pytest.raises(UsageError) as refused:
        translator.translate(["a"], **arguments)
    assert message in str(refused.value)


def constrained(**constraints: Any) -> list[Line]:
    return [Line(1, "a", constraints=LineConstraints(**constraints))]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"a line", "lines must be a string or a list of strings (got b'a line')"),
        (None, "lines must be a string or a list of strings"),
        (3, "lines must be a string or a list of strings"),
        (["a", None], "line 2 must be a string (got None)"),
        (["a", b"b"], "line 2 must be a string (got b'b')"),
        ([("a", "b")], "line 1 must be a string"),
        ([["a"]], "line 1 must be a string"),
        ([Line(1, None)], "the text of line 1 must be a string"),  # type: ignore[arg-type]
        ([Line("1", "a")], "the number of line 1 must be a whole number"),  # type: ignore[arg-type]
        ([Line(1, "a", constraints=None)], "must be LineConstraints"),  # type: ignore[arg-type]
        (constrained(must="phrase"), "must of line 1 must be a list of strings (got 'phrase')"),
        (constrained(must_not=(1,)), "each of must_not of line 1 must be a string"),
        (constrained(prefix=("a",)), "the prefix of line 1 must be a string"),
        (constrained(seed=-1), "the seed of line 1 must be 0 or more"),
        (constrained(seed="x"), "the seed of line 1 must be a whole number"),
    ],
)
def test_lines_that_are_no_text_are_refused(lines: Any, message: str, translator: nmt.Translator) -> None:
    with pytest.raises(UsageError) as refused:
        translator.translate(lines)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beam": 2.5}, "beam must be a whole number"),
        ({"batch": 0}, "beam, batch, n_best, groups must be 1 or more"),
        ({"batch": None}, "batch must be a whole number (got None)"),
        ({"max_ratio": float("nan")}, "max_ratio must be a finite number"),
        ({"length_penalty": float("inf")}, "length_penalty must be a finite number"),
        ({"suggestion_margin": 10**400}, "suggestion_margin must be a finite number (got 1000"),
        ({"temperature": "1"}, "temperature must be a finite number"),
        ({"top_p": True}, "top_p must be a finite number"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"sample": "yes"}, "sample must be True or False"),
        ({"normalisation": 1}, "normalisation must be a string"),
    ],
)
def test_options_have_types_and_ranges(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        replace(Options(), **change)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nmt.Translator(), "a Translator needs a model"),
        (lambda: nmt.Translator(3), "(got 3)"),  # type: ignore[arg-type]
        (lambda: nmt.Translator([ARTIFACTS / "averaged"]), "is the path of a run"),  # type: ignore[arg-type]
        (lambda: nmt.Translator(b"model"), "(got b'model')"),  # type: ignore[arg-type]
        (lambda: nmt.Translator("a\0b"), "is the path of a run"),
        (lambda: nmt.Translator("absent", trust_code=1), "trust_code must be True or False"),  # type: ignore[arg-type]
        (lambda: load_export(ARTIFACTS / "onnx", threads=0), "threads must be 1 or more"),
        (lambda: load_export(ARTIFACTS / "onnx", threads="2"), "threads must be a whole"),  # type: ignore[arg-type]
    ],
)
def test_models_and_threads_are_checked(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        call()
    assert message in str(refused.value)


def test_an_exported_model_is_loaded_without_torch() -> None:
    pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")
    code = (
        "import sys, pathlib, nmt\n"
        "lines = pathlib.Path(sys.argv[2]).read_text('utf-8').split('\\n')[:3]\n"
        "for one in nmt.Translator(sys.argv[1]).translate(lines): print(one.text)\n"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, ARTIFACTS / "onnx", ARTIFACTS / "text/test.de"]
    found = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    lines = (ARTIFACTS / "text/test.de").read_text("utf-8").split("\n")[:3]
    texts = [one.text for one in nmt.Translator(ARTIFACTS / "onnx", ARTIFACTS / "onnx").translate(lines)]
    assert found.splitlines() == texts


def test_what_means_the_same_is_accepted(translator: nmt.Translator) -> None:
    [expected] = translator.translate(["ein Hund"], beam=3, n_best=2, aligned=True)
    ratio = np.float64(translator.options.max_ratio)
    options = replace(translator.options, beam=np.int32(3), n_best=np.int64(2), max_ratio=ratio)
    for lines in (np.array(["ein Hund"]), (line for line in ["ein Hund"]), [Line(np.int64(1), "ein Hund")]):  # type: ignore[arg-type]
        [found] = translator.translate(lines, beam=np.int64(3), n_best=np.int8(2), aligned=np.bool_(True))  # type: ignore[arg-type]
        assert [one.text for one in found.candidates] == [one.text for one in expected.candidates]
    [found] = translator.translate(["ein Hund"], options=options)
    assert [one.text for one in found.candidates] == [one.text for one in expected.candidates]
    assert type(options.beam) is int
    assert translator.translate([]) == []
    [found] = translator.translate(["\ud800 Hund"])
    assert found.line.text == "\ufffd Hund"
