"""A new choice is one entry of a table, a new parameter one field of the component's settings.

For metrics see tests/end_to_end/test_metrics.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from nmt.model.attention import ATTENTIONS, Attention, AttentionSettings, Memory
from nmt.recipe.reader import read_recipe
from nmt.recipe.sections import read_field_docs, validate
from nmt.recipe.tasks.translation import build_translator
from nmt.settings import Count, OneOf, Probability
from nmt.training.optimisers import OPTIMISERS, OptimiserSettings, ParameterGroups, build_optimiser
from nmt.training.schedules import SCHEDULES, LearningRateSettings, Schedule
from tests.end_to_end.toy import nmt


@dataclass(frozen=True, kw_only=True)
class HalvingSettings(LearningRateSettings):
    """The settings with a parameter of the new schedule."""

    half_life: Count = 10
    """`halving` only: updates after which the rate is halved."""


class HalvingSchedule(Schedule):
    """Halved after every `half_life` updates."""

    def share(self, update: int) -> float:
        assert isinstance(self.settings, HalvingSettings)
        return 0.5 ** (update // self.settings.half_life)


def test_a_new_schedule_is_one_entry_of_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEDULES, "halving", HalvingSchedule)
    recipe = read_recipe(["quickstart-lstm"], ["training.learning_rate.schedule=halving"])
    assert recipe.training.learning_rate.schedule == "halving"
    rate = validate(HalvingSettings, {"schedule": "halving", "half_life": 20, "peak": 1.0})
    schedule = SCHEDULES[rate.schedule](rate, span=100.0, size=8)
    assert [schedule.rate(update) for update in (1, 20, 60)] == [1.0, 0.5, 0.125]


@dataclass(frozen=True, kw_only=True)
class DampedSettings(OptimiserSettings):
    """The settings with a parameter of the new optimiser."""

    dampening: Probability = 0.0
    """`damped` only: dampening of the momentum."""


def build_damped(groups: ParameterGroups, settings: OptimiserSettings) -> torch.optim.Optimizer:
    assert isinstance(settings, DampedSettings)
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, dampening=settings.dampening)


def test_a_new_optimiser_is_one_entry_of_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPTIMISERS, "damped", build_damped)
    sizes = ["encoder={hidden: 8, embedding: 4}", "decoder={hidden: 8, embedding: 4}"]
    recipe = read_recipe(["quickstart-lstm"], [*sizes, "training.optimiser=damped"])
    assert recipe.training.optimiser == "damped"
    settings = validate(DampedSettings, {"optimiser": "damped", "dampening": 0.5})
    optimiser = build_optimiser(build_translator(recipe, 20, 20), settings)
    assert [group["dampening"] for group in optimiser.param_groups] == [0.5] * 3


class LocalAttention(Attention):
    """A dot product with the states in a window."""

    def __init__(self, settings: AttentionSettings, memory_size: int, query_size: int) -> None:
        super().__init__(settings, memory_size, query_size)
        assert isinstance(settings, LocalAttentionSettings)
        self.window = settings.window

    def check_sizes(self) -> None:
        """Any two sizes."""

    def project_memory(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return states[:, : self.window], states[:, : self.window]


@dataclass(frozen=True, kw_only=True)
class LocalAttentionSettings(AttentionSettings):
    """The settings with a parameter of the new attention."""

    window: Count = 3
    """`local` only: number of states."""


def test_a_parameter_of_an_attention_is_a_field_of_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ATTENTIONS, "local", LocalAttention)
    settings = validate(LocalAttentionSettings, {"attention": "local", "window": 2})
    attention = ATTENTIONS[settings.attention](settings, 4, 4)
    states = torch.randn(1, 5, 4)
    keys, values = attention.project_memory(states)
    memory = Memory(states, keys, values, torch.ones(1, 2, dtype=torch.bool), ())
    _, weights = attention.bind(memory, "torch")(torch.randn(1, 1, 4))
    assert weights.shape == (1, 1, 2)
    assert read_field_docs(LocalAttentionSettings)["window"] == "`local` only: number of states."
    assert "heads" in read_field_docs(LocalAttentionSettings)
    with pytest.raises(ValidationError):
        validate(LocalAttentionSettings, {"window": 0})


def test_a_new_attention_is_one_entry_of_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ATTENTIONS, "plain", ATTENTIONS["general"])
    sizes = ["encoder={hidden: 8, embedding: 4}", "decoder={hidden: 8, embedding: 4, attention: plain}"]
    model = build_translator(read_recipe(["quickstart-lstm"], sizes), 20, 20)
    assert type(model.decoder.attention) is ATTENTIONS["general"]


@dataclass(frozen=True, kw_only=True)
class PaletteSettings(AttentionSettings):
    colour: Annotated[str, OneOf(lambda: ("red", "blue"), deprecated=("grey",))] = "red"


def test_deprecated_names_are_accepted_and_unknown_ones_refused() -> None:
    assert validate(PaletteSettings, {"colour": "grey"}).colour == "grey"
    with pytest.raises(ValidationError, match="no 'blu', did you mean 'blue'"):
        validate(PaletteSettings, {"colour": "blu"})


def test_the_engine_inductor_is_accepted_with_a_deprecation_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = nmt("train", "quickstart-lstm", "engine=inductor", f"data.root={tmp_path}", "-o", run)
    assert "no file" in result.stderr
    assert result.stderr.count("engine: inductor is deprecated; use auto") == 1
    assert "engine: inductor is deprecated; use auto" in (run / "train.log").read_text(encoding="utf-8")
