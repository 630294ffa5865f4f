"""Processor seconds that a command takes for one line, beside `import torch`, in turn.

    python -m benchmarks.start MODEL [--rounds 7]

Prints medians: of `python -c "import torch"`, of the same with an immediate exit (`os._exit`), and of
`nmt translate MODEL` with one line.
"""

import argparse
import os
import subprocess
import sys
from statistics import median

COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import torch, immediate exit": ["-c", "import torch, os; os._exit(0)"],
    "nmt translate, one line": ["-m", "nmt", "translate", "MODEL", "-q"],
}


def measure(arguments: list[str]) -> float:
    """Run Python and return the processor seconds that it took."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], input=b"Hallo.\n", stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    settings = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(settings.rounds):
        for name, arguments in COMMANDS.items():
            seconds[name].append(measure([settings.model if a == "MODEL" else a for a in arguments]))
    for name, values in seconds.items():
        print(f"{name:30} {median(values):5.2f} s")


if __name__ == "__main__":
    main()
