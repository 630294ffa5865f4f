"""Training of a study's members, each in a separate process, so a failure does not stop the others.

Files in the directory of the study, for a member NAME: the recipe `members/NAME.yaml`, the run
`members/NAME/`, the output `members/NAME.log`, the status `members/NAME.json`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from contextvars import copy_context
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from nmt.data.sources import find_part, find_training_corpora
from nmt.errors import DataError, UsageError, raise_termination
from nmt.files import write_file
from nmt.lab.study.definition import StudyMember
from nmt.operating_system import count_cores, request_stop, start_detached
from nmt.outputs import check_output_directory, check_output_files
from nmt.recipe import reader
from nmt.recipe.run_directory import find_inputs, lock_directory
from nmt.recipe.sections import to_json
from nmt.trust import is_code_allowed
from nmt.untrusted_files import LOG_BYTES, RECIPE_BYTES, read_bytes, read_json


class MemberStatus(NamedTuple):
    """The end of a member's process."""

    recipe: str  # checksum
    exit_code: int
    said: str  # its error message, or its last line

    @property
    def succeeded(self) -> bool:
        """True if it was trained and tested."""
        return self.exit_code == 0


class MemberFiles(NamedTuple):
    """The paths of a member's files."""

    folder: Path
    name: str

    def file(self, suffix: str) -> Path:
        """NAME.yaml, NAME.log, NAME.json."""
        return self.folder / f"{self.name}.{suffix}"

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.folder / self.name


def member_files(directory: Path, member: StudyMember) -> MemberFiles:
    """Return the files of a member of the study in `directory`."""
    return MemberFiles(directory / "members", member.name)


def read_status(directory: Path, member: StudyMember) -> MemberStatus | None:
    """Read the status of a member; None unless its process has ended, and with the same recipe.

    The recipe may be written differently, as by another version.
    """
    files = member_files(directory, member)
    try:
        status = read_json(files.file("json"), MemberStatus)
        if status.recipe != _checksum(files):
            return None
        recipe = reader.read_recipe([str(files.file("yaml"))])
    except (DataError, UsageError):
        return None
    return status if recipe == member.recipe else None


def is_finished(directory: Path, member: StudyMember) -> bool:
    """Return True if the member was trained and tested with the same recipe, and its results exist."""
    status, run = read_status(directory, member), member_files(directory, member).run
    results = ("scores.json", "test.hyp")
    return status is not None and status.succeeded and all((run / name).is_file() for name in results)


def check_data(directory: Path, members: Sequence[StudyMember]) -> None:
    """Raise DataError or UsageError if files of a member are missing, or the study would overwrite them."""
    for recipe in {to_json(member.recipe.data): member.recipe for member in members}.values():
        find_training_corpora(recipe.data)
        find_part(recipe.data, "valid")
        find_part(recipe.data, "test")
        for written in ("members", "pictures"):
            check_output_directory("--output", directory / written, find_inputs(recipe))
        reports = {f"--output ({name})": directory / name for name in ("report.md", "report.html")}
        check_output_files(reports, find_inputs(recipe))


def build_training_command(files: MemberFiles) -> list[str]:
    """Return the command that trains and tests a member, or resumes it."""
    trust = ["--trust-code"] if is_code_allowed() else []
    return [sys.executable, "-m", "nmt", "run", str(files.file("yaml")), "-o", str(files.run), *trust]


class StudyRunner:
    """A trainer of members, `jobs` at a time. On exit it stops those in progress, which can be resumed.

    So does SIGTERM, with the exit code that shells give for it. Raises UsageError while another process
    trains members in the same directory, or, if it was killed, until its members' processes have ended.
    """

    def __init__(
        self,
        directory: Path,
        jobs: int,
        *,
        command: Callable[[MemberFiles], list[str]] = build_training_command,
        cores: int = count_cores(),
    ) -> None:
        self.directory, self.jobs, self.command, self.cores = directory, jobs, command, cores
        self._pool = ThreadPoolExecutor(jobs)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._closed = threading.Lock(), False
        self._on_exit = ExitStack()

    def __enter__(self) -> "StudyRunner":
        (self.directory / "members").mkdir(parents=True, exist_ok=True)
        self._directory_lock = self._on_exit.enter_context(lock_directory(self.directory))
        self._sigterm_handler = signal.signal(signal.SIGTERM, raise_termination)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            for process in self._running:
                request_stop(process)
        self._pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGTERM, self._sigterm_handler)
        self._on_exit.close()

    def train(self, members: Sequence[StudyMember]) -> Iterator[tuple[StudyMember, MemberStatus]]:
        """Yield each member when its process has ended."""
        futures = {self._pool.submit(copy_context().run, self._train, m): m for m in members}
        for future in as_completed(futures):
            yield futures[future], future.result()

    def _train(self, member: StudyMember) -> MemberStatus:
        files = member_files(self.directory, member)
        write_file(files.file("yaml"), reader.dump(member.recipe).encode())
        with files.file("log").open("wb") as log:
            exit_code = self._run(self.command(files), log.fileno(), member)
        status = MemberStatus(_checksum(files), exit_code, _error_message(files.file("log")))
        write_file(files.file("json"), json.dumps(status._asdict(), ensure_ascii=False).encode())
        return status

    def _run(self, command: list[str], log: int, member: StudyMember) -> int:
        """Run a command and return its exit code; parallel members share the cores unless threads are set."""
        shared = self.jobs > 1 and member.recipe.training.threads is None
        threads = {"OMP_NUM_THREADS": str(max(self.cores // self.jobs, 1))} if shared else {}
        with self._lock:
            if self._closed:
                return -1
            process = start_detached(
                command,
                log=log,
                environment={**threads, **os.environ},
                inherited=self._directory_lock,  # locked until all of them have ended
            )
            self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.remove(process)
        return code


def _checksum(files: MemberFiles) -> str:
    return sha256(read_bytes(files.file("yaml"), RECIPE_BYTES)).hexdigest()


def _error_message(log: Path) -> str:
    """Return the last error of `nmt` and what follows it in one line; without one, the last line."""
    lines = [line.strip() for line in read_bytes(log, LOG_BYTES).decode(errors="replace").split("\n")]
    lines = [line for line in lines if line] or ["no output"]
    errors = [i for i, line in enumerate(lines) if line.startswith("nmt: ")] or [len(lines) - 1]
    first = next(i for i in reversed(errors) if i - 1 not in errors)
    return " ".join(lines[first:])
