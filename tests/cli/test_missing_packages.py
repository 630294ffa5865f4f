"""Every verb without torch, and other libraries that are not installed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import typer

from nmt.cli import app as root
from nmt.errors import INSTALLATION

CHECKOUT = Path(__file__).parents[2]
ARTIFACTS = CHECKOUT / "tests/compatibility/v0.1"
RUN, MODEL, EXPORT = (str(ARTIFACTS / name) for name in ("language-model", "averaged", "onnx"))
LINES = str(ARTIFACTS / "lines.de")
WITHOUT_TORCH = {
    **{"translate": f"{EXPORT} -i {LINES} -q", "rescore": f"{EXPORT} -i {LINES} -t {LINES} -q"},
    **{"score": f"{LINES} -r {LINES}", "merge": "", "clean": f"{LINES} {LINES} -o out.tsv --src a --tgt b"},
    **{"corpus ls": "", "corpus check": "phrasebook", "corpus fetch": "", "corpus prepare": ""},
    **{"recipes ls": "", "study ls": ""},
    **{"plot": f"{RUN} -o curves.svg", "serve": ""},
    "select": "",
}
"""The verbs that need no torch, and arguments with which they succeed."""
WITH_TORCH = {
    "new": f"mine {LINES} {LINES} --src a --tgt b",
    **{"run": "hello", "train": "hello", "average": f"{RUN} -o a", "export": f"{MODEL} -o e"},
    "push": f"{MODEL} user/name --dry-run",
    **{"sample": RUN, "perplexity": f"{RUN} {LINES}", "shortlist": RUN, "doctor": RUN, "tune": RUN},
    **{"inspect gradients": RUN, "inspect exposure": MODEL, "inspect gates": MODEL, "inspect model": MODEL},
    **{"inspect sentence": f"{MODEL} Hund", "study run": "s.yaml", "study memory": ""},
    **{"recipes show": "hello", "recipes validate": "hello", "recipes copy": "hello", "recipes schema": ""},
    **{
        "pipeline": "distill",
        "recipes reference": "",
        "cell ls": "",
        "cell show": "lstm",
        "cell check": "lstm",
    },
}
OTHERS = [
    ("onnxruntime", f"translate {EXPORT} -i {LINES}", "pip install 'recurrent-nmt[fast]'"),
    ("sentencepiece", f"translate {EXPORT} -i {LINES}", "pip install sentencepiece"),
    ("numpy", f"translate {EXPORT} -i {LINES}", "pip install numpy"),
    ("sacrebleu", f"score {LINES} -r {LINES}", "pip install sacrebleu"),
    ("xopen", f"score {LINES} -r {LINES}", "pip install xopen"),
    ("yaml", "corpus ls", "pip install pyyaml"),
    ("pydantic", "corpus ls", "pip install pydantic"),
    ("huggingface_hub", "translate hf:user/name", "pip install 'recurrent-nmt[hub]'"),
    ("starlette", f"serve {EXPORT}", "pip install 'recurrent-nmt[serve]'"),
    ("uvicorn", f"serve {EXPORT}", "pip install 'recurrent-nmt[serve]'"),
    ("matplotlib", f"plot {RUN} -o curves.svg", "pip install 'recurrent-nmt[plot]'"),
]
DRIVER = """
import json, os, sys
if {"torch"} == {library for library, _ in json.loads(sys.argv[1])}:
    import nmt.cli.app  # once for all
for library, words in json.loads(sys.argv[1]):
    if os.fork() == 0:
        os.dup2(os.open("messages", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
        sys.modules[library] = None
        sys.argv[1:] = words.split()
        from nmt.cli import main
        main()
    status = os.waitstatus_to_exitcode(os.wait()[1])
    print(json.dumps([status, open("messages", encoding="utf-8").read()]), file=sys.stderr)
"""


def run_without(folder: Path, commands: list[tuple[str, str]]) -> list[tuple[int, str]]:
    """Run each command without a library; return exit codes and messages."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(commands)],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stderr.splitlines()]


def verbs(app: typer.Typer, prefix: str = "") -> set[str]:
    commands = [(command.name, command.callback) for command in app.registered_commands]
    groups = [verbs(g.typer_instance, f"{g.name} ") for g in app.registered_groups if g.typer_instance]
    return set().union(
        *groups, {prefix + (name or callback.__name__) for name, callback in commands if callback}
    )


def test_what_needs_torch_is_known_of_every_verb() -> None:
    assert {*WITHOUT_TORCH, *WITH_TORCH} == verbs(root.app)


WITHOUT_ARGUMENTS = ("merge", "select", "serve", "corpus fetch", "corpus prepare")
QUICK = ("translate", "rescore", "merge", "train", "recipes show", "inspect gates")


@pytest.mark.parametrize("chosen", [QUICK, pytest.param((), marks=pytest.mark.slow)], ids=["quick", "all"])
def test_a_verb_works_without_torch_or_asks_for_it(tmp_path: Path, chosen: tuple[str, ...]) -> None:
    arguments = WITHOUT_TORCH | WITH_TORCH
    commands = [("torch", f"{verb} {arguments[verb]}") for verb in chosen or arguments]
    for (_, words), (code, message) in zip(commands, run_without(tmp_path, commands), strict=True):
        if words.split(" -")[0].strip() in WITHOUT_ARGUMENTS:
            assert (code, "Missing argument" in message or "no model" in message) == (2, True), message
        elif any(words.startswith(verb) for verb in WITHOUT_TORCH):
            assert code == 0, f"{words}: {message}"
        else:
            assert (code, message) == (1, f"nmt: torch is not installed: {INSTALLATION['torch']}\n"), words


def test_other_libraries_are_named_with_how_to_install_them(tmp_path: Path) -> None:
    results = run_without(tmp_path, [(library, words) for library, words, _ in OTHERS])
    assert results == [(1, f"nmt: {name} is not installed: {advice}\n") for name, _, advice in OTHERS]


@pytest.mark.parametrize("library", ["typer", "rich", "platformdirs"])
def test_libraries_of_the_command_itself_are_named(tmp_path: Path, library: str) -> None:
    [(code, message)] = run_without(tmp_path, [(library, "recipes ls")])
    assert (code, message) == (1, f"nmt: {library} is not installed: {INSTALLATION[library]}\n")


def test_requirements_of_the_runtime_are_what_an_exported_model_imports(tmp_path: Path) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {*project["dependencies"], *project["optional-dependencies"]["fast"]}
    lines = (CHECKOUT / "requirements-runtime.txt").read_text(encoding="utf-8").splitlines()
    required = {line for line in lines if not line.startswith("#")}
    assert required <= declared
    code = "import sys; sys.modules['torch'] = None; from nmt.cli import main\n"
    code += "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    latin = tmp_path / "latin.de"  # chardet is imported for text that is not UTF-8
    latin.write_bytes("ein schöner hund\n".encode("latin-1"))
    command = [sys.executable, "-c", code, "translate", EXPORT, "-q", "-i", str(latin)]
    command += ["-o", str(tmp_path / "out")]  # outputs are locked by filelock
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=CHECKOUT, check=True)
    places = packages_distributions()
    imported = {
        name for module in done.stderr.split() for name in places.get(module, []) if module != "torch"
    }
    names = {re.split("[<>=]", line)[0] for line in required}
    assert names == imported & {re.split("[<>=]", line)[0] for line in declared}
