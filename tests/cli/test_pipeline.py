"""The command lines of `nmt pipeline` and `nmt select`."""

import sys
from pathlib import Path

import pytest

from nmt.files import find_shipped_files
from tests.end_to_end.toy import done, nmt


def test_the_shipped_pipelines_are_listed() -> None:
    listed = done(nmt("pipeline", "--list"))
    for path in find_shipped_files("pipelines"):
        assert f"\n{path.stem} " in f"\n{listed}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected one pipeline, a file ending in .yaml or a name of --list, got 0"),
        (["distil"], "no pipeline 'distil', did you mean 'distill'?"),
        (["transfer"], "parent: missing: add parent=... to the command"),
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (["ensemble", "encoder.cel=gru"], "encoder.cel: no such setting, did you mean 'cell'?"),
    ],
)
def test_a_wrong_request_is_refused(words: list[str], said: str) -> None:
    result = nmt("pipeline", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_dry_run_prints_what_one_can_type_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second, *_, last = done(nmt("pipeline", "ensemble", "--dry-run", "-o", "my dir")).splitlines()
    assert (first, second) == ("cd 'my dir'", "nmt run quickstart-lstm seed=1 -o model-1")
    assert last.endswith(" --json > scores.json")
    assert [*tmp_path.iterdir()] == []


def test_without_doit_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.partition(".")[0] == "doit" or name.endswith("pipeline.engine")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "doit", None)
    result = nmt("pipeline", "ensemble", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "doit is not installed: pip install 'recurrent-nmt[pipeline]'" in result.stderr


def test_select_writes_the_nearest_translation_of_each_line(tmp_path: Path) -> None:
    lists, ref, output = (tmp_path / name for name in ("n.best", "ref", "out"))
    lists.write_text("0 ||| a cat ||| F0= -1 ||| -1\n0 ||| the dog ||| F0= -2 ||| -2\n", "utf-8")
    ref.write_text("the dog\nx\n", "utf-8")
    result = nmt("select", lists, "-r", ref, "-o", output)
    assert done(result) == ""
    assert output.read_text("utf-8") == "the dog\n\n"
    assert "mean sentence chrf 50.00 of 2 lines" in result.stderr
    ref.write_text("", "utf-8")
    assert nmt("select", lists, "-r", ref, "-o", output).exit_code == 1
    assert output.read_text("utf-8") == "the dog\n\n"
