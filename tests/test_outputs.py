"""Outputs that would overwrite an input or another output."""

import os
from pathlib import Path

import pytest

from nmt.decoding.resume import checkpoint_path
from nmt.decoding.shards import info_path
from nmt.errors import UsageError
from nmt.files import atomic_directory, part_file, temporary_file
from nmt.outputs import (
    MODEL_FILES,
    check_new_directory,
    check_output_directory,
    check_output_files,
    written_directories,
    written_files,
)

ARTIFACTS = Path(__file__).parent / "compatibility/v0.1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("in").write_bytes(b"text\n")
    return tmp_path


@pytest.mark.parametrize("name", ["in", "./in", "x/../in", "soft", "hard", "to-soft", "linked/in"])
def test_an_output_that_is_an_input_by_any_name_is_refused(folder: Path, name: str) -> None:
    Path("x").mkdir()
    Path("soft").symlink_to("in")
    Path("to-soft").symlink_to(folder / "soft")
    Path("linked").symlink_to(folder)
    os.link("in", "hard")
    with pytest.raises(UsageError, match="--output .* is the same file as the input in: choose"):
        check_output_files({"--output": Path(name)}, [Path("other"), Path("in")])
    with pytest.raises(UsageError, match="the same file as the input"):
        check_output_files({"--output": Path("in")}, [Path(name)])


@pytest.mark.parametrize("name", ["out.part", ".out.part", "out.part.json", "out.shard.json"])
def test_a_file_that_a_job_keeps_next_to_its_output_is_refused(folder: Path, name: str) -> None:
    os.link("in", name)
    for given in ("in", name):
        with pytest.raises(
            UsageError, match=f"--output out would overwrite .*{name}, which is the input {given}"
        ):
            check_output_files({"--output": Path("out")}, [Path(given)])
    with pytest.raises(UsageError, match="--alignments .* would|is the same file as --output out"):
        check_output_files({"--output": Path("out"), "--alignments": Path(name)}, [])


def test_what_is_written_next_to_an_output_is_known(folder: Path) -> None:
    out = folder / "out"
    assert {checkpoint_path(out), info_path(out), part_file(out), temporary_file(out)} < {*written_files(out)}
    with atomic_directory(out) as side:
        assert side in written_directories(out)


@pytest.mark.parametrize("second", ["out", "./out", "x/../out", "link"])
def test_two_outputs_that_are_one_file_are_refused(folder: Path, second: str) -> None:
    Path("x").mkdir()
    Path("link").symlink_to("out")
    with pytest.raises(UsageError, match=f"--alignments {Path(second)} is the same file as --output out"):
        check_output_files({"--output": Path("out"), "--alignments": Path(second)}, [])


def test_devices_and_pipes_are_exempt(folder: Path) -> None:
    os.mkfifo("pipe")
    for name in ("/dev/null", "pipe", "/dev/stdin"):
        check_output_files({"--output": Path(name), "--alignments": Path(name)}, [Path(name)])
    check_output_files({"--output": Path("new"), "--alignments": Path("other")}, [Path("in")])


@pytest.mark.parametrize("model", ["averaged", "language-model", "onnx"])
def test_the_files_of_a_model_are_inputs_and_other_files_in_it_are_not(tmp_path: Path, model: str) -> None:
    read = [file for pattern in MODEL_FILES for file in (ARTIFACTS / model).glob(pattern)]
    for file in read:
        with pytest.raises(UsageError, match="the same file as the input"):
            check_output_files({"--output": file}, [ARTIFACTS / model])
    for name in ("test.en", "curves.svg", "report.html"):
        check_output_files({"--output": ARTIFACTS / model / name}, [ARTIFACTS / model])
    ignored = {"README.md", "train.log", "report.json"}
    kept = {file for file in (ARTIFACTS / model).rglob("*") if file.is_file() and file.name not in ignored}
    assert kept <= {*read}


def test_a_checkpoint_is_read_with_its_run() -> None:
    run = ARTIFACTS / "language-model"
    with pytest.raises(UsageError, match="the same file as the input .*recipe.yaml"):
        check_output_files({"--output": run / "recipe.yaml"}, [run / "checkpoints/best"])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("run", "--output run is the input"),
        ("run/.", "is the input"),
        ("link", "is the input"),
        ("run/averaged", "lies in the input"),
        ("link/averaged", "lies in the input"),
        (".", "contains the input"),
        ("none/..", "contains the input"),
    ],
)
def test_a_directory_that_is_or_contains_or_lies_in_an_input_is_refused(
    folder: Path, output: str, message: str
) -> None:
    Path("run").mkdir()
    Path("link").symlink_to("run")
    with pytest.raises(UsageError, match=f"{message} run: choose another directory"):
        check_output_directory("--output", Path(output), [Path("run")])
    check_new_directory(Path("runs"), [Path("run"), Path("in")])


def test_the_working_directory_of_an_output_is_no_input(folder: Path) -> None:
    Path(".out.partial").mkdir()
    with pytest.raises(UsageError, match=r"is the input \.out\.partial"):
        check_new_directory(Path("out"), [Path(".out.partial")])
