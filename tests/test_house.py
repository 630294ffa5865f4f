"""The rules of the house that can be read off the code: who imports whom, by which door, how large."""

import ast
import functools
import re
import statistics
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

CHECKOUT = Path(__file__).resolve().parent.parent

# In the order of the flow: a room imports only from rooms before it.
ROOMS = (
    "cells",
    "recurrence",
    "data",
    "decoding",
    "model",
    "evaluation",
    "training",
    "recipe",
    "export",
    "lab",
    "api",
    "serve",
    "cli",
)
# Rooms that do not import some earlier ones either: the search knows models by its interface only.
BLIND = {"data": ("cells", "recurrence"), "decoding": ("cells", "recurrence"), "model": ("data",)}

# Each library and the files or folders that may import it; the reasons: docs/decisions/0001-dependencies.md
DOORS = {
    "annotated_types": ("nmt/",),
    "platformdirs": ("nmt/user_directories.py",),
    "numpy": (
        *("nmt/data/", "nmt/decoding/", "nmt/evaluation/", "nmt/export/", "nmt/lab/doctor/", "nmt/training/"),
        *("nmt/lab/project/build.py", "nmt/lab/tune/"),
        *("nmt/api/translator.py", "nmt/arguments.py", "nmt/model/inference.py"),
        *("nmt/model/beam_loop.py", "nmt/model/output_layer.py", "nmt/model/position.py"),
        "nmt/model/token_table.py",
    ),
    "chardet": ("nmt/text_encoding.py",),
    "doit": ("nmt/lab/pipeline/engine.py",),
    "filelock": ("nmt/operating_system.py",),
    "IPython": ("nmt/console.py",),
    "huggingface_hub": ("nmt/hub.py",),
    "matplotlib": ("nmt/lab/figure.py", "nmt/api/runs.py"),
    "onnx": ("nmt/export/",),
    "onnxruntime": ("nmt/export/runtime.py",),
    "py3langid": ("nmt/lab/language_detection.py",),
    "pyarrow": ("nmt/data/formats.py",),
    "pydantic": (
        *("nmt/untrusted_files.py", "nmt/recipe/", "nmt/data/corpora.py", "nmt/lab/study/definition.py"),
        *("nmt/serve/http/",),
    ),
    "rich": ("nmt/cli/", "nmt/console.py", "nmt/training/console.py"),
    "sacrebleu": ("nmt/evaluation/",),
    "safetensors": ("nmt/training/checkpoint.py",),
    "sentencepiece": ("nmt/data/vocabulary/",),
    "sentencex": ("nmt/data/sentences.py",),
    "starlette": ("nmt/serve/http/", "nmt/serve/page/"),
    "torch": ("nmt/",),
    "typer": ("nmt/cli/",),
    "uvicorn": ("nmt/serve/http/protocol.py", "nmt/serve/http/server.py"),
    "xopen": ("nmt/data/text.py",),
    "yaml": ("nmt/recipe/", "nmt/data/corpora.py"),
}
SAME_PACKAGE = {"annotated-types": "annotated_types", "pydantic_core": "pydantic", "pyyaml": "yaml"}

USEFUL = {"utils", "util", "helpers", "helper", "misc", "common", "core", "base", "manager", "factory"}
CODE_RUNNERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}

FILE_LINES = 320
LONG_FILES: dict[str, str] = {}  # "nmt/room/file.py": why it is better in one piece
FUNCTION_LINES = 50
MODULE_LINES = 25
FOLDER_FILES = 20
LONG_FUNCTIONS: dict[str, str] = {}  # "nmt/room/file.py:function": why it is better in one piece
HANDING_ON = {
    "nmt/cli/paths.py:checked": "to the verb that it wraps, whose options they are",
    "nmt/cli/translate.py:translate": "to TranslateOptions, which names them all",
    "nmt/console.py:open_console": "to rich's Console",
    "nmt/export/graph.py:add": "to an ONNX node, whose attributes they are; onnx checks their names",
}


@functools.cache
def modules() -> dict[Path, ast.Module]:
    """Every module of the package, by its path from the checkout."""
    paths = sorted((CHECKOUT / "nmt").rglob("*.py"))
    return {path.relative_to(CHECKOUT): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a piece of code imports; `from a import b` gives a.b, since b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"line {node.lineno}: an import relative to the file hides which room it reads"
            )
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(dotted: str) -> str | None:
    """The room that `nmt.room.module` stands in; None for what belongs to no room (nmt.errors)."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "nmt" and len(parts) > 1 and parts[1] in ROOMS else None


def dotted_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def length(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    has_docstring = ast.get_docstring(function) is not None
    first = function.body[0]
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_every_folder_of_the_package_is_a_room() -> None:
    folders = {path.parts[1] for path in modules() if len(path.parts) > 2}
    assert folders <= {*ROOMS}


def test_a_room_imports_only_from_the_rooms_before_it() -> None:
    wrong = []
    for path, tree in modules().items():
        here = room(dotted_name(path))
        for name in imports(tree):
            there = room(name)
            if here is None or there is None:
                continue
            if ROOMS.index(there) > ROOMS.index(here) or there in BLIND.get(here, ()):
                wrong.append(f"{path} imports {name}")
    assert wrong == []


def test_the_core_does_not_import_the_lab() -> None:
    late = ("lab", "api", "serve", "cli")
    core = {path: tree for path, tree in modules().items() if path.parts[1] not in late}
    wrong = [
        (str(path), name) for path, tree in core.items() for name in imports(tree) if room(name) == "lab"
    ]
    assert wrong == []


def test_what_belongs_to_no_room_imports_no_room() -> None:
    doors = {Path("nmt/__main__.py"), Path("nmt/__init__.py")}
    homeless = {p: tree for p, tree in modules().items() if room(dotted_name(p)) is None and p not in doors}
    assert [
        (str(path), name) for path, tree in homeless.items() for name in imports(tree) if room(name)
    ] == []


def test_each_library_comes_in_by_its_own_door() -> None:
    wrong = []
    for path, tree in modules().items():
        for name in imports(tree):
            top = name.split(".")[0]
            library = SAME_PACKAGE.get(top, top)
            if library == "nmt" or library in sys.stdlib_module_names:
                continue
            if not any(str(path).startswith(door) for door in DOORS.get(library, ())):
                wrong.append(f"{path} imports {name}")
    assert wrong == []


def test_processes_meet_in_one_module() -> None:
    meeting = [
        path
        for path, tree in modules().items()
        if any(n.startswith("torch.distributed") for n in imports(tree))
    ]
    assert [str(path) for path in meeting] == ["nmt/training/distributed.py"]


def test_the_libraries_are_the_declared_dependencies() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    optional = ("detect", "export", "fast", "hub", "parquet", "pipeline", "plot", "serve")
    lines = [*project["dependencies"], *(line for name in optional for line in extras[name])]
    declared = {re.split(r"[^\w-]", line)[0] for line in lines}
    assert {SAME_PACKAGE.get(name, name) for name in declared} == set(DOORS) - {"IPython"}  # of the kernel


@pytest.mark.parametrize(
    "group",
    [
        "dependencies",
        "dev",
        "detect",
        "export",
        "fast",
        "hub",
        "parquet",
        "plot",
        "ray",
        "serve",
        "tensorboard",
    ],
)
def test_every_dependency_has_a_tested_version(group: str) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] if group == "dependencies" else project["optional-dependencies"][group]
    pins = re.findall(r"^([\w.-]+)==", (CHECKOUT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    assert {re.split(r"[^\w-]", line)[0].lower() for line in wanted} <= {pin.lower() for pin in pins}


def test_no_module_is_named_for_being_useful() -> None:
    named = {part.removesuffix(".py") for path in modules() for part in path.parts}
    assert named & USEFUL == set()


def test_code_is_run_by_one_function_that_asks_for_consent() -> None:
    wrong = []
    for path, tree in modules().items():
        wrong += [f"{path} imports {name}" for name in imports(tree) if name.split(".")[0] in CODE_RUNNERS]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and loads_unsafely(node):
                wrong.append(f"{path}: {ast.unparse(node)}")
    assert wrong == [
        "nmt/trust.py: exec(compile(content, str(file), 'exec', dont_inherit=True), vars(module))"
    ]


def loads_unsafely(call: ast.Call) -> bool:
    said = {word.arg: ast.unparse(word.value) for word in call.keywords}
    name = ast.unparse(call.func)
    if name == "torch.load":
        return said.get("weights_only") != "True"
    return (
        name in ("eval", "exec", "yaml.unsafe_load", "yaml.full_load")
        or name.rpartition(".")[2] in ("exec_module", "run_module", "run_path")
        or said.get("allow_pickle") == "True"
    )


READERS = {
    "nmt/untrusted_files.py": "the reader of files of runs, models and exports",
    **dict.fromkeys(
        ("nmt/files.py", "nmt/trust.py", "nmt/recurrence/c/compiler.py"), "files of the user's own"
    ),
    **dict.fromkeys(("nmt/data/corpora.py", "nmt/data/formats.py", "nmt/decoding/io.py"), "text to be read"),
    **dict.fromkeys(("nmt/training/distributed.py", "nmt/training/loss.py"), "messages between processes"),
    "nmt/training/logging.py": "lines of a log that is opened by the reader",
    "nmt/training/checkpoint.py": "tensors after their header was checked",
    "nmt/data/store/arrays.py": "arrays after their header was checked",
    "nmt/operating_system.py": "files of the operating system",
    "nmt/serve/http/bodies.py": "requests",
    **dict.fromkeys(
        ("nmt/cli/recipes.py", "nmt/model/output_layer.py", "nmt/training/loss.py"), "files of the package"
    ),
    **dict.fromkeys(
        (f"nmt/recurrence/c/{name}.py" for name in ("code_generator", "native", "int8", "bfloat16")),
        "files of the package",
    ),
    **dict.fromkeys(
        ("nmt/export/web/site.py", "nmt/lab/inspect/page.py", "nmt/lab/study/report.py"),
        "files of the package",
    ),
    **dict.fromkeys(("nmt/lab/document.py", "nmt/lab/verify_resume.py"), "files that it has just written"),
}
"""Modules that read whole files or JSON, and what they read: files of others only by the first."""


def test_files_of_others_are_read_by_one_module() -> None:
    calls = ("json.load", "json.loads", "load_file", "mmap.mmap", "np.load", "np.fromfile", "np.memmap")
    reading = {
        str(path)
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func) in calls
            or (isinstance(node.func, ast.Attribute) and node.func.attr in ("read_text", "read_bytes"))
        )
    }
    assert reading <= set(READERS)


def test_no_function_swallows_keywords_it_does_not_name() -> None:
    swallowing = [
        f"{path}:{function.name}"
        for path, tree in modules().items()
        for function in functions(tree)
        if function.args.kwarg is not None
    ]
    assert swallowing == list(HANDING_ON)


def test_files_are_short() -> None:
    lines = {str(path): len((CHECKOUT / path).read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {path for path, count in lines.items() if count > FILE_LINES} == set(LONG_FILES)


def test_functions_can_be_read_at_a_glance() -> None:
    lengths = {
        f"{path}:{function.name}": length(function)
        for path, tree in modules().items()
        for function in functions(tree)
    }
    too_long = {name for name, lines in lengths.items() if lines > FUNCTION_LINES}
    assert too_long == set(LONG_FUNCTIONS)
    assert statistics.median(lengths.values()) < 10


def test_a_class_name_is_defined_once() -> None:
    """Except the state of a cell."""
    defined: dict[str, list[str]] = {}
    for path, tree in modules().items():
        for node in classes(tree):
            if node.name != "State":
                defined.setdefault(node.name.lstrip("_"), []).append(str(path))
    assert {name: paths for name, paths in defined.items() if len(paths) > 1} == {}


def test_no_class_shadows_a_module_of_torch() -> None:
    """Unless it is that very thing."""
    names = {node.name for tree in modules().values() for node in classes(tree)}
    assert {name for name in names if hasattr(nn, name)} <= {"RNN", "LSTM", "GRU", "Embedding"}


def test_a_folder_has_few_files_and_a_module_some_lines() -> None:
    lines = {path: len((CHECKOUT / path).read_text(encoding="utf-8").splitlines()) for path in modules()}
    small = [str(p) for p, count in lines.items() if count < MODULE_LINES and not p.name.startswith("__")]
    assert small == []
    sizes = Counter(path.parent for path in modules())
    assert {str(folder) for folder, count in sizes.items() if count > FOLDER_FILES} <= {"nmt/cli"}


def test_every_module_says_what_it_is() -> None:
    assert [str(path) for path, tree in modules().items() if tree.body and not ast.get_docstring(tree)] == []


def test_text_has_an_encoding() -> None:
    """The encoding of the locale is not UTF-8 everywhere. For `open`, ruff checks the same (PLW1514)."""
    code = [path for folder in ("nmt", "tests", "benchmarks") for path in (CHECKOUT / folder).rglob("*.py")]
    calls = [
        (f"{path.relative_to(CHECKOUT)}:{node.lineno}", node)
        for path in code
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert [where for where, call in calls if _is_text(call) and not _names_encoding(call)] == []


def _is_text(call: ast.Call) -> bool:
    """Whether a call reads or writes a text file, or the text of a process."""
    assert isinstance(call.func, ast.Attribute)
    owner, words = call.func.value, {keyword.arg for keyword in call.keywords}
    of_process = isinstance(owner, ast.Name) and owner.id == "subprocess"
    is_text = bool({"text", "universal_newlines"} & words)
    return (of_process and is_text) or call.func.attr in ("read_text", "write_text")


def _names_encoding(call: ast.Call) -> bool:
    by_position = len(call.args) > call.func.attr.startswith("write") if call.args else False
    return by_position or any(keyword.arg == "encoding" for keyword in call.keywords)
