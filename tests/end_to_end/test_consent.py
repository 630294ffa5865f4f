"""A directory from somebody else runs no code before its user has agreed, whichever command loads it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import NamedTuple

import numpy as np
import pytest
from typer.testing import Result

import nmt as package
from nmt import trust
from nmt.errors import DataError
from nmt.files import file_sha256
from nmt.lab.study.definition import read_study
from nmt.lab.study.runner import find_member_files
from nmt.lab.study.trials import read_trials
from nmt.recipe.reader import dump
from nmt.user_directories import cache_directory, state_directory
from tests.end_to_end.test_custom_cells import MGU
from tests.end_to_end.toy import copied, done, nmt, write_corpus, write_recipe
from tests.grid import mark_slow

LM = """\
task: language-model
data: {root: ROOT, train: train.tgt, valid: valid.tgt, test: test.tgt}
subwords: {kind: pretokenized}
decoder: {cell: 'theirs.py:MGU', embedding: 8, hidden: 8}
training: {stop_after: 1u, threads: 1, batch: {size: 8}}
"""
SMALL = ("training.stop_after=1u", "training.learning_rate.warmup=0", "training.validation.every=1u")
SIZES = ("encoder.embedding=8", "encoder.hidden=8", "decoder.embedding=8", "decoder.hidden=8")
LOADED = {
    "translate a run": "translate RUN -q -i text/test.src",
    "translate with a checkpoint": "translate RUN/checkpoints/last -q -i text/test.src",
    "translate with a model directory": "translate AVERAGED -q -i text/test.src",
    "translate with two workers": "translate AVERAGED -q -i text/test.src --workers 2",
    "ensemble": "translate plain --ensemble RUN -q -i text/test.src",
    "language model": "translate plain --lm LM -q -i text/test.src",
    "rescore": "rescore AVERAGED -i text/test.src -t text/test.tgt",
    "sample": "sample LM --length 5",
    "perplexity": "perplexity LM text/test.tgt --length 5",
    "inspect gradients": "inspect gradients RUN --lags 2",
    "inspect exposure": "inspect exposure RUN",
    "inspect gates": "inspect gates LM",
    "inspect sentence": "inspect sentence RUN abc --format txt",
    "export": "export RUN -o OUT",
    "start_from": "train plain.yaml training.start_from=RUN -o OUT",
    "the recipe of a model directory": "train AVERAGED/recipe.yaml data.root=text -o OUT",
}


class Theirs(NamedTuple):
    """The directories of a stranger, whose cell file leaves a mark when it runs."""

    folder: Path
    marker: Path

    def command(self, line: str, *more: str) -> Result:
        """`nmt LINE` in a copy's folder, whose names stand for paths."""
        return nmt(*(self.words(line)), *more)

    def words(self, line: str) -> list[str]:
        return line.replace("RUN", "run").replace("AVERAGED", "averaged").replace("LM", "lm").split()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    """A run, its average and a language model with a custom cell, and a run without one."""
    folder = tmp_path_factory.mktemp("theirs")
    text, marker = write_corpus(folder / "text", copied, train=40, held_out=4), folder / "marker"
    (folder / "theirs.py").write_text(f"{MGU}\n\nopen({str(marker)!r}, 'w').close()\n", encoding="utf-8")
    (folder / "lm.yaml").write_text(LM.replace("ROOT", str(text)), encoding="utf-8")
    recipe = write_recipe(folder / "recipe-of-theirs.yaml", text, "theirs.py:MGU")
    plain = write_recipe(folder / "plain.yaml", text)
    plain.write_text(
        plain.read_text("utf-8").replace("200u", "1u").replace("warmup: 10", "warmup: 0"), "utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("their-state")))
        patch.setenv("NMT_TRUST_CODE", "")
        done(nmt("train", recipe, *SMALL, *SIZES, "-o", folder / "run"))
        done(nmt("average", folder / "run", "-o", folder / "averaged"))
        done(nmt("train", folder / "lm.yaml", "-o", folder / "lm"))
        done(nmt("train", plain, *SIZES, "-o", folder / "plain"))
    return Theirs(folder, marker)


@pytest.fixture
def theirs(made: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theirs:
    """The same as another user gets them, who trusts nothing yet; the folder is the current one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_modules", {})
    monkeypatch.chdir(made.folder)
    made.marker.unlink(missing_ok=True)
    return made


@pytest.mark.parametrize("way", LOADED)
def test_what_is_loaded_runs_no_code_before_its_user_agrees(way: str, theirs: Theirs, tmp_path: Path) -> None:
    line = LOADED[way].replace("OUT", str(tmp_path / "out"))
    refused = theirs.command(line)
    assert refused.exit_code == 1, refused.output
    checksum = file_sha256(theirs.folder / "theirs.py")
    for part in ("theirs.py", checksum, "--trust-code", "trust_code=True", "NMT_TRUST_CODE"):
        assert part in refused.stderr
    assert "bug" not in refused.output
    assert not theirs.marker.exists()
    if way == "export":
        return  # takes seconds; it loads the model like the others
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    done(theirs.command(line, "--trust-code"))
    assert theirs.marker.exists()


def test_the_consent_is_remembered(theirs: Theirs) -> None:
    done(theirs.command(LOADED["rescore"], "--trust-code"))
    with pytest.MonkeyPatch.context() as patch:  # as in another process
        patch.setenv("NMT_TRUST_CODE", "")
        done(theirs.command(LOADED["sample"]))


def test_nmt_doctor_translates_nothing_before_its_user_agrees(theirs: Theirs) -> None:
    assert "--trust-code" in theirs.command("doctor RUN").output
    assert not theirs.marker.exists()
    assert "translations repeat" in theirs.command("doctor RUN --trust-code").output
    assert theirs.marker.exists()


def test_nmt_average_runs_no_code(theirs: Theirs, tmp_path: Path) -> None:
    done(nmt("average", "run", "-o", tmp_path / "averaged"))
    assert (tmp_path / "averaged/theirs.py").is_file()
    readme = (tmp_path / "averaged/README.md").read_text("utf-8")
    assert "theirs.py is Python code" in readme and "--trust-code" in readme
    assert not theirs.marker.exists()


def test_python_is_refused_too(theirs: Theirs) -> None:
    with pytest.raises(DataError, match="trust_code=True"):
        package.Translator("averaged")
    assert not theirs.marker.exists()
    assert len(package.Translator("averaged", trust_code=True).translate(["a b"])) == 1
    assert theirs.marker.exists()


def test_a_translator_on_another_machine_needs_the_checksum_in_its_environment(
    theirs: Theirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the actors of docs/examples/ray_data.py: there the user has trusted nothing yet."""
    with pytest.raises(DataError, match="NMT_TRUST_CODE"):
        package.Translator("averaged")
    assert not theirs.marker.exists()
    monkeypatch.setenv("NMT_TRUST_CODE", f"{'0' * 64}, {file_sha256(theirs.folder / 'theirs.py').upper()}")
    translated = package.Translator("averaged")({"text": np.array(["a b", "c"])})
    assert len(translated["translation"]) == 2
    assert theirs.marker.exists()


def test_the_members_of_a_study_directory_are_loaded_too(theirs: Theirs, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"recipe: {theirs.folder}/plain.yaml\nvary: {{cell: {{a: {{}}}}}}\n", encoding="utf-8")
    study, [member] = read_study(str(file))
    files = find_member_files(tmp_path, member)
    shutil.copytree("run", files.run, symlinks=True)
    text = dump(member.recipe)
    files.file("yaml").write_text(text, encoding="utf-8")
    status = {"recipe": sha256(text.encode()).hexdigest(), "exit_code": 0, "said": ""}
    files.file("json").write_text(json.dumps(status), encoding="utf-8")
    trials, missing = read_trials(tmp_path, study, [member])
    assert trials == []
    assert "--trust-code" in missing[member.name]
    assert not theirs.marker.exists()


def test_whoever_trained_with_a_file_needs_no_switch(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = ("train", "recipe-of-theirs.yaml", *SMALL, *SIZES, "-o", tmp_path / "mine")
    done(nmt(*again))
    assert theirs.marker.exists()
    done(nmt("translate", tmp_path / "mine", "-q", "-i", "text/test.src"))
    done(theirs.command(LOADED["rescore"]))  # the same file
    monkeypatch.setenv("NMT_TRUST_CODE", "")  # as in another process
    done(nmt("translate", tmp_path / "mine", "-q", "-i", "text/test.src"))
    done(nmt(*again, "search.beam=2"))


def test_training_does_without_a_state_directory(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "open"
    state.mkdir()
    state.chmod(0o777)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    result = nmt("train", "recipe-of-theirs.yaml", *SMALL, *SIZES, "-o", tmp_path / "mine")
    assert result.exit_code == 0, result.output
    assert f"others may write to {state}" in result.stderr
    refused = nmt("translate", tmp_path / "mine", "-q", "-i", "text/test.src")
    assert refused.exit_code == 0  # this process has trained with it
    monkeypatch.setenv("NMT_TRUST_CODE", "")
    refused = nmt("translate", tmp_path / "mine", "-q", "-i", "text/test.src")
    assert refused.exit_code == 1
    assert f"others may write to {state}" in refused.stderr


def test_an_altered_directory_is_refused_before_its_trusted_code_runs(theirs: Theirs, tmp_path: Path) -> None:
    shutil.copytree("averaged", tmp_path / "altered")
    recipe = tmp_path / "altered/recipe.yaml"
    recipe.write_text(recipe.read_text("utf-8").replace("seed: 1", "seed: 2"), encoding="utf-8")
    for command in (("translate",), ("inspect", "gates", "--data", "text/valid")):
        result = nmt(*command, tmp_path / "altered", "--trust-code", stdin=b"a\n")
        assert result.exit_code == 1
        assert "recipe.yaml: refused: checksum mismatch" in result.stderr
    card = tmp_path / "altered/model.json"
    card.write_text(card.read_text("utf-8").replace('"recipe.yaml"', '"README.md"'), encoding="utf-8")
    result = nmt("translate", tmp_path / "altered", "--trust-code", stdin=b"a\n")
    assert result.exit_code == 1
    assert "model.json: refused: " in result.stderr
    assert not theirs.marker.exists()


def leave_upwards(folder: Path) -> str:
    shutil.move(folder / "theirs.py", folder.parent / "theirs.py")
    return "../theirs.py"


def leave_from_the_root(folder: Path) -> str:
    return str(folder / "theirs.py")


def leave_by_a_link(folder: Path) -> str:
    shutil.move(folder / "theirs.py", folder.parent / "theirs.py")
    (folder / "theirs.py").symlink_to("../theirs.py")
    return "theirs.py"


def leave_by_a_folder(folder: Path) -> str:
    (folder / "sub").symlink_to(folder)
    return "sub/theirs.py"


@pytest.mark.parametrize("leave", [leave_upwards, leave_from_the_root, leave_by_a_link, leave_by_a_folder])
@pytest.mark.parametrize("kind", ["run", "averaged"])
def test_cell_files_outside_the_directory_are_refused(
    kind: str, leave: Callable[[Path], str], theirs: Theirs, tmp_path: Path
) -> None:
    folder = tmp_path / kind
    shutil.copytree(kind, folder, symlinks=True)
    file, recipe = leave(folder), folder / "recipe.yaml"
    recipe.write_text(recipe.read_text("utf-8").replace("theirs.py:MGU", f"{file}:MGU"), encoding="utf-8")
    if kind == "averaged":
        card = json.loads((folder / "model.json").read_bytes())
        card["sha256"]["recipe.yaml"] = file_sha256(recipe)
        (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    result = nmt("translate", folder, "--trust-code", stdin=b"a\n")
    assert result.exit_code == 1, result.output
    assert "theirs.py" in result.stderr
    assert "bug" not in result.stderr
    assert not theirs.marker.exists()


def test_the_recipe_of_a_directory_extends_nothing(theirs: Theirs, tmp_path: Path) -> None:
    shutil.copytree("run", tmp_path / "run", symlinks=True)
    recipe = tmp_path / "run/recipe.yaml"
    recipe.write_text("extends: ../other.yaml\n" + recipe.read_text("utf-8"), encoding="utf-8")
    result = nmt("translate", tmp_path / "run", stdin=b"a\n")
    assert result.exit_code == 1
    assert "extends" in result.stderr


TRACED = """\
import sys

events = []
kinds = ("subprocess.", "os.exec", "os.system", "os.posix_spawn", "os.fork", "socket.", "ctypes.dlopen")

def note(name, arguments):
    if name == "open" and isinstance(arguments[0], (str, bytes)):
        events.append((name, os.path.abspath(os.fsdecode(arguments[0]))))
    elif name == "exec":
        events.append((name, arguments[0].co_filename))
    elif name == "compile":
        events.append((name, os.fsdecode(arguments[1] or "<none>")))
    elif name.startswith(kinds):
        events.append((name, str(arguments[:1])))

import os
sys.addaudithook(note)
import torch  # a build with CUDA starts ldconfig, which reads nothing of the directory

events = [event for event in events if event[0] in ("open", "exec", "compile")]
from nmt.cli.app import app

try:
    app(sys.argv[1:])
finally:
    for event in dict.fromkeys(events):
        print(*event, sep="\\t", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("name", "exit_code"), mark_slow([("averaged", 1), ("plain", 0)], default=[("plain", 0)])
)
def test_nothing_outside_the_directory_is_opened_or_run(
    name: str, exit_code: int, theirs: Theirs, tmp_path: Path
) -> None:
    """`nmt translate` of a stranger's directory, traced by audit hooks from the first import to the end."""
    folder, source = tmp_path / "given", tmp_path / "input"
    shutil.copytree(name, folder, symlinks=True)
    source.write_text("a b\n", encoding="utf-8")
    command = [sys.executable, "-c", TRACED, "translate", folder, "-i", source]
    traced = subprocess.run(command, capture_output=True, text=True, check=False)
    assert traced.returncode == exit_code, traced.stderr
    assert not theirs.marker.exists()
    events = [line.split("\t") for line in traced.stderr.splitlines() if "\t" in line]
    package_files = (sys.prefix, sys.base_prefix, str(Path(package.__file__).parent), "<")
    given = (str(folder), str(source), str(cache_directory()), str(state_directory() / trust.LIST))
    allowed = {"open": (*package_files, *given, "/proc/", "/sys/", "/dev/")}
    allowed |= {"exec": package_files, "compile": package_files}
    probes = {what for kind, what in events if Path(what).parent == Path(gettempdir())}  # of tempfile itself
    others = [(kind, what) for kind, what in events if kind in allowed and not what.startswith(allowed[kind])]
    assert [what for _, what in others if what not in probes] == []
    started = {what for kind, what in events if kind not in (*allowed, "ctypes.dlopen")}
    assert started <= {f"('{shutil.which(os.environ.get('CC', 'cc'))}',)"}
    assert str(folder / "recipe.yaml") in {path for kind, path in events if kind == "open"}
