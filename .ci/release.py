"""Check that a version can be released, build it, try it, and write the text of its tag.

    make release VERSION=0.2.0

Nothing is tagged, pushed or uploaded: the last lines printed are the commands for that.
"""

import argparse
import datetime
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

DISTRIBUTION = "recurrent-nmt"
FILE_NAME = "recurrent_nmt"
MODEL = "tests/compatibility/v0.1"
"""Where a small model lies, the lines that it translates, and what comes out."""


def main(arguments: Sequence[str], checkout: Path) -> None:
    """Run all steps; exit with a message at the first one that fails."""
    parser = argparse.ArgumentParser(prog="make release", description="Check, build and try a release.")
    parser.add_argument("version", help="such as 0.2.0")
    parser.add_argument("--without-tests", action="store_true", help=".ci/run has passed on this commit")
    options = parser.parse_args(arguments)
    problems = find_problems(checkout, options.version)
    if problems:
        sys.exit("\n".join([f"{options.version} cannot be released:", *(f"  {line}" for line in problems)]))
    if not options.without_tests:
        run([".ci/run"], checkout)
    wheel, source = build(checkout, options.version)
    try_wheel(wheel, checkout, options.version)
    text = checkout / "dist" / f"v{options.version}.txt"
    text.write_text(tag_text(checkout, options.version), encoding="utf-8")
    for file in (wheel, source):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(checkout)}")
    print(f"\n{text.read_text(encoding='utf-8')}\nTo release it:")
    print(f"  git tag --annotate v{options.version} --cleanup=verbatim --file dist/{text.name}")
    print(f"  git push origin v{options.version}, then upload dist/{wheel.name} and dist/{source.name}")


def find_problems(checkout: Path, version: str) -> list[str]:
    """Return everything that is not as it must be before the tests are run and the files are built."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [f"'{version}' is not a version such as 0.2.0"]
    problems = []
    if output(["git", "status", "--porcelain"], checkout):
        problems.append("the working tree is not clean: commit or remove what `git status` lists")
    if output(["git", "tag", "--list", f"v{version}"], checkout):
        problems.append(f"the tag v{version} already exists")
    found = re.search(r'^__version__ = "(.*)"$', _read(checkout / "nmt" / "__init__.py"), re.M)
    if found is None or found[1] != version:
        problems.append(f"nmt/__init__.py: __version__ is {found and found[1]}")
    return problems + changelog_problems(_read(checkout / "CHANGELOG.md"), version)


def changelog_problems(text: str, version: str) -> list[str]:
    """Return what is wrong with the changelog's first sections."""
    sections = changelog_sections(text)
    names = [name for name in sections if not name.startswith("[Unreleased]")]
    if not names or not re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", names[0]):
        return [f"CHANGELOG.md: the first version is not `## [{version}] - YYYY-MM-DD`: rename [Unreleased]"]
    problems = []
    if any(sections[name] for name in sections if name not in names):
        problems.append("CHANGELOG.md: [Unreleased] is not empty")
    if not sections[names[0]]:
        problems.append(f"CHANGELOG.md: the section of {version} is empty")
    try:
        datetime.date.fromisoformat(names[0][-10:])
    except ValueError:
        problems.append(f"CHANGELOG.md: {names[0][-10:]} is not a date")
    return problems


def changelog_sections(text: str) -> dict[str, str]:
    """Return the text of each section by its heading, newest first."""
    parts = re.split(r"^## (.*)$", text, flags=re.M)[1:]
    return {name.strip(): body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def tag_text(checkout: Path, version: str) -> str:
    """Return the changelog's section as the text of an annotated tag, in which no line begins with `#`."""
    sections = changelog_sections(_read(checkout / "CHANGELOG.md"))
    body = next(body for name, body in sections.items() if name.startswith(f"[{version}]"))
    return f"nmt {version}\n\n" + re.sub(r"^#+ (.*)$", r"\1:", body, flags=re.M) + "\n"


def build(checkout: Path, version: str) -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from it, into an emptied `dist`; check their names."""
    dist = checkout / "dist"
    for file in dist.glob("*"):
        file.unlink()
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), "."], checkout)
    wheel, source = dist / f"{FILE_NAME}-{version}-py3-none-any.whl", dist / f"{FILE_NAME}-{version}.tar.gz"
    found = sorted(file.name for file in dist.iterdir())
    if found != sorted([wheel.name, source.name]):
        sys.exit(f"dist/ contains {', '.join(found)}, not {wheel.name} and {source.name}")
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    if folders != {"nmt", f"{FILE_NAME}-{version}.dist-info"}:
        sys.exit(f"{wheel.name} contains {', '.join(sorted(folders))}")
    return wheel, source


def try_wheel(wheel: Path, checkout: Path, version: str) -> None:
    """Install the wheel with the tested versions into a new environment; ask its version and translate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        programs, model = folder / "venv" / "bin", checkout / MODEL
        pip = [str(programs / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        run([*pip, "install", "--constraint", str(checkout / "constraints.txt"), str(wheel)], folder)
        nmt = str(programs / "nmt")
        check_output([nmt, "--version"], folder, f"nmt {version}\n")
        lookup = f"from importlib import metadata; print(metadata.version('{DISTRIBUTION}'))"
        check_output([str(programs / "python"), "-c", lookup], folder, f"{version}\n")
        lines = ["-i", str(model / "lines.de"), "--split", "never"]  # version 0.1 divided no lines
        translate = [nmt, "translate", str(model / "averaged"), "-q", *lines]
        check_output(translate, folder, _read(model / "expected" / "averaged.en"))


def check_output(command: Sequence[str], folder: Path, expected: str) -> None:
    """Exit with a message unless the command prints exactly this."""
    found = output(command, folder)
    if found != expected:
        sys.exit(f"{' '.join(command)} printed {found!r}, not {expected!r}")


def run(command: Sequence[str], folder: Path) -> None:
    """Run a command in a folder; exit with a message if it fails."""
    print("+", *command, flush=True)
    code = subprocess.run(command, cwd=folder, check=False).returncode
    if code:
        sys.exit(f"{command[0]} failed with exit status {code}")


def output(command: Sequence[str], folder: Path) -> str:
    """Return what a command prints; exit with a message if it fails."""
    apart = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # not the checkout
    done = subprocess.run(
        command, cwd=folder, check=False, stdout=subprocess.PIPE, encoding="utf-8", env=apart
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with exit status {done.returncode}")
    return done.stdout


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:], Path(__file__).resolve().parent.parent)
