import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nmt.cli.app import app
from nmt.recipe.reader import list_shipped_names, read_recipe


def nmt(*words: str) -> Result:
    return CliRunner().invoke(app, ["recipes", *words])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_ls_shows_every_recipe_with_its_purpose_in_80_columns() -> None:
    lines = nmt("ls").stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list_shipped_names()
    assert all(len(line) <= 80 for line in lines)
    assert any("quickstart-lstm" in line and "Korean to English" in line for line in lines)


def test_show_prints_the_resolved_recipe_with_the_changes() -> None:
    Path("shown.yaml").write_text(nmt("show", "multi30k-de-en-gru", "search.beam=2").stdout, encoding="utf-8")
    recipe = read_recipe(["shown.yaml"])
    assert (recipe.search.beam, recipe.encoder.cell) == (2, "gru-reset-after")
    assert recipe == read_recipe(["multi30k-de-en-gru"], ["search.beam=2"])


def test_show_suggests_the_nearest_name() -> None:
    result = nmt("show", "quickstart-lst")
    assert result.exit_code == 2
    assert "no recipe 'quickstart-lst', did you mean 'quickstart-lstm'?" in result.stderr


def test_the_directory_of_a_run_is_refused_with_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("extends: quickstart-lstm\n", encoding="utf-8")
    result = nmt("show", str(tmp_path))
    assert result.exit_code == 2
    assert f"nmt train {tmp_path}/recipe.yaml -o {tmp_path}" in result.stderr


def test_validate_reports_every_file() -> None:
    Path("wrong.yaml").write_text("seed: x\n", encoding="utf-8")
    result = nmt("validate", "wrong.yaml", "quickstart-gru", "none.yaml")
    assert result.exit_code == 2
    assert result.stdout == "quickstart-gru: valid\n"
    assert "wrong.yaml:1:7: seed: expected a whole number (got 'x')" in result.stderr
    assert "none.yaml: no such file or directory" in result.stderr
    assert nmt("validate", "quickstart-gru").exit_code == 0


def test_a_copy_means_the_same_as_the_original() -> None:
    assert nmt("copy", "multi30k-de-en-deep").exit_code == 0
    assert read_recipe(["multi30k-de-en-deep.yaml"]) == read_recipe(["multi30k-de-en-deep"])


def test_copy_writes_to_a_file_or_into_a_folder() -> None:
    Path("conf").mkdir()
    assert nmt("copy", "quickstart-rnn", "conf").exit_code == 0
    assert nmt("copy", "quickstart-rnn", "conf/mine.yaml").exit_code == 0
    assert sorted(path.name for path in Path("conf").iterdir()) == ["mine.yaml", "quickstart-rnn.yaml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quickstart-rnn", "old.yaml"], "old.yaml already exists"),
        (["quickstart-rnn", "none/new.yaml"], "cannot write none/new.yaml: no such directory: none"),
        (["quickstart-rnn", "new"], "new: the name of a recipe must end in .yaml"),
        (["quickstart-rn"], "no recipe 'quickstart-rn', did you mean 'quickstart-rnn'?"),
    ],
)
def test_copy_refuses_what_it_cannot_or_should_not_write(words: list[str], said: str) -> None:
    Path("old.yaml").write_text("mine", encoding="utf-8")
    result = nmt("copy", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert Path("old.yaml").read_text(encoding="utf-8") == "mine"


def test_schema_and_reference_are_printed() -> None:
    assert {"if", "then", "else"} <= json.loads(nmt("schema").stdout).keys()
    assert nmt("reference").stdout.startswith("# The recipe\n")
