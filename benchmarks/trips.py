"""The files that a recipe passes through until it is trained, and a line until it is translated.

    python -m benchmarks.trips [--calls | --functions]

Traces real calls with `sys.setprofile`: `nmt train` with quickstart-lstm on 200 pairs, then translating with
the run that this made. A file counts once one of its functions is called; importing it does not count. Prints
the files by folder in the order they are entered, with `--calls` also the first function called in each, with
`--functions` every function that another file calls, and that file.

recipe → training     from the command line to the first call in training/loop.py
recipe → run          the same command to its end, with one validation
line → translation    `translator.translate([line])`, with the model loaded
command → translation `nmt translate`, from the command line to its end

Commit baa48f4 (version 0.1) has 60, 104, 37 and 69; reading the line from a file enters two more than the 37.
What the files of today are for: docs/decisions/0026-layout-and-names.md.
"""

import argparse
import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import nmt
from nmt.cli import main

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = f"{Path(nmt.__file__).parent}{os.sep}"
LOOP = "training/loop.py"
FUNCTION = 0x1  # CO_OPTIMIZED: set for the code of functions, not of modules and classes
SETTINGS = (
    f"data.root={CHECKOUT / 'corpora' / 'phrasebook'}",
    *("data.first=200", "data.workers=1", "subwords.size=500", "search.beam=2"),
    *("encoder.embedding=16", "encoder.hidden=16", "decoder.embedding=16", "decoder.hidden=16"),
    *("training.learning_rate.warmup=1", "training.stop_after=4u", "training.validation.every=4u"),
    "training.threads=1",
)
Calls = dict[tuple[str, str], str]
"""Files and functions in the order they are entered, each with the file that called it first."""

LINE = "개가 컴퓨터 앞에 있어."


def trace(call: Callable[[], object]) -> Calls:
    """The functions of the package that a call enters, in order."""
    entered: Calls = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & FUNCTION and code.co_filename.startswith(PACKAGE):
            function = (code.co_filename.removeprefix(PACKAGE), code.co_qualname)
            if function not in entered:
                entered[function] = find_caller(frame.f_back)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return entered


def find_caller(frame: FrameType | None) -> str:
    """The file of the package that a frame, or the nearest caller of it, belongs to."""
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename.removeprefix(PACKAGE) if frame is not None else ""


def command(*arguments: object) -> Callable[[], None]:
    """`nmt ARGUMENTS` in this process."""

    def call() -> None:
        output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        sys.argv = ["nmt", *map(str, arguments)]
        try:
            with redirect_stdout(output), redirect_stderr(output):
                main()
        except SystemExit as end:
            if end.code:
                output.seek(0)
                raise RuntimeError(output.read()) from None

    return call


def until_training(entered: Calls) -> Calls:
    """The calls up to the training loop."""
    functions = [*entered]
    end = next(index for index, (file, _) in enumerate(functions) if file == LOOP)
    return {function: entered[function] for function in functions[: end + 1]}


def show(title: str, entered: Calls, *, calls: bool, functions: bool) -> None:
    """Print a trip's files, by folder."""
    files: dict[str, list[str]] = {}
    for (file, function), caller in entered.items():
        names = files.setdefault(file, [])
        if not names or caller != file:
            names.append(f"{function} ← {caller}" if functions else function)
    print(f"\n{title}: {len(files)} files")
    folders: dict[str, list[str]] = {}
    for file in files:
        folders.setdefault(file.rpartition("/")[0] or ".", []).append(file)
    for folder, members in folders.items():
        shown = [f"{Path(file).name} ({files[file][0]})" if calls else Path(file).name for file in members]
        print(f"  {folder:16} {len(members):2}  {', '.join(shown)}")
    if functions:
        for file, names in files.items():
            print(f"  {file}", *names, sep="\n    ")


def trips() -> dict[str, Calls]:
    """The functions entered on each trip."""
    train = ("train", CHECKOUT / "recipes" / "quickstart-lstm.yaml", *SETTINGS, "-o")
    with TemporaryDirectory() as folder:
        run, line = Path(folder, "run"), Path(folder, "line")
        line.write_text(f"{LINE}\n", encoding="utf-8")
        command(*train, run)()  # once before, so that what runs on import and compilation is not counted
        trained = trace(command(*train, Path(folder, "again")))
        command("translate", run, "-i", line)()
        translated = trace(command("translate", run, "-i", line))
        translator = nmt.Translator(run)
        one_line = trace(lambda: translator.translate([LINE]))
    return {
        "recipe → training": until_training(trained),
        "recipe → run": trained,
        "line → translation": one_line,
        "command → translation": translated,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", action="store_true", help="print the first function called in each file")
    parser.add_argument(
        "--functions", action="store_true", help="print the functions called from other files"
    )
    options = parser.parse_args()
    for title, entered in trips().items():
        show(title, entered, calls=options.calls, functions=options.functions)
