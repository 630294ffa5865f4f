"""Paths of Windows: backslashes, drives, and what takes either for something else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nmt import text_encoding
from nmt.cells import find_named_cell
from nmt.data.pairs import find_file
from nmt.errors import DataError, UsageError
from nmt.recipe.file_settings import remove_paths
from nmt.recipe.reader import read_any_recipe
from nmt.recurrence.c import compiler
from nmt.serve.configuration import parse_model
from nmt.untrusted_files import find_member


def create_compiler(file: Path) -> str:
    file.parent.mkdir(exist_ok=True)
    file.write_text("#!/bin/sh\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def test_the_compiler_is_named_with_backslashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = create_compiler(tmp_path / "gcc")
    monkeypatch.setattr(compiler, "IS_WINDOWS", True)
    monkeypatch.setenv("CC", program.replace("/", "\\") + " -O2")
    assert compiler._find_compiler() == (program, "-O2")


@pytest.mark.parametrize("options", [(), ("-O2",)])
def test_the_compiler_is_in_a_folder_with_a_space(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = create_compiler(tmp_path / "Program Files" / "gcc")
    monkeypatch.setenv("CC", " ".join([f'"{program}"' if options else program, *options]))
    assert compiler._find_compiler() == (program, *options)


@pytest.mark.parametrize("name", ["C:model.safetensors", "C:", "..\\model.safetensors", "a:stream"])
def test_a_model_names_no_file_of_another_drive(name: str) -> None:
    with pytest.raises(DataError, match="which is not a plain file name"):
        find_member(Path("model"), name, Path("model.json"))


@pytest.mark.parametrize("path", ["C:\\models\\a=b", "models\\a=b", ".\\a=b"])
def test_a_served_model_is_named_by_its_path(path: str) -> None:
    assert parse_model(path).path == path


@pytest.mark.parametrize("path", ["C:\\Users\\me\\text", "C:text", "\\\\server\\me\\text", "..\\me\\text"])
def test_a_run_of_windows_is_passed_on_without_paths(path: str) -> None:
    recipe: Any = read_any_recipe(["multi30k-de-en-gru"])
    passed_on: Any = remove_paths(replace(recipe, data=replace(recipe.data, train=path, valid=[path, "a/b"])))
    assert (passed_on.data.train, passed_on.data.valid) == ("text", ["text", "a/b"])


def test_a_file_of_cells_needs_the_name_of_a_class() -> None:
    with pytest.raises(UsageError, match=r"no cell 'C:\\cells\\own\.py'"):
        find_named_cell("C:\\cells\\own.py")


@pytest.mark.parametrize("path", ["C:\\data", "C:\\users"])
def test_a_path_in_double_quotes_is_written_in_single_quotes(path: str, tmp_path: Path) -> None:
    recipe = tmp_path / "a.yaml"
    recipe.write_text(f'data: {{src: de, tgt: en, train: a, valid: a, root: "{path}"}}\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"between double quotes \\ begins an escape: use single quotes"):
        read_any_recipe([str(recipe)])


def test_a_path_whose_backslashes_became_line_ends_is_reported() -> None:
    with pytest.raises(DataError, match=r"control characters, as \\n and \\t .*: use single quotes"):
        find_file(Path("C:\new"), "train.de")


def test_text_is_converted_with_an_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoding, "IS_WINDOWS", True)
    advice = text_encoding.conversion(tmp_path / "text", "iconv -f CP949 -t UTF-8")
    assert advice == "an editor that saves it as UTF-8 with line ends LF"
