"""For all tests of training."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power, so none needs to wait until the disk has everything."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
