from pathlib import Path

import pytest

import nmt
from nmt.files import shipped_directory


def test_an_installed_package_finds_what_it_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nmt, "__file__", str(tmp_path / "nmt" / "__init__.py"))
    assert shipped_directory("recipes") == tmp_path / "recipes"
    (tmp_path / "nmt/shipped/recipes").mkdir(parents=True)
    assert shipped_directory("recipes") == tmp_path / "nmt/shipped/recipes"
