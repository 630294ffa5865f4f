"""Command lines that run in one process."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from nmt.cli import main
for words in {verbs}:
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        print(f"exit {{end.code}}", flush=True)
"""


def run_verbs(
    verbs: list[list[str]], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run several command lines in one process, as the command `nmt`."""
    program = folder / "nmt"
    program.write_bytes(PROGRAM.format(verbs=ascii(verbs)).encode())
    return subprocess.run(
        [sys.executable, str(program)],
        env={"PATH": os.environ["PATH"], **environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        check=False,
    )
