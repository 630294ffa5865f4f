"""Training of a study's members, each in a separate process, so a failure does not stop the others.

Files in the directory of the study, for a member NAME: the recipe `members/NAME.yaml`, the run
`members/NAME/`, the output `members/NAME.log`, the status `members/NAME.json`.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from nmt.data.sources import find_part, find_training_corpora
from nmt.errors import DataError, UsageError
from nmt.files import write_file
from nmt.lab.processes import ChildProcesses, read_error_message
from nmt.lab.study.definition import StudyMember
from nmt.operating_system import count_cores
from nmt.outputs import check_output_directory, check_output_files
from nmt.recipe import reader
from nmt.recipe.run_directory import find_inputs
from nmt.recipe.sections import to_json
from nmt.trust import is_code_allowed
from nmt.untrusted_files import RECIPE_BYTES, read_bytes, read_json


class MemberStatus(NamedTuple):
    """The outcome of a member's process."""

    recipe: str  # SHA-256 of its file
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
        """Return the path NAME.SUFFIX: the recipe (yaml), the output (log) or the status (json)."""
        return self.folder / f"{self.name}.{suffix}"

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.folder / self.name


def find_member_files(directory: Path, member: StudyMember) -> MemberFiles:
    """Return the files of a member of the study in `directory`."""
    return MemberFiles(directory / "members", member.name)


def read_status(directory: Path, member: StudyMember) -> MemberStatus | None:
    """Read the status of a member; None unless its process has ended, and had the same recipe.

    Recipes are compared by their settings, not as files.
    """
    files = find_member_files(directory, member)
    try:
        status = read_json(files.file("json"), MemberStatus)
        if status.recipe != _compute_checksum(files):
            return None
        recipe = reader.read_recipe([str(files.file("yaml"))])
    except (DataError, UsageError):
        return None
    return status if recipe == member.recipe else None


def is_finished(directory: Path, member: StudyMember) -> bool:
    """Return True if the member was trained and tested with the same recipe, and its results exist."""
    status, run = read_status(directory, member), find_member_files(directory, member).run
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
    """A context in which members are trained, `jobs` at a time; on exit they stop, and can be resumed."""

    def __init__(
        self,
        directory: Path,
        jobs: int,
        *,
        command: Callable[[MemberFiles], list[str]] = build_training_command,
        cores: int = count_cores(),
    ) -> None:
        self.directory, self.command = directory, command
        self._processes = ChildProcesses(directory, jobs, cores=cores)
        self._pool = ThreadPoolExecutor(jobs)

    def __enter__(self) -> "StudyRunner":
        (self.directory / "members").mkdir(parents=True, exist_ok=True)
        self._processes.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._processes.__exit__()
        self._pool.shutdown()

    def train(self, members: Sequence[StudyMember]) -> Iterator[tuple[StudyMember, MemberStatus]]:
        """Yield each member when its process has ended."""
        futures = {self._pool.submit(copy_context().run, self._train, m): m for m in members}
        for future in as_completed(futures):
            yield futures[future], future.result()

    def _train(self, member: StudyMember) -> MemberStatus:
        files = find_member_files(self.directory, member)
        write_file(files.file("yaml"), reader.dump(member.recipe).encode())
        shares_cores = member.recipe.training.threads is None
        with files.file("log").open("wb") as log:
            exit_code = self._processes.run(self.command(files), log.fileno(), shares_cores=shares_cores)
        status = MemberStatus(_compute_checksum(files), exit_code, read_error_message(files.file("log")))
        write_file(files.file("json"), json.dumps(status._asdict(), ensure_ascii=False).encode())
        return status


def _compute_checksum(files: MemberFiles) -> str:
    return sha256(read_bytes(files.file("yaml"), RECIPE_BYTES)).hexdigest()
