"""Every verb declares what it reads and writes, and refuses to overwrite what it reads."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nmt.cli import app as root
from nmt.cli.paths import CHECKED_LATER, READ, READ_OR_STDIN, WRITTEN_DIRECTORY, WRITTEN_FILE, find_path_roles
from nmt.errors import UsageError

ARTIFACTS = Path(__file__).parents[1] / "compatibility/v0.1"
runner = CliRunner()


def commands(app: typer.Typer, prefix: str = "nmt") -> Iterator[tuple[str, Callable[..., Any]]]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield f"{prefix} {command.name or command.callback.__name__}", command.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{prefix} {group.name}")


COMMANDS = dict(commands(root.app))
WRITTEN = (WRITTEN_FILE, WRITTEN_DIRECTORY)
PAIRS = [
    (name, output, given)
    for name, verb in COMMANDS.items()
    for output, role in find_path_roles(verb).items()
    for given, other in find_path_roles(verb).items()
    if (role in WRITTEN and other in (READ, READ_OR_STDIN)) or (role, other) == (WRITTEN_FILE, WRITTEN_FILE)
    if output != given
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_of_a_verb_is_declared_as_read_or_written(name: str) -> None:
    verb, roles = COMMANDS[name], find_path_roles(COMMANDS[name])
    assert hasattr(verb, "__wrapped__"), "not wrapped by check_paths"
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        is_path = "Path" in str(parameter.annotation.__origin__)
        [option] = (mark for mark in parameter.annotation.__metadata__ if hasattr(mark, "param_decls"))
        names = option.param_decls or ()
        assert not is_path or parameter.name in roles, parameter.name
        if "--output" in names:
            assert roles[parameter.name] in (*WRITTEN, CHECKED_LATER)


@pytest.mark.parametrize(("name", "output", "given"), PAIRS)
def test_a_verb_refuses_to_write_what_it_reads_or_writes(
    tmp_path: Path, name: str, output: str, given: str
) -> None:
    path = tmp_path / "file"
    if find_path_roles(COMMANDS[name])[output] is WRITTEN_DIRECTORY:
        path.mkdir()
    else:
        path.write_bytes(b"kept")
    is_list = "list" in str(inspect.signature(COMMANDS[name], eval_str=True).parameters[given].annotation)
    with pytest.raises(UsageError, match="the same file as|is the input"):
        COMMANDS[name](**{output: path, given: [str(path)] if is_list else path})
    assert path.is_dir() or path.read_bytes() == b"kept"


def test_the_verbs_with_outputs_are_these() -> None:
    assert {name for name, _, _ in PAIRS} == {
        *("nmt translate", "nmt merge", "nmt average", "nmt export", "nmt plot", "nmt corpus check"),
        *("nmt inspect gradients", "nmt inspect exposure", "nmt inspect gates", "nmt inspect sentence"),
        *("nmt corpus prepare", "nmt select", "nmt tune"),
    } - {"nmt corpus check"}


CLEAN = ["clean", "in.de", "in.en", "--src", "de", "--tgt", "en", "-o"]
RECIPE = """
data: {root: ., src: de, tgt: en, train: in, valid: in, test: in}
subwords: {kind: char}
training: {stop_after: 1u}
"""
STUDY = "{recipe: r.yaml, vary: {cell: {a: {encoder: {cell: gru}}, b: {encoder: {cell: rnn}}}}}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*CLEAN, "in"], "--output (de) in.de is the same file as the input in.de"),
        ([*CLEAN, "link.tsv"], "link.tsv is the same file as the input in.de"),
        (["translate", str(ARTIFACTS / "averaged"), "-i", "in.de", "-o", "in.de"], "the same file"),
        (
            ["translate", str(ARTIFACTS / "averaged"), "-i", "in.de", "--alignments", "link.tsv"],
            "the same file",
        ),
        (["translate", "md", "-i", "in.de", "-o", "md/model.safetensors"], "the input md/model.safetensors"),
        (
            ["average", str(ARTIFACTS / "language-model"), "-o", str(ARTIFACTS / "language-model/x")],
            "lies in",
        ),
        (["export", "md", "-o", "md"], "is the input md"),
        (["export", "md", "-o", "md/onnx"], "lies in the input md"),
        (["export", "md", "-o", ".", "--check", "in.de"], "contains the input"),
        (
            ["inspect", "gradients", "r.yaml", "--plot", "link.svg"],
            "--plot link.svg is the same file as the input",
        ),
        (
            ["inspect", "exposure", "md", "--data", "in", "--plot", "link.svg"],
            "is the same file as the input",
        ),
        (["merge", "in.de", "in.en", "-o", "in.de.shard.json"], "the input in.de.shard.json"),
        (["new", ".", "in.de", "in.en"], "DIR . contains the input in.de"),
        (["train", "r.yaml", "-o", "."], "contains the input"),
        (["run", "r.yaml", "-o", "fresh", "training.start_from=."], "lies in the input"),
        (
            ["study", "run", "s.yaml", "-o", "studies/s", "data.root=studies/s/members/data"],
            "contains the input",
        ),
        (
            ["study", "run", "s.yaml", "-o", "reports", "data.test=[in.de, reports/report.md]"],
            "is the same file",
        ),
    ],
)
def test_the_inputs_of_a_verb_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "studies/s/members/data"):
        folder.mkdir(parents=True, exist_ok=True)
        for side in ("de", "en"):
            (folder / f"in.{side}").write_bytes(b"a\nb\n")
    for link in ("link.tsv", "link.svg"):
        os.link("in.de", link)
    Path("reports").mkdir()
    os.link("in.en", "reports/report.md")
    Path("r.yaml").write_text(RECIPE, encoding="utf-8")
    Path("s.yaml").write_text(STUDY, encoding="utf-8")
    Path("in.de.shard.json").write_bytes(b"{}")
    Path("md").mkdir()
    for file in (ARTIFACTS / "averaged").iterdir():
        (Path("md") / file.name).write_bytes(file.read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = runner.invoke(root.app, words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr.replace("\n", " ")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("score text -r text >> text", "standard output /dev/stdout is the same file as the input text"),
        ("translate md -o text < text", "--output text is the same file as the input /dev/stdin"),
        (
            "translate md -i text --alignments new >> new",
            "--alignments new is the same file as standard output",
        ),
    ],
)
def test_standard_streams_are_inputs_and_outputs(tmp_path: Path, words: str, message: str) -> None:
    (tmp_path / "text").write_bytes(b"a\n")
    (tmp_path / "md").mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = ["sh", "-c", f"{sys.executable} -m nmt {words}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert (tmp_path / "text").read_bytes() == b"a\n"


def test_output_to_standard_output_by_name_is_appended(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"kept\n")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    files = f"{ARTIFACTS / 'onnx'} -o /dev/stdout < {ARTIFACTS / 'lines.de'} >> log"
    command = ["sh", "-c", f"{sys.executable} -m nmt translate -q --split never {files}"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    expected = (ARTIFACTS / "expected/onnx.en").read_bytes()
    assert (tmp_path / "log").read_bytes() == b"kept\n" + expected
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
