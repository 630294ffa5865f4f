"""Members run in separate processes: a failed or killed one affects no other, and finished ones are kept."""

import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from nmt.errors import UsageError
from nmt.lab.study.definition import StudyMember
from nmt.lab.study.runner import MemberFiles, StudyRunner, is_finished, read_status
from nmt.recipe.reader import read_recipe

MEMBERS = [StudyMember({"cell": name}, 1, read_recipe(["quickstart-lstm"])) for name in ("a", "b", "c")]
TESTED = """
from pathlib import Path
for name in ("scores.json", "test.hyp"):
    Path(RUN).mkdir(exist_ok=True), Path(RUN, name).touch()
"""
"""What is left where a member was trained and tested."""


def command(code: str) -> Callable[[MemberFiles], list[str]]:
    """Run a piece of Python instead of a training; it knows the member's NAME and RUN directory."""
    return lambda files: [
        *(sys.executable, "-c"),
        f"NAME, RUN = {files.name!r}, {str(files.run)!r}\n{code}\n{TESTED}",
    ]


def codes(
    directory: Path, code: str = "pass", members: list[StudyMember] = MEMBERS, jobs: int = 1
) -> dict[str, int]:
    with StudyRunner(directory, jobs, command=command(code), cores=8) as runner:
        return {member.choices["cell"]: status.exit_code for member, status in runner.train(members)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_member_that_fails_or_is_killed_does_not_stop_the_rest(tmp_path: Path, jobs: int) -> None:
    code = "import os\nif NAME[0] == 'a': print('why'); exit(3)\nif NAME[0] == 'b': os.kill(os.getpid(), 9)"
    assert codes(tmp_path, code, jobs=jobs) == {"a": 3, "b": -9, "c": 0}
    assert [is_finished(tmp_path, member) for member in MEMBERS] == [False, False, True]
    ends = [read_status(tmp_path, member) for member in MEMBERS]
    assert [end and end.said for end in ends] == ["why", "no output", "no output"]


def test_a_member_is_done_only_with_the_recipe_it_was_trained_by(tmp_path: Path) -> None:
    codes(tmp_path)
    other = MEMBERS[0]._replace(recipe=read_recipe(["quickstart-lstm"], ["training.stop_after=7e"]))
    assert is_finished(tmp_path, MEMBERS[0])
    assert not is_finished(tmp_path, other)


def test_a_torn_note_on_how_a_member_ended_counts_as_none(tmp_path: Path) -> None:
    codes(tmp_path)
    note = tmp_path / "members" / "a,seed1.json"
    note.write_bytes(note.read_bytes()[:10])
    assert [is_finished(tmp_path, member) for member in MEMBERS] == [False, True, True]


def test_a_member_whose_run_was_deleted_is_not_finished(tmp_path: Path) -> None:
    codes(tmp_path)
    shutil.rmtree(tmp_path / "members" / "b,seed1")
    assert [is_finished(tmp_path, member) for member in MEMBERS] == [True, False, True]


def test_a_member_is_finished_if_its_recipe_was_written_differently(tmp_path: Path) -> None:
    codes(tmp_path)
    recipe, status = (tmp_path / "members" / f"a,seed1.{suffix}" for suffix in ("yaml", "json"))
    old = sha256(recipe.read_bytes()).hexdigest()
    recipe.write_text(f"# {old}\n{recipe.read_text('utf-8')}", "utf-8")
    assert not is_finished(tmp_path, MEMBERS[0])
    status.write_text(
        status.read_text("utf-8").replace(old, sha256(recipe.read_bytes()).hexdigest()), "utf-8"
    )
    assert is_finished(tmp_path, MEMBERS[0])
    changed = StudyMember({"cell": "a"}, 1, read_recipe(["quickstart-lstm"], ["seed=2"]))
    assert not is_finished(tmp_path, changed)


def test_the_last_words_are_the_error_and_not_what_follows_it(tmp_path: Path) -> None:
    code = "print('nmt: early'); print('1 of 2'); print('nmt: a bug'); print('nmt: tell us'); exit(70)"
    codes(tmp_path, code, MEMBERS[:1])
    end = read_status(tmp_path, MEMBERS[0])
    assert end is not None
    assert end.said == "nmt: a bug nmt: tell us"


def test_leaving_stops_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    code = "import os, signal\nos.mkdir(RUN)\nsignal.pause()"
    with StudyRunner(tmp_path, 1, command=command(code)) as running:
        results = running.train(MEMBERS)
        first = threading.Thread(target=lambda: next(results))
        first.start()
        while not (tmp_path / "members" / "a,seed1").is_dir():
            first.join(0.01)
    first.join()
    assert not (tmp_path / "members" / "b,seed1").exists()
    assert not any(is_finished(tmp_path, member) for member in MEMBERS)


def test_sigterm_asks_the_member_under_way_to_stop_and_waits_for_it(tmp_path: Path) -> None:
    child = (
        "import os, signal, sys\nsignal.signal(15, lambda *_: (print('saved'), sys.exit(143)))\n"
        "os.mkdir(sys.argv[1])\nsignal.pause()"
    )
    process = study_in_a_process(tmp_path, child)
    process.terminate()
    process.join()
    assert process.exitcode == 143
    assert (tmp_path / "members" / "a,seed1.log").read_text("utf-8") == "saved\n"
    assert not (tmp_path / "members" / "b,seed1").exists()


def study_in_a_process(directory: Path, child: str) -> BaseProcess:
    """A study in a forked process, whose first member, a program of Python, has made its directory."""

    def study() -> None:
        command = lambda files: [sys.executable, "-c", child, str(files.run)]  # noqa: E731
        with StudyRunner(directory, 1, command=command) as running:
            for _ in running.train(MEMBERS):
                pass

    process = multiprocessing.get_context("fork").Process(target=study)
    process.start()
    while not (directory / "members" / "a,seed1").is_dir():
        assert process.is_alive()
        time.sleep(0.01)
    return process


def test_members_that_run_side_by_side_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    code = "import os\nprint(os.environ.get('OMP_NUM_THREADS', 'all'))"

    def threads(jobs: int, *settings: str) -> str:
        recipe = read_recipe(["quickstart-lstm"], settings)
        member = MEMBERS[0]._replace(recipe=recipe)
        codes(tmp_path, code, [member], jobs)
        end = read_status(tmp_path, member)
        return end.said if end else ""

    assert threads(1) == "all"
    assert threads(2) == "4"
    assert threads(2, "training.threads=1") == "all"  # the recipe says it


def test_what_a_killed_study_left_behind_still_holds_its_directory(tmp_path: Path) -> None:
    child = "import os, signal, sys\nprint(os.getpid(), flush=True)\nos.mkdir(sys.argv[1])\nsignal.pause()"
    process = study_in_a_process(tmp_path, child)
    with pytest.raises(UsageError, match=rf"another process \({process.pid}, or a child of it\)"):
        codes(tmp_path)
    process.kill()
    process.join()
    left = int((tmp_path / "members" / "a,seed1.log").read_text("utf-8"))
    try:
        with pytest.raises(UsageError, match="is using"):
            codes(tmp_path)
    finally:
        os.kill(left, signal.SIGKILL)
    while (ends := attempted(tmp_path)) is None:
        time.sleep(0.01)
    assert ends == {"a": 0, "b": 0, "c": 0}


def attempted(directory: Path) -> dict[str, int] | None:
    """What the members end with; None while the directory is another's."""
    try:
        return codes(directory)
    except UsageError:
        return None
