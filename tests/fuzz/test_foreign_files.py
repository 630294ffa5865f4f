"""Mutated files of runs, models and exports are refused with a message, or read: no crash, hang or traceback.

`NMT_MUTATIONS` sets the number of mutations of the slow test, `NMT_MUTATIONS_SEED` the first seed. A fault is
repeated with its seed: `python -m tests.fuzz.runner tests/compatibility/v0.1 WORK SEED 1`.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nmt.protobuf import read_fields
from tests.fuzz.mutations import BYTES, STRUCTURE

pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ARTIFACTS = CHECKOUT / "tests" / "compatibility" / "v0.1"
PROCESSES = 2


def run_mutations(tmp_path: Path, seed: int, count: int) -> list[dict[str, Any]]:
    """The records of `count` mutations, by several processes that are forked for each of them."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "tests.fuzz.runner", ARTIFACTS]
    share = -(-count // PROCESSES) if count > 1000 else count
    starts = range(seed, seed + count, share)
    processes = [
        subprocess.Popen(
            [*command, tmp_path / str(start), str(start), str(min(share, seed + count - start))],
            **{"cwd": CHECKOUT, "env": environment, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE},
        )
        for start in starts
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    records = [json.loads(line) for output in outputs for line in output.splitlines()]
    assert len(records) == count
    return records


def describe(records: list[dict[str, Any]]) -> str:
    """The figures of a run: mutations by target and kind, exit codes, the longest time, the most memory."""
    by_kind = Counter((record["target"], record["mutation"]) for record in records)
    lines = [f"{count:6}  {target}: {mutation}" for (target, mutation), count in sorted(by_kind.items())]
    exits = dict(sorted(Counter(record["exit"] for record in records).items()))
    longest, most = (max(record[name] for record in records) for name in ("seconds", "megabytes"))
    return "\n".join([*lines, f"exit codes {exits}; at most {longest} s of the processor, {most} MB"])


def check(records: list[dict[str, Any]]) -> None:
    print(describe(records))
    faults = [record for record in records if record["fault"]]
    assert faults == []
    assert {record["exit"] for record in records} <= {0, 1, 2}


def test_two_hundred_mutations_are_refused_or_read(tmp_path: Path) -> None:
    check(run_mutations(tmp_path, 0, 200))


@pytest.mark.slow
def test_many_mutations_are_refused_or_read(tmp_path: Path) -> None:
    seed, count = (
        int(os.environ.get(name, default))
        for name, default in (("NMT_MUTATIONS_SEED", "100000"), ("NMT_MUTATIONS", "20000"))
    )
    check(run_mutations(tmp_path, seed, count))


@pytest.mark.parametrize("ending", STRUCTURE)
def test_a_mutation_of_structure_depends_on_the_seed_alone_and_changes_the_file(ending: str) -> None:
    file = next(path for path in sorted(ARTIFACTS.rglob(f"*{ending}")) if path.stat().st_size < 300_000)
    content = file.read_bytes()
    changed = [STRUCTURE[ending](content, Random(seed)) for seed in range(20)]
    assert changed == [STRUCTURE[ending](content, Random(seed)) for seed in range(20)]
    assert len({*changed} - {content}) > 10
    if ending == ".spm":
        assert any([*read_fields(memoryview(one))] for one in changed)


def test_there_are_mutations_of_bytes() -> None:
    assert {"flip_bytes", "cut", "empty", "insert", "remove", "replace"} == set(BYTES)
