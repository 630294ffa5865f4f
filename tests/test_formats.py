"""Directories carry the version of their format: older ones load, newer ones are refused."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt import __version__
from nmt.errors import DataError
from nmt.export.directory import load_export
from nmt.formats import FORMAT, find_format_problem, stamp
from nmt.recipe.artifact import average_checkpoints
from nmt.recipe.tasks.translation import load_translator
from nmt.training import checkpoint
from nmt.untrusted_files import NewerFormat, compute_seal

ARTIFACTS = Path(__file__).parent / "compatibility" / "v0.1"


def edit(file: Path, **entries: Any) -> None:
    """Change entries of a JSON file, and make its seal and the checksum next to it right again."""
    values = {**json.loads(file.read_bytes()), **entries}
    if values.pop("seal", None):
        values["seal"] = compute_seal(values)
    file.write_text(json.dumps(values), encoding="utf-8")
    sums = file.with_name("checksums.json")
    if sums.exists():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        sums.write_text(json.dumps({**json.loads(sums.read_bytes()), file.name: digest}), encoding="utf-8")


LOADED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "interrupted": ("checkpoints/u0000450/checkpoint.json", load_translator),
    "averaged": ("model.json", load_translator),
    "onnx": ("config.json", load_export),
}


@pytest.mark.parametrize("name", LOADED)
def test_a_newer_format_is_refused_with_the_version_that_reads_it(name: str, tmp_path: Path) -> None:
    if name == "onnx":
        pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")
    file, load = LOADED[name]
    copy = tmp_path / name
    shutil.copytree(ARTIFACTS / name, copy, symlinks=True)
    load(copy)  # of version 0.1
    edit(copy / file, format=FORMAT)
    load(copy)
    edit(copy / file, format=FORMAT + 1, nmt="0.3.1")
    message = (
        rf"format {FORMAT + 1} needs nmt 0\.3\.1 or later; this is nmt {__version__}, .*"
        "install that version of recurrent-nmt"
    )
    with pytest.raises(NewerFormat, match=message):
        load(copy)
    for wrong in (True, 0, "2", 2.0, [], None):
        edit(copy / file, format=wrong)
        with pytest.raises(DataError, match="its format .* is not a number"):
            load(copy)


def test_a_checkpoint_of_a_newer_format_is_neither_set_aside_nor_passed_over(tmp_path: Path) -> None:
    for update in (1, 2):
        checkpoint.write(tmp_path / checkpoint.checkpoint_name(update), {}, {}, {"run": {}})
    newest = tmp_path / checkpoint.checkpoint_name(2)
    edit(newest / "checkpoint.json", format=FORMAT + 1)
    with pytest.raises(NewerFormat, match="u0000002"):
        checkpoint.find_latest(tmp_path)
    assert newest.is_dir()


def test_what_is_written_carries_the_format(tmp_path: Path) -> None:
    shutil.copytree(ARTIFACTS / "interrupted", tmp_path / "run", symlinks=True)
    average_checkpoints(tmp_path / "run", [], tmp_path / "model")
    checkpoint.write(tmp_path / "u0000001", {}, {}, {"run": {}})
    for file in (tmp_path / "model" / "model.json", tmp_path / "u0000001" / "checkpoint.json"):
        written = json.loads(file.read_bytes())
        assert {name: written[name] for name in stamp()} == {"format": 2, "nmt": __version__}


@pytest.mark.parametrize("content", ["# Mine\n\nOne more line.\n", None])
@pytest.mark.parametrize("name", ["averaged", "onnx"])
def test_prose_may_be_edited_or_missing(name: str, content: str | None, tmp_path: Path) -> None:
    """Also where an earlier version has recorded its checksum."""
    if name == "onnx":
        pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")
    copy, load = tmp_path / name, LOADED[name][1]
    shutil.copytree(ARTIFACTS / name, copy, symlinks=True)
    readme, sums = copy / "README.md", copy / "checksums.json"
    readme.write_text("# Theirs\n", encoding="utf-8")
    if sums.exists():
        values = {**json.loads(sums.read_bytes()), "README.md": hashlib.sha256(b"# Theirs\n").hexdigest()}
        sums.write_text(json.dumps(values), encoding="utf-8")
    if content is None:
        readme.unlink()
    else:
        readme.write_text(content, encoding="utf-8")
    load(copy)


@pytest.mark.parametrize("writer", [None, 1, "", "x" * 1000])
def test_a_writer_that_is_not_a_version_is_not_repeated(writer: object) -> None:
    problem = find_format_problem({"format": 10**30, "nmt": writer})
    assert problem is not None
    assert "needs a newer nmt or later" in problem[0]
