"""`nmt new` compared with shipped recipes at equal processor time, on the pairs that it has split.

    python -m benchmarks.new CORPUS... --minutes N [--directory DIR] [--recipes NAME...]

CORPUS is PREFIX:SRC-TGT[:PAIRS], files of pairs and how many of them: `corpora/multi30k/train:de-en:5000`
reads train.de and train.en. For each corpus `nmt new --minutes N` makes a directory, with the speed of an
idle core instead of that of the moment. The recipes are trained on its parts, for as many updates as take
the same processor time, with as many validations and, where theirs cannot be trained, a vocabulary of its
size; `nmt run` scores all of them on its validation pairs: test pairs are not read. One thread each. Minutes
are the processor time of the whole command: preparation, updates, validations and the scoring.

Everything is kept in DIR/CORPUS (by default `new`), and the same command resumes.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from nmt.cli.terminal import format_table
from nmt.data.pairs import find_corpus, open_pair_writer, read_pairs
from nmt.data.splitting import SplitSettings
from nmt.errors import NmtError, UsageError
from nmt.files import write_file
from nmt.lab.doctor.trial_run import TrainingCost, run_trial
from nmt.lab.project import fitting
from nmt.lab.project.build import create_project
from nmt.lab.project.pair_files import find_pair_files
from nmt.recipe.reader import read_any_recipe, read_recipe
from nmt.training.console import Progress

ONE_THREAD = "training.threads=1"
VALIDATE = "data.test=valid"
TIMED_UPDATES = 40
METRICS = ("BLEU", "chrF2")


@dataclass
class System:
    """A recipe that is trained for some updates."""

    name: str
    words: list[str]  # recipe and settings of `nmt run`
    updates: int
    minutes: float = 0.0  # processor time of `nmt run`, with earlier attempts
    problem: str = ""


def time_update(words: Sequence[str], *settings: str) -> float:
    """Measure the processor time of an update of a recipe, in seconds."""
    recipe = read_any_recipe(*_split([*words, ONE_THREAD, *settings]))
    with TemporaryDirectory() as run:
        cost, findings = run_trial(recipe, Path(run), Progress(None), updates=TIMED_UPDATES)
    if cost is None:
        raise UsageError("; ".join(finding.what for finding in findings))
    return cost.processor_seconds


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    return [word for word in words if "=" not in word], [word for word in words if "=" in word]


def write_pairs(corpus: str, directory: Path) -> list[str]:
    """Write the pairs of a corpus to two files, and return their names."""
    prefix, _, rest = corpus.partition(":")
    languages, _, count = rest.partition(":")
    src, _, tgt = languages.partition("-")
    if not src or not tgt or not (not count or count.isdigit()):
        raise UsageError(f"{corpus}: expected PREFIX:SRC-TGT or PREFIX:SRC-TGT:PAIRS")
    found = find_corpus(prefix, root=Path(), src=src, tgt=tgt)
    with open_pair_writer(str(directory / "pairs"), (src, tgt), inputs=found.files) as write:
        for pair in islice(read_pairs(found), int(count) if count else None):
            write(*pair)
    return [str(directory / f"pairs.{language}") for language in (src, tgt)]


def plan_systems(corpus: str, directory: Path, recipes: Sequence[str], minutes: float) -> list[System]:
    """Make a directory of a corpus by `nmt new`, and plan the updates of all systems."""
    files = write_pairs(corpus, directory)

    def time_processor(*arguments: Any, **options: Any) -> tuple[TrainingCost | None, Any]:
        cost, findings = run_trial(*arguments, **options)
        return cost and cost._replace(seconds_per_update=cost.processor_seconds), findings

    project = directory / "mine"
    if not project.exists():
        with patch.object(fitting, "run_trial", time_processor):
            inputs = find_pair_files(files, None, None)
            create_project(project, inputs, SplitSettings(), minutes, lambda _: None)
    mine = read_recipe([str(project / "recipe.yaml")])
    pairs = json.loads((project / "split.json").read_text("utf-8"))["pairs"]["train"]
    batches = -(-pairs // mine.training.batch.size)
    updates = max(1, round(mine.training.stop_after.count * batches))
    seconds = updates * time_update([str(project / "recipe.yaml")])
    systems = [System("nmt new", [str(project / "recipe.yaml"), VALIDATE], updates)]
    data = [
        f"data.root={project.resolve() / 'data'}",
        f"data.src={mine.data.src}",
        f"data.tgt={mine.data.tgt}",
    ]
    for name in recipes:
        words = [name, *data, "data.train=train", "data.valid=valid", VALIDATE]
        try:
            per_update = time_update(words)
        except NmtError:  # the 2,000 tokens of quickstart-lstm are fewer than the characters of Chinese
            vocabulary = ("size", "character_coverage")
            words += [f"subwords.{key}={getattr(mine.subwords, key)}" for key in vocabulary]
            per_update = time_update(words)
        updates = max(1, round(seconds / per_update))
        every = max(1, round(updates / fitting.VALIDATIONS))
        words += [f"training.stop_after={updates}u", f"training.validation.every={every}u"]
        systems.append(System(name, words, updates))
    return systems


def run_system(system: System, run: Path) -> None:
    """Run `nmt run` for a system, and add its processor time."""
    log = run.with_suffix(".log")
    command = [sys.executable, "-m", "nmt", "run", *system.words, ONE_THREAD, "-o", str(run)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    system.minutes += (usage.ru_utime + usage.ru_stime) / 60
    if process.returncode:
        system.problem = f"exit code {process.returncode}, see {log}"


def compare(corpus: str, directory: Path, recipes: Sequence[str], minutes: float) -> str:
    """Train all systems on a corpus, and format their scores."""
    directory.mkdir(parents=True, exist_ok=True)
    plan = directory / "plan.json"
    if plan.exists():
        systems = [System(**fields) for fields in json.loads(plan.read_text("utf-8"))]
    else:
        systems = plan_systems(corpus, directory, recipes, minutes)
    rows = []
    for system in systems:
        run = directory / system.name.replace(" ", "-")
        if not (run / "scores.json").exists() and system.updates:
            system.problem = ""
            run_system(system, run)
        write_file(plan, (json.dumps([asdict(one) for one in systems], indent=1) + "\n").encode())
        scores = {}
        if not system.problem:
            found = json.loads((run / "scores.json").read_text("utf-8"))
            scores = {score["name"]: f"{score['value']:.2f}" for score in found}
        figures = [*(scores.get(name, "-") for name in METRICS), f"{system.minutes:.1f}"]
        rows.append([system.name, f"{system.updates:,}", *figures, system.problem])
    return format_table(rows, (corpus, "updates", *METRICS, "minutes", ""), align="lrrrrl", width=200)


def main() -> None:
    """Compare on every corpus that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpora", nargs="+", metavar="CORPUS")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--directory", type=Path, default=Path("new"))
    parser.add_argument("--recipes", nargs="+", default=["quickstart-lstm", "multi30k-de-en-lstm"])
    options = parser.parse_args()
    for corpus in options.corpora:
        prefix, _, rest = corpus.partition(":")
        name = "-".join([Path(prefix).parent.name, *rest.split(":")])
        try:
            table = compare(corpus, options.directory / name, options.recipes, options.minutes)
        except NmtError as error:
            table = f"{corpus}: {error}"
        print(f"{table}\n", flush=True)


if __name__ == "__main__":
    main()
