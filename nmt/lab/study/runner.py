"""The members of a study are trained: each by a process of its own, so that what befalls one spares the rest.

In the directory of the study, for a member NAME: `members/NAME.yaml` is its recipe, `members/NAME/` its run,
`members/NAME.log` what it said, `members/NAME.json` how it ended.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from nmt.files import write_file
from nmt.lab.study.definition import Member
from nmt.recipe import reader
from nmt.recipe.run_directory import locked
from nmt.workers import count_cores


class Ended(NamedTuple):
    """How a member's process ended."""

    recipe: str  # the checksum of its recipe
    exit_code: int
    said: str  # its last words

    @property
    def well(self) -> bool:
        """Whether it was trained and tested."""
        return self.exit_code == 0


class Place(NamedTuple):
    """Where a member's files lie."""

    folder: Path
    name: str

    def file(self, ending: str) -> Path:
        """NAME.yaml, NAME.log, NAME.json."""
        return self.folder / f"{self.name}.{ending}"

    @property
    def run(self) -> Path:
        """Its run directory."""
        return self.folder / self.name


def place(directory: Path, member: Member) -> Place:
    """Where the files of a member of the study in `directory` lie."""
    return Place(directory / "members", member.name)


def ended(directory: Path, member: Member) -> Ended | None:
    """How the member ended, if it did with this very recipe."""
    try:
        found = Ended(**json.loads(place(directory, member).file("json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.recipe == _checksum(member) else None


def done(directory: Path, member: Member) -> bool:
    """Whether the member was trained and tested with this very recipe, and is still there."""
    end, run = ended(directory, member), place(directory, member).run
    return (
        end is not None and end.well and all((run / name).is_file() for name in ("scores.json", "test.hyp"))
    )


def _checksum(member: Member) -> str:
    return sha256(reader.dump(member.recipe).encode()).hexdigest()


def command(here: Place) -> list[str]:
    """What trains and tests a member, or goes on with it."""
    return [sys.executable, "-m", "nmt", "run", str(here.file("yaml")), "-o", str(here.run)]


class Grid:
    """Trains members, `jobs` at a time; leaving the block stops those under way, to be gone on with.

    So does SIGTERM, which leaves it with the exit code that shells give for that. UsageError while another
    process trains members in that directory; where it was killed, until those that it left behind have ended.
    """

    def __init__(self, directory: Path, jobs: int) -> None:
        self.directory, self.jobs = directory, jobs
        self._pool = ThreadPoolExecutor(jobs)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._closed = threading.Lock(), False
        self._until_the_end = ExitStack()

    def __enter__(self) -> "Grid":
        (self.directory / "members").mkdir(parents=True, exist_ok=True)
        self._held = self._until_the_end.enter_context(locked(self.directory))
        self._before = signal.signal(signal.SIGTERM, _leave)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            for process in self._running:
                process.terminate()
        self._pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGTERM, self._before)
        self._until_the_end.close()

    def train(self, members: Sequence[Member]) -> Iterator[tuple[Member, Ended]]:
        """Each member when its end has come."""
        futures = {self._pool.submit(self._train, member): member for member in members}
        for future in as_completed(futures):
            yield futures[future], future.result()

    def _train(self, member: Member) -> Ended:
        here = place(self.directory, member)
        write_file(here.file("yaml"), reader.dump(member.recipe).encode())
        with here.file("log").open("wb") as log:
            exit_code = self._call(command(here), log.fileno(), member)
        found = Ended(_checksum(member), exit_code, _last_words(here.file("log")))
        write_file(here.file("json"), json.dumps(found._asdict(), ensure_ascii=False).encode())
        return found

    def _call(self, words: Sequence[str], log: int, member: Member) -> int:
        """Run a command to its end; its exit code."""
        with self._lock:
            if self._closed:
                return -1
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(member),
                pass_fds=[self._held],  # the directory is theirs as long as one of them lives
                start_new_session=True,  # a Ctrl-C is for this process, which asks them to stop, once
            )
            self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.remove(process)
        return code

    def _environment(self, member: Member) -> Mapping[str, str]:
        """That of this process; several at once share the cores, where nothing is said of threads."""
        shared = self.jobs > 1 and member.recipe.training.threads is None
        return {
            **({"OMP_NUM_THREADS": str(max(count_cores() // self.jobs, 1))} if shared else {}),
            **os.environ,
        }


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _last_words(log: Path) -> str:
    """The error that `nmt` ended with and what it said of it, in one line; else the last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").split("\n")]
    lines = [line for line in lines if line] or ["it said nothing"]
    errors = [place for place, line in enumerate(lines) if line.startswith("nmt: ")] or [len(lines) - 1]
    first = next(place for place in reversed(errors) if place - 1 not in errors)
    return " ".join(lines[first:])
