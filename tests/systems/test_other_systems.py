"""Windows and macOS, as far as Linux can stand in for them, and the module that knows their differences."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in")
DOOR = Path("nmt/operating_system.py")
MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "posix", "syslog", "msvcrt", "winreg"}
NAMES = {
    "os": {
        *("fork", "getuid", "geteuid", "getgid", "getpgid", "setsid", "sysconf", "uname", "nice", "mkfifo"),
        *("mknod", "wait", "chown", "fchmod", "statvfs", "getloadavg", "kill", "killpg", "symlink"),
        *("sched_getaffinity", "pread", "pwrite", "sendfile", "memfd_create", "ttyname", "readlink", "link"),
        *("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY", "O_BINARY", "O_RDONLY", "O_WRONLY"),
        *("startfile", "name"),
    },
    "signal": {"SIGKILL", "SIGHUP", "SIGALRM", "SIGPIPE", "SIGUSR1", "SIGQUIT", "SIGBREAK", "alarm"},
    "sys": {"platform"},
}
OPTIONS = {"pass_fds", "preexec_fn", "start_new_session", "creationflags"}
RECIPE = """
data: {src: de, tgt: en, train: train, valid: valid, test: valid}
subwords: {kind: pretokenized}
encoder: {embedding: 4, hidden: 4}
decoder: {embedding: 4, hidden: 4}
training: {stop_after: 1e, batch: {size: 4}, validation: {every: 2u, metric: loss}}
search: {beam: 2, max_extra: 1}
evaluation: {metrics: [bleu]}
"""
PAIRS = {"de": "ein Hund\neine Maus\nder Hund\ndie Katze\n", "en": "a dog\na mouse\nthe dog\nthe cat\n"}


def find_system_names(tree: ast.AST) -> list[str]:
    """What a module uses that some system lacks, and paths that only some systems have."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or ""] if node.module in MODULES else []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [f"{node.value.id}.{node.attr}"] * (node.attr in NAMES.get(node.value.id, ()))
        elif isinstance(node, ast.Attribute):
            found += [node.attr] * (node.attr in ("symlink_to", "hardlink_to"))
        elif isinstance(node, ast.keyword) and node.arg in OPTIONS:
            found.append(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] * node.value.startswith(("/dev/", "/proc/", "/sys/", "/tmp"))
    return found


ELSEWHERE = {
    "nmt/cli/streams.py": ["os.O_RDWR"],
    "nmt/data/store/arrays.py": ["sys.platform"],  # releases memory, where that is possible
    "nmt/data/pipes.py": ["os.name"],
    "nmt/training/hardware.py": ["sys.platform"],  # an option of the C library of Linux
}


def test_one_module_knows_the_differences_between_systems() -> None:
    trees = {
        path.relative_to(CHECKOUT): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((CHECKOUT / "nmt").rglob("*.py"))
    }
    found = {path.as_posix(): names for path, tree in trees.items() if (names := find_system_names(tree))}
    assert found.pop(DOOR.as_posix())
    assert {path: names for path, names in found.items() if names != ELSEWHERE.get(path)} == {}


def test_files_are_written_with_the_same_line_ends_on_every_system() -> None:
    """As bytes, or with `newline`: otherwise Windows writes a carriage return."""
    wrong = []
    for path in sorted((CHECKOUT / "nmt").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or any(word.arg == "newline" for word in node.keywords):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            modes = [one.value for one in node.args if isinstance(one, ast.Constant)]
            is_text = any(isinstance(mode, str) and mode[:1] in "wax" and "b" not in mode for mode in modes)
            if name == "write_text" or (name in ("open", "fdopen") and is_text):
                wrong.append(f"{path.relative_to(CHECKOUT)}:{node.lineno}: {ast.unparse(node)}")
    assert [line for line in wrong if "kernel.c" not in line and "file.write_text(text" not in line] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("train", "valid"):
        for side, text in PAIRS.items():
            (tmp_path / f"{part}.{side}").write_text(text, encoding="utf-8")
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def run_there(system: str, code: str, folder: Path, **environment: str) -> str:
    """Run a script on a stand-in for another system; return what it prints."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    variables = {
        **{"PYTHONPATH": f"{STAND_IN}{os.pathsep}{CHECKOUT}", "STAND_IN": system, "NMT_DEBUG": "1"},
        **{"CC": "no-such-compiler", "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")},
    }
    result = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env={**os.environ, **variables, **environment},
        capture_output=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


NMT = """
from pathlib import Path
from typer.testing import CliRunner
from nmt.cli.app import app

def nmt(line, code=0, **options):
    result = CliRunner().invoke(app, line.split(), **options)
    assert result.exit_code == code, (line, result.exit_code, result.output, result.exception)
    return result
"""

WINDOWS = """
trained = nmt("train tiny.yaml -o run")
assert trained.stderr.count("without compiled kernels") == 1, trained.stderr
assert "no C compiler" in trained.stderr and "winlibs.com" in trained.stderr, trained.stderr
assert Path("run/checkpoints/best").read_bytes() == b"u0000001\\n"
nmt("train tiny.yaml training.stop_after=3u -o run")
assert Path("run/checkpoints/last").read_bytes() == b"u0000003\\n"
before = nmt("translate run -i train.de").stdout
assert nmt("translate run/checkpoints/best -i train.de").stdout == before
nmt("translate run -i train.de -o out.en")
assert Path("out.en").read_bytes() == before.encode()
nmt("average run -o model")
nmt("average run -c best -c last -o both")
nmt("translate model -i train.de -o out.en")
nmt("export run -o onnx")
assert nmt("translate onnx -i train.de").stdout == before
nmt("doctor run", 1)
nmt("score valid.en -r valid.en")
for file in ("run/recipe.yaml", "model/README.md", "model/model.json", "onnx/config.json", "run/train.log"):
    assert b"\\r" not in Path(file).read_bytes(), file
"""


def test_a_model_is_trained_translates_and_is_exported_on_windows(folder: Path) -> None:
    run_there("win32", NMT + WINDOWS, folder)


SPAWN = """
import asyncio
import nmt
from nmt.cli.app import app
from nmt.decoding.job import Line
from nmt.operating_system import START_METHOD
from nmt.serve.requests import LineRequest, ModelSource
from nmt.serve.service import Service
from typer.testing import CliRunner

assert START_METHOD == "spawn"
corpora = [{"name": name, "pairs": name} for name in ("train", "valid")]  # a shard each
nmt.train("tiny.yaml", overrides={"data.train": corpora, "data.workers": 2}, output="run")
lines = "ein Hund\\neine Maus\\n"
alone, parallel = (
    CliRunner().invoke(app, ["translate", "run", *options], input=lines).stdout
    for options in ([], ["--workers", "2", "--read-ahead", "1"])
)

async def serve():
    async with Service([ModelSource("model", "run")]) as service:
        requests = [LineRequest("model", Line(1, line)) for line in lines.splitlines()]
        return "".join([(await service.translate(request)).text + "\\n" for request in requests])

served = asyncio.run(serve())
assert alone == parallel == served and alone.count("\\n") == 2, (alone, parallel, served)
print("ran once")
"""


@pytest.mark.slow
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_spawned_processes_do_not_run_the_script_again(system: str, folder: Path) -> None:
    """Those of data, translation and serving: a script may have no `if __name__ == "__main__"`."""
    assert run_there(system, SPAWN, folder) == "ran once\n"


def test_no_integer_of_the_c_code_has_another_size_on_windows() -> None:
    """`long` has 32 bits there, but the arrays of numpy and torch have 64."""
    package = CHECKOUT / "nmt"
    for file in (*package.rglob("*.[ch]"), package / "recurrence" / "c" / "code_generator.py"):
        assert not re.search(r"\blong\b", file.read_text(encoding="utf-8")), file
