"""A small model in the place of one on disk, for tests of the command."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from nmt.errors import DataError
from nmt.recipe import artifact
from nmt.recipe.tasks import translation
from tests.decoding.models import random_model
from tests.decoding.words import CutWords


def load_translator(path: Path) -> SimpleNamespace:
    """What `nmt.recipe.tasks.translation.load_translator` gives, as far as the command asks for it."""
    if path.name == "missing":
        raise DataError(f"no model in {path}")
    search = SimpleNamespace(beam=2, length_penalty=0.6, max_ratio=1.0, max_extra=5, batch=8)
    words, model = CutWords(60), random_model(2, vocabulary=60, sharpness=2.0, eos=3.0)
    sections = {"decoder": SimpleNamespace(attention="dot"), "evaluation": SimpleNamespace(tokenize="13a")}
    data = SimpleNamespace(src="xx", tgt="yy")
    recipe = SimpleNamespace(search=search, data=data, protected_kinds=(), **sections)
    return SimpleNamespace(model=model, source=words, target=words, recipe=recipe, lengths=None, tuning=None)


def take_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every path is this model."""
    monkeypatch.setattr(translation, "load_translator", load_translator)
    monkeypatch.setattr(translation, "build_search_model", lambda loaded, int8: loaded.model)
    monkeypatch.setattr(artifact, "model_fingerprint", lambda _: "the small one")
