"""The distribution's name, and what has to be right before a version is released."""

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
OTHER_PROJECT = re.compile(
    r"(?<![\w-])nmt\[|pip3? (?:install|uninstall|download)\b[^\n`]*?(?<![\w./-])nmt(?![\w./-])"
)
"""What would install the project `nmt` of PyPI, which is not this one."""


def texts() -> dict[str, str]:
    """Every text file of the repository by its path, old artifacts and pictures left out."""
    folders = ("nmt", "docs", "tests", "benchmarks", "recipes", "corpora", ".ci")
    files = [path for folder in folders for path in (CHECKOUT / folder).rglob("*") if path.is_file()]
    files += [path for path in CHECKOUT.iterdir() if path.is_file()]
    kinds = {"", ".md", ".py", ".toml", ".txt", ".yaml", ".yml", ".sh", ".html", ".json"}
    kept = [path for path in files if path.suffix in kinds and "compatibility" not in path.parts]
    return {str(path.relative_to(CHECKOUT)): path.read_text(encoding="utf-8") for path in kept}


def test_the_pattern_finds_the_other_project() -> None:
    for wrong in ("pip install 'nmt[ray]'", "needs nmt[fast]", "pip install nmt", "pip install -U nmt==1"):
        assert OTHER_PROJECT.search(wrong), wrong
    for right in (
        "pip install 'recurrent-nmt[ray]'",
        "pip install -e . && ls nmt/",
        "pip install wheel/nmt.txt",
    ):
        assert not OTHER_PROJECT.search(right), right


def test_nothing_asks_to_install_the_project_nmt_of_pypi() -> None:
    allowed = {"tests/test_release.py", "CHANGELOG.md"}  # the changelog: how to uninstall the old name
    found = {
        f"{path}: {match[0]}"
        for path, text in texts().items()
        for match in OTHER_PROJECT.finditer(text)
        if path not in allowed
    }
    assert found == set()
    assert [match[0] for match in OTHER_PROJECT.finditer(texts()["CHANGELOG.md"])] == ["pip uninstall nmt"]


def test_the_wheel_has_the_name_of_the_distribution_and_the_command_nmt() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "recurrent-nmt"
    assert project["scripts"] == {"nmt": "nmt.cli:main"}
    wheels = re.findall(r"dist/[^\s;]*\.whl", (CHECKOUT / "Makefile").read_text(encoding="utf-8"))
    assert set(wheels) == {"dist/recurrent_nmt-*.whl"}


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """The script behind `make release`."""
    spec = importlib.util.spec_from_file_location("release", CHECKOUT / ".ci" / "release.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHANGELOG = """# Changelog

## [0.2.0] - 2026-11-30

### Added

- **A cell** (docs/cells.md).

## [0.1.0]

The first version.
"""


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository that is ready for 0.2.0, and wheels that say so."""
    (tmp_path / "nmt").mkdir()
    (tmp_path / "nmt" / "__init__.py").write_text('"""A."""\n\n__version__ = "0.2.0"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (tmp_path / ".gitignore").write_text("dist/\n", encoding="utf-8")
    (tmp_path / "dist").mkdir()
    for words in (("init",), ("add", "."), ("commit", "-m", "a")):
        git(tmp_path, *words)
    return tmp_path


def write(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(checkout: Path) -> None:
        file = checkout / name
        file.write_text(file.read_text("utf-8").replace(old, new), encoding="utf-8")
        git(checkout, "commit", "-am", "b")

    return change


UNREADY: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed file": (
        lambda it: (it / "CHANGELOG.md").write_text(CHANGELOG + "x", encoding="utf-8"),
        "tree is not clean",
    ),
    "a new file": (lambda it: (it / "x.py").touch(), "tree is not clean"),
    "another version": (write("nmt/__init__.py", "0.2.0", "0.1.0"), "nmt/__init__.py: __version__ is 0.1.0"),
    "no version": (write("nmt/__init__.py", "__version__", "v"), "nmt/__init__.py: __version__ is None"),
    "a tag": (lambda it: git(it, "tag", "v0.2.0"), "the tag v0.2.0 already exists"),
    "no heading": (write("CHANGELOG.md", "[0.2.0] - 2026-11-30", "[Unreleased]"), "rename [Unreleased]"),
    "no date": (write("CHANGELOG.md", " - 2026-11-30", ""), "rename [Unreleased]"),
    "an impossible date": (write("CHANGELOG.md", "2026-11-30", "2026-11-31"), "2026-11-31 is not a date"),
    "an older heading": (
        write("CHANGELOG.md", "## [0.2.0]", "## [0.3.0] - 2026-12-24\n\n## [0.2.0]"),
        "rename",
    ),
    "no notes": (write("CHANGELOG.md", "### Added\n\n- **A cell** (docs/cells.md).\n", ""), "0.2.0 is empty"),
    "more notes": (write("CHANGELOG.md", "## [0.2.0]", "## [Unreleased]\n\n- x\n\n## [0.2.0]"), "not empty"),
}


@pytest.mark.parametrize("name", UNREADY)
def test_what_is_not_ready_is_not_released(release: ModuleType, checkout: Path, name: str) -> None:
    assert release.find_problems(checkout, "0.2.0") == []
    change, message = UNREADY[name]
    change(checkout)
    [problem] = release.find_problems(checkout, "0.2.0")
    assert message in problem
    with pytest.raises(SystemExit, match="0.2.0 cannot be released:\n"):
        release.main(["0.2.0", "--without-tests"], checkout)
    assert [*(checkout / "dist").iterdir()] == []


@pytest.mark.parametrize("version", ["", "0.2", "v0.2.0", "0.2.0rc1", "0.2.0; ls"])
def test_a_version_has_three_numbers(release: ModuleType, checkout: Path, version: str) -> None:
    assert release.find_problems(checkout, version) == [f"'{version}' is not a version such as 0.2.0"]


def test_an_empty_unreleased_section_may_come_first(release: ModuleType, checkout: Path) -> None:
    write("CHANGELOG.md", "## [0.2.0]", "## [Unreleased]\n\n## [0.2.0]")(checkout)
    assert release.find_problems(checkout, "0.2.0") == []


def record(release: ModuleType, monkeypatch: pytest.MonkeyPatch, *contents: str) -> list[str]:
    """Replace what is slow by a record of the commands; the build writes a wheel with these files."""
    commands: list[str] = []

    def run(command: Sequence[str], folder: Path) -> None:
        commands.append(" ".join(command).replace(sys.executable, "python"))
        if "build" in command:
            for name in ("recurrent_nmt-0.2.0.tar.gz", "recurrent_nmt-0.2.0-py3-none-any.whl"):
                with zipfile.ZipFile(folder / "dist" / name, "w") as archive:
                    for content in contents:
                        archive.writestr(content, "")

    monkeypatch.setattr(release, "run", run)
    monkeypatch.setattr(release, "try_wheel", lambda wheel, *_: commands.append(f"try {wheel.name}"))
    return commands


def test_a_release_is_checked_built_tried_and_neither_tagged_nor_pushed(
    release: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = record(release, monkeypatch, "nmt/__init__.py", "recurrent_nmt-0.2.0.dist-info/METADATA")
    (checkout / "dist" / "recurrent_nmt-0.1.0-py3-none-any.whl").touch()
    release.main(["0.2.0"], checkout)
    build = f"python -m build --no-isolation --outdir {checkout / 'dist'} ."
    assert commands == [".ci/run", build, "try recurrent_nmt-0.2.0-py3-none-any.whl"]
    tag = (checkout / "dist" / "v0.2.0.txt").read_text("utf-8")
    assert tag == "nmt 0.2.0\n\nAdded:\n\n- **A cell** (docs/cells.md).\n"
    assert sorted(file.name for file in (checkout / "dist").iterdir()) == [
        *("recurrent_nmt-0.2.0-py3-none-any.whl", "recurrent_nmt-0.2.0.tar.gz", "v0.2.0.txt")
    ]
    assert tag in capsys.readouterr().out
    assert release.output(["git", "tag"], checkout) == ""


def test_a_wheel_with_files_of_another_package_is_refused(
    release: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(release, monkeypatch, "nmt/__init__.py", "tests/a.py")
    with pytest.raises(SystemExit, match="contains nmt, tests"):
        release.main(["0.2.0", "--without-tests"], checkout)


def test_a_step_that_fails_ends_the_release(release: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="failed with exit status 3"):
        release.run([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
    with pytest.raises(SystemExit, match="printed 'a\\\\n', not 'b'"):
        release.check_output([sys.executable, "-c", "print('a')"], tmp_path, "b")


def test_the_changelog_of_this_version_can_become_its_tag(release: ModuleType) -> None:
    """Whether the section is still called Unreleased or has its name already."""
    text = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *_ = release.changelog_sections(text)
    version = re.search(r'__version__ = "(.*)"', (CHECKOUT / "nmt/__init__.py").read_text("utf-8"))
    assert version is not None
    named = text.replace("## [Unreleased]", f"## [{version[1]}] - 2026-11-30", 1)
    assert first == "[Unreleased]" or first.startswith(f"[{version[1]}] - ")
    assert release.changelog_problems(named, version[1]) == []


def test_everything_deprecated_is_listed() -> None:
    sources = "".join(file.read_text("utf-8") for file in (CHECKOUT / "nmt").rglob("*.py"))
    page = (CHECKOUT / "docs" / "releases.md").read_text("utf-8").split("| deprecated |")[1]
    marked = re.findall(r"deprecated=\(([^)]*)\)", sources)
    names = [name for group in marked for name in re.findall(r'"([^"]+)"', group)]
    assert len(names) >= len(marked) > 0
    assert [name for name in names if f": {name}`" not in page] == []
    assert "hidden=True" not in sources  # no hidden option
