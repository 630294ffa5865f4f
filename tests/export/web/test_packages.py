"""The archives of npm: only the pinned ones, from a directory or from the registry."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from nmt.errors import DataError, UsageError
from nmt.export.web import packages
from nmt.export.web.packages import NpmPackage


def write_archive(file: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the archive of the only package."""
    folder = tmp_path / "npm"
    folder.mkdir()
    file = folder / "lib-1.0.tgz"
    write_archive(file, {"a.js": b"let a;", "b.wasm": b"\0asm" * 100, "../../outside": b"x"})
    used = {"a.js": "a.js", "b.wasm": "b.wasm.gz"}
    package = NpmPackage(
        "lib", "1.0", hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size, used
    )
    monkeypatch.setattr(packages, "PACKAGES", (package,))
    return folder


def test_only_the_named_files_are_written(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "runtime"
    target.mkdir()
    packages.check_packages(folder)
    packages.extract_packages(folder, target)
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == [
        *("a.js", "b.wasm.gz", "lib-1.0.tgz")
    ]
    assert gzip.decompress((target / "b.wasm.gz").read_bytes()) == b"\0asm" * 100
    before = (target / "b.wasm.gz").read_bytes()
    packages.extract_packages(folder, target)
    assert (target / "b.wasm.gz").read_bytes() == before


def test_an_archive_that_is_missing_or_another_is_refused(folder: Path) -> None:
    file = folder / "lib-1.0.tgz"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"lib-1\.0\.tgz: not the expected file \(sha256 [0-9a-f]{64}\)"):
        packages.check_packages(folder)
    file.unlink()
    with pytest.raises(UsageError, match=r"has no lib-1\.0\.tgz: write it with `npm pack lib@1\.0`"):
        packages.check_packages(folder)


def test_a_package_without_a_file_of_the_page_is_refused(folder: Path, tmp_path: Path) -> None:
    write_archive(folder / "lib-1.0.tgz", {"a.js": b""})
    with pytest.raises(DataError, match=r"lib-1\.0\.tgz has no file package/b\.wasm"):
        packages.extract_packages(folder, tmp_path)


def test_what_is_kept_is_not_downloaded_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "cache_directory", lambda: folder.parent)
    assert packages.fetch_packages() == folder


def test_packages_are_pinned_by_version_checksum_and_size() -> None:
    for package in packages.PACKAGES:
        assert package.url == f"https://registry.npmjs.org/{package.name}/-/{package.archive}"
        assert len(package.sha256) == 64
        assert package.size > 0
