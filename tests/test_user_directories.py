"""Directories of the user: where the system puts them, and without a home."""

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nmt import operating_system, user_directories
from nmt.data.corpora import download_root
from nmt.errors import UsageError
from nmt.files import expand_home
from nmt.recipe.reader import read_recipe
from nmt.user_directories import cache_directory, find_exposure, state_directory


@pytest.fixture(autouse=True)
def _fresh_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Temporary directories of a test are its own; so is the one that a process remembers."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "NMT_CORPORA"):
        monkeypatch.delenv(name, raising=False)
    user_directories.temporary_directory.cache_clear()
    yield
    user_directories.temporary_directory.cache_clear()


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an entry in the password database and without $HOME, as in many containers."""

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)


def test_directories_are_those_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "nmt"
    assert state_directory() == tmp_path / ".local" / "state" / "nmt"
    assert download_root() == tmp_path / ".cache" / "nmt" / "corpora"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_directory() == tmp_path / "elsewhere" / "nmt"
    assert stat.S_IMODE(cache_directory().stat().st_mode) == 0o700


@pytest.mark.usefixtures("no_home")
def test_without_a_home_a_private_directory_is_used(tmp_path: Path) -> None:
    cache = cache_directory()
    assert cache == tmp_path / "tmp" / f"nmt-{os.getuid()}" / "cache"
    assert state_directory() == cache.with_name("state")
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
    user_directories.temporary_directory.cache_clear()  # another process
    assert cache_directory() == cache


@pytest.mark.parametrize("home", ["file/home", "file"])
def test_a_home_that_cannot_be_created_is_as_good_as_none(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / home))
    assert cache_directory().is_relative_to(tmp_path / "tmp")


@pytest.mark.usefixtures("no_home")
@pytest.mark.parametrize("kind", ["link", "open", "file"])
def test_a_name_that_somebody_took_is_not_used(kind: str, tmp_path: Path) -> None:
    taken = tmp_path / "tmp" / f"nmt-{os.getuid()}"
    if kind == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        taken.symlink_to(tmp_path / "theirs")
    elif kind == "open":
        taken.mkdir()
        taken.chmod(0o777)
    else:
        taken.touch()
    cache = cache_directory()
    assert not cache.is_relative_to(taken)
    assert cache == cache_directory()
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700


def test_a_directory_is_exposed_where_others_may_write(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    directory.mkdir(parents=True)
    directory.chmod(0o755)
    assert find_exposure(directory) is None
    directory.chmod(0o757)
    assert find_exposure(directory) == f"others may write to {directory}"
    directory.chmod(0o755)
    directory.parent.chmod(0o777)
    assert find_exposure(directory) == f"others may write to {directory.parent}"
    directory.parent.chmod(0o1777)
    assert find_exposure(directory) is None


def test_a_directory_of_another_user_is_exposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() == 0:
        os.chown(tmp_path, 54321, 54321)
    uid = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    assert find_exposure(tmp_path) == f"{tmp_path} belongs to another user (uid {uid})"


def test_a_group_may_write_if_it_is_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o775)
    monkeypatch.setattr(operating_system, "is_private_group", lambda group: True)
    assert find_exposure(tmp_path) is None
    monkeypatch.setattr(operating_system, "is_private_group", lambda group: False)
    assert find_exposure(tmp_path) == f"others may write to {tmp_path}"


@pytest.mark.usefixtures("no_home")
def test_a_tilde_without_a_home_gets_a_plain_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="~/x: the home directory of this user is not known; write the path"):
        expand_home("~/x")
    with pytest.raises(UsageError, match="home directory of nobody-at-all is not known"):
        expand_home("~nobody-at-all/x")
    with pytest.raises(UsageError, match="command line: ~/data: the home directory"):
        read_recipe(["quickstart-lstm"], ["data.root=~/data"])
    with pytest.raises(UsageError, match="~/r.yaml: the home directory"):
        read_recipe(["~/r.yaml"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_a_user_that_the_system_does_not_know_gets_a_private_directory() -> None:
    code = (
        "import grp, os, nmt.user_directories as d\n"
        "os.environ.pop('HOME', None)\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
        "print(d.cache_directory(), d.find_exposure(d.cache_directory()))"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o1777)
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TMPDIR": directory},
            capture_output=True,
            text=True,
        )
        assert result.stdout.split() == [f"{directory}/nmt-54321/cache", "None"], result.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root has files of root")
def test_a_directory_of_root_is_not_exposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an image with a cache that was filled when it was built."""
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert find_exposure(tmp_path) is None
