"""Commands on mutated directories, in forks of this warmed process: `python -m tests.fuzz.runner`.

Arguments: the directory of results of version 0.1, a directory to work in, the first seed, the number of
mutations. Writes one line of JSON for each mutation.
"""

import gc
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TextIO

from typer.main import get_command
from typer.testing import CliRunner

from nmt.cli.app import app
from nmt.untrusted_files import compute_seal
from tests.fuzz.mutations import mutate

LINES = ("Der alte Hund sucht einen Vogel.", "", "Die kleine Katze!", "x" * 80)
CPU_SECONDS, WALL_SECONDS, MEMORY = 10, 120, 3 << 30
MUTATIONS_PER_FORK = 20
SEARCH = ("-q", "--beam", "2", "--max-length", "20")


class Target(NamedTuple):
    """A kind of directory, its files that are mutated, and the command that reads them."""

    directory: str
    files: tuple[str, ...]
    command: tuple[str, ...]
    lines: int | None = len(LINES)  # of the output, if the command succeeds
    weight: int = 4


MODEL = ("recipe.yaml", "source.spm", "target.spm")
GRAPHS = (
    "config.json",
    "checksums.json",
    "encoder.onnx",
    "step.onnx",
    "best.onnx",
    "source.spm",
    "target.spm",
)
UPDATE = "checkpoints/u0000450/"
SAVED = (UPDATE + "checkpoint.json", UPDATE + "model.safetensors")
TRAINING = (
    *(UPDATE + "trainer.safetensors", "material.json", "metrics.jsonl", "times.jsonl"),
    *("data/train/manifest.json", "data/train/00000.safetensors"),
    *("data/valid/manifest.json", "data/valid/00000.safetensors"),
)

TARGETS = {
    "run": Target("interrupted", (*MODEL, *SAVED), ("translate", "interrupted", *SEARCH)),
    "checkpoint": Target("interrupted", SAVED, ("translate", "interrupted/" + UPDATE, *SEARCH), weight=2),
    "shortlist": Target(
        "interrupted",
        ("shortlist.safetensors",),
        ("translate", "interrupted", "--shortlist", *SEARCH),
        weight=1,
    ),
    "resume": Target(
        "interrupted",
        (*SAVED, *TRAINING, *MODEL),
        ("train", "translation.yaml", "-o", "interrupted", "training.validation.stop_on={accuracy: 1}"),
        lines=None,
        weight=2,
    ),
    "curves": Target("interrupted", ("metrics.jsonl", "times.jsonl"), ("doctor", "interrupted"), None, 1),
    "model": Target(
        "averaged", ("model.json", "model.safetensors", *MODEL), ("translate", "averaged", *SEARCH)
    ),
    "language model": Target(
        "language-model",
        (*(name.replace("450", "100") for name in SAVED), "recipe.yaml", "target.spm"),
        ("translate", "averaged", "--lm", "language-model", "--lm-weight", "0.1", *SEARCH),
        weight=1,
    ),
    "export": Target("onnx", GRAPHS, ("translate", "onnx", *SEARCH), weight=6),
    "int8 export": Target("onnx-int8", GRAPHS, ("translate", "onnx-int8", *SEARCH), weight=6),
    "shard": Target(
        "jobs",
        ("lines.1.en.shard.json",),
        ("merge", "jobs/lines.1.en", "jobs/lines.2.en", "-o", "all"),
        None,
        1,
    ),
}


REQUESTS = (
    *("has no shortlist", "it has no recipe.yaml", "has no metrics.jsonl", "has a different vocabulary"),
    *("is a language model, not a translator", "is a translator; expected a language model"),
    *("is a run of a different recipe", "is not empty and is not a run"),
)
"""Reasons for exit code 2: after the mutation, what is asked for is something else."""


class Outcome(NamedTuple):
    """What a command did."""

    exit_code: int  # negative: the signal that ended it
    stdout: bytes
    stderr: str
    seconds: float  # of the processor
    megabytes: float  # at most


CARDS = ("checkpoint.json", "model.json", "checksums.json", "manifest.json")


def repair_sums(changed: Path) -> None:
    """Make the checksums right again that a directory has of a changed file, and the seal of a card."""
    if not changed.is_file() or changed.is_symlink():
        return
    digest = hashlib.sha256(changed.read_bytes()).hexdigest()
    cards = [changed.with_name(name) for name in CARDS]
    for file in (*cards, *changed.parent.glob("checkpoints/u*/checkpoint.json")):
        card = file.name
        try:
            values: Any = json.loads(file.read_bytes())
            if card == "manifest.json":
                values["shards"][0]["sha256"] = digest if file != changed else values["shards"][0]["sha256"]
            elif file.parent != changed.parent:
                origin = values["facts"]["origin"]["sha256"]
                origin.update({name: digest for name in origin if name == changed.name})
            elif file != changed:
                sums = values if card == "checksums.json" else values["sha256"]
                sums[changed.name] = digest
            if "seal" in values:
                del values["seal"]
                values["seal"] = compute_seal(values)
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
            continue
        if file == changed and card != "checkpoint.json":
            continue
        file.write_text(json.dumps(values), encoding="utf-8")
    if changed.name == "config.json":
        repair_sums(changed.with_name("README.md"))


def run(arguments: list[str], source: Path, nmt: Callable[..., Any]) -> Outcome:
    """Run a command in this process, with its input from a file and limits of time and memory."""
    before, started = Path("/proc/self/statm").read_text(encoding="utf-8"), _measure_seconds()
    memory = int(before.split()[0]) * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(started) + CPU_SECONDS + 1, resource.RLIM_INFINITY))
    signal.alarm(WALL_SECONDS)
    code = 70
    with source.open("rb") as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        for number, file in enumerate((stdin, stdout, stderr)):
            os.dup2(file.fileno(), number)
        try:
            nmt(arguments, prog_name="nmt")
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        except BaseException as error:  # what the command does not report itself
            os.write(2, f"Traceback: {type(error).__name__}: {error}".encode())
        sys.stdout.flush()
        contents = []
        for file in (stdout, stderr):
            file.seek(0)
            contents.append(file.read(1 << 20))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Outcome(
        code, contents[0], contents[1].decode(errors="replace"), _measure_seconds() - started, megabytes
    )


def _measure_seconds() -> float:
    """Return the time that the processor spent for this process and its children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def find_fault(target: Target | None, outcome: Outcome) -> str | None:
    """Describe what a command must never do; None if there is no such thing."""
    if outcome.exit_code == 0 and target is not None:
        lines = outcome.stdout.count(b"\n")
        return None if target.lines in (None, lines) else f"{lines} lines for {target.lines}"
    if outcome.exit_code == 2 and any(reason in outcome.stderr for reason in REQUESTS):
        return None
    if outcome.exit_code != 1:
        return f"exit code {outcome.exit_code}"
    message = outcome.stderr
    if target is not None and target.lines is None:  # `nmt doctor` prints what is wrong to stdout
        message += outcome.stdout.decode(errors="replace")
    if not message.strip() or "Traceback" in message or len(message) > 20_000:
        return "no clear message"
    return None


def fuzz(artifacts: Path, work: Path, seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield a record of each mutation. One fork of this process runs several, until one ends it."""
    shutil.copytree(artifacts, work, symlinks=True)
    os.chdir(work)
    source = work / "fuzz.txt"
    source.write_text("".join(line + "\n" for line in LINES), encoding="utf-8")
    cells = [work / "cells.py", work / "language-model" / "cells.py"]
    os.environ["NMT_TRUST_CODE"] = ",".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in cells)
    for name, target in TARGETS.items():  # imports all that is needed, in the process that is forked
        result = CliRunner().invoke(app, [*target.command], input=source.read_bytes())
        if result.exit_code:
            raise SystemExit(f"{name}: {result.output}")
    for directory in {target.directory for target in TARGETS.values()}:
        _restore(artifacts, directory)
    nmt = get_command(app)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all that is imported
    end = seed + count
    while seed < end:
        records = work / "records.jsonl"
        if (child := os.fork()) == 0:
            with records.open("w", encoding="utf-8") as file:
                _run_mutations(range(seed, min(end, seed + MUTATIONS_PER_FORK)), artifacts, source, nmt, file)
        _, status, usage = os.wait4(child, 0)
        found: dict[int, dict[str, Any]] = {}
        for line in records.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found.setdefault(record["seed"], {}).update(record)
        if status:  # by the last mutation
            seconds, megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
            outcome = Outcome(os.waitstatus_to_exitcode(status), b"", "", seconds, megabytes)
            found[record["seed"]].update(_describe(outcome, None))
            _restore(artifacts, TARGETS[record["target"]].directory)
        yield from found.values()
        seed += len(found)


def _run_mutations(
    seeds: Iterable[int], artifacts: Path, source: Path, nmt: Callable[..., Any], records: TextIO
) -> None:
    """Run mutations in a fork, and end it. Each is recorded before it runs and again after it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names, weights = [*TARGETS], [target.weight for target in TARGETS.values()]
    for seed in seeds:
        rng = Random(seed)
        [name] = rng.choices(names, weights)
        target = TARGETS[name]
        file = Path(target.directory, rng.choice(target.files))
        record = {"seed": seed, "target": name, "file": file.name, "mutation": mutate(file, rng)}
        repair_sums(file)
        print(json.dumps(record), file=records, flush=True)
        try:
            outcome = run([*target.command], source, nmt)
        except BaseException:
            os._exit(99)
        _restore(artifacts, target.directory)
        print(json.dumps({**record, **_describe(outcome, target)}), file=records, flush=True)
        if outcome.exit_code not in (0, 1, 2):
            break
    os._exit(0)


def _describe(outcome: Outcome, target: Target | None) -> dict[str, Any]:
    return {
        **{"exit": outcome.exit_code, "seconds": round(outcome.seconds, 2)},
        **{"megabytes": round(outcome.megabytes), "fault": find_fault(target, outcome)},
        "stderr": outcome.stderr[-600:],
    }


def _restore(artifacts: Path, directory: str) -> None:
    shutil.rmtree(directory)
    shutil.copytree(artifacts / directory, directory, symlinks=True)


if __name__ == "__main__":
    artifacts_, work_, seed_, count_ = sys.argv[1:]
    import onnxruntime  # noqa: F401

    import nmt.recipe.training  # noqa: F401 - for the forks

    for record in fuzz(Path(artifacts_).resolve(), Path(work_), int(seed_), int(count_)):
        print(json.dumps(record), flush=True)
