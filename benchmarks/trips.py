"""The files that a recipe passes through until it is trained, and a line until it is translated.

    python -m benchmarks.trips [--calls]

Traces real calls with `sys.setprofile`: `nmt train` with quickstart-lstm on 200 pairs, then translating with
the run that this made. A file counts once one of its functions is called; importing it does not count. Prints
the files by folder in the order they are entered, with `--calls` also the first function called in each.

recipe → training     from the command line to the first call in training/loop.py
recipe → run          the same command to its end, with one validation
line → translation    `translator.translate([line])`, with the model loaded
command → translation `nmt translate`, from the command line to its end

Commit baa48f4 (version 0.1) has 60, 104, 37 and 69; reading the line from a file enters two more than the 37.
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
LINE = "개가 컴퓨터 앞에 있어."


def trace(call: Callable[[], object]) -> dict[str, str]:
    """The files of the package that a call enters, in order, each with the first function called there."""
    entered: dict[str, str] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & FUNCTION and code.co_filename.startswith(PACKAGE):
            entered.setdefault(code.co_filename.removeprefix(PACKAGE), code.co_qualname)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return entered


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


def until_training(entered: dict[str, str]) -> dict[str, str]:
    """The files up to the training loop."""
    files = [*entered]
    return {file: entered[file] for file in files[: files.index(LOOP) + 1]}


def show(title: str, entered: dict[str, str], *, calls: bool) -> None:
    """Print a trip's files, by folder."""
    print(f"\n{title}: {len(entered)} files")
    folders: dict[str, list[str]] = {}
    for file, function in entered.items():
        folder, _, name = file.rpartition("/")
        folders.setdefault(folder or ".", []).append(f"{name} ({function})" if calls else name)
    for folder, names in folders.items():
        print(f"  {folder:16} {len(names):2}  {', '.join(names)}")


def trips() -> dict[str, dict[str, str]]:
    """The files of each trip."""
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
    options = parser.parse_args()
    for title, entered in trips().items():
        show(title, entered, calls=options.calls)
