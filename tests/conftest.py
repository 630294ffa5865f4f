"""What every test stands on: fixed seeds, one thread, and memory that shows when it was never written.

Large libraries are imported in the fixtures: the process that hands tests to its workers needs none of them.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_CHECKOUT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(autouse=True, scope="session")
def _torch_settings() -> None:
    """`torch.empty` gives NaN, so that a value nobody wrote is seen; one thread: tests share the cores."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.fixture(autouse=True)
def _seeds() -> None:
    import numpy as np
    import torch

    random.seed(1)
    np.random.seed(1)  # libraries draw from the global generator
    torch.manual_seed(1)


@pytest.fixture(autouse=True, scope="session")
def _state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees or changes which cell files the user trusts."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _private_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or changes the corpora that the user has fetched; each trusts what it names itself."""
    monkeypatch.setenv("NMT_CORPORA", str(tmp_path_factory.getbasetemp() / "no-corpora"))
    monkeypatch.setenv("NMT_TRUST_CODE", "")


@pytest.fixture(scope="session")
def shared_corpora() -> Path:
    """A folder with real corpora, one folder each; tests that ask for it are skipped where there is none."""
    place = Path(os.environ.get("NMT_SHARED_CORPORA") or _CHECKOUT.parent / "shared" / "corpora")
    if not place.is_dir():
        pytest.skip(f"no real corpora in {place} (set NMT_SHARED_CORPORA to their folder)")
    return place


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a C compiler."""
    from nmt.errors import warn_once
    from nmt.recurrence.c import compiler

    monkeypatch.setenv("CC", "no-such-compiler")
    for remembered in (compiler.find_obstacle, warn_once):
        remembered.cache_clear()
    yield
    for remembered in (compiler.find_obstacle, warn_once):
        remembered.cache_clear()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright; what needs it is skipped where there is none.

    While it runs, playwright's event loop is that of the thread: other modules' tests run one of their own.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
