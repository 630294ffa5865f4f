"""The distribution's name, and what has to be right before a version is released."""

import re
import tomllib
from pathlib import Path

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
