"""Weights, moments and generators as tensors, and weights transferred from another model."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nmt.model.translator import TranslationModel
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.translation import build_translator
from nmt.training.snapshot import (
    collect_generator_tensors,
    collect_model_tensors,
    load_generator_tensors,
    transfer_tensors,
)
from tests.training.runs import WORDS, Duration, make_forcing, make_training
from tests.training.test_loop import Interrupted, same

DROPOUT = {"embedding": 0.1, "word": 0.1, "input": 0.2, "state": 0.2, "output": 0.1}


def real_model(**decoder: Any) -> TranslationModel:
    """A small translator with dropout everywhere."""
    data = {"src": "a", "tgt": "b", "train": "t", "valid": "v"}
    encoder = {"embedding": 6, "hidden": 5, "dropout": DROPOUT}
    decoder = {"embedding": 6, "hidden": 7, "tie": "all", "dropout": DROPOUT, **decoder}
    torch.manual_seed(3)
    return build_translator(
        validate(TranslationRecipe, {"data": data, "encoder": encoder, "decoder": decoder}), WORDS, WORDS
    )


DECODERS: list[dict[str, Any]] = [
    {"cell": "lstm", "input_feeding": True},
    {"cell": "gru", "conditional": True, "attention": "additive"},
    {"cell": "lstm-peephole", "layers": 2, "attention": "none"},
]


@pytest.mark.parametrize(
    ("decoder", "per"),
    [
        (DECODERS[0], "token"),
        *(pytest.param(decoder, "token", marks=pytest.mark.slow) for decoder in DECODERS[1:]),
        *(pytest.param(decoder, "sentence", marks=pytest.mark.slow) for decoder in DECODERS),
    ],
)
def test_a_translator_under_scheduled_sampling_resumes_exactly(
    tmp_path: Path, decoder: dict[str, Any], per: str
) -> None:
    forcing = make_forcing("exponential", per=per, feedback="sample")
    settings = {"stop_after": Duration(8, "u"), "every": Duration(5, "u")}
    straight = make_training(
        tmp_path / "one", model=real_model(**decoder), forcing=forcing, settings=settings
    )
    straight.train()
    stopped = {"epochs": Interrupted(6), "forcing": forcing, "settings": settings}
    make_training(tmp_path / "two", model=real_model(**decoder), **stopped).train()
    torch.manual_seed(999)
    resumed = make_training(tmp_path / "two", model=real_model(**decoder), forcing=forcing, settings=settings)
    assert resumed.train().update == 8
    assert same(straight, resumed)


def test_tied_weights_are_kept_once() -> None:
    names = collect_model_tensors(real_model()).keys()
    assert {"encoder.embedding.weight"} == {
        name for name in names if name.endswith(("embedding.weight", "output.weight"))
    }


def test_every_generator_is_put_back() -> None:
    random.gauss(0, 1)  # leaves a second number in store
    np.random.standard_normal()
    saved = collect_generator_tensors()
    draws = [
        (
            torch.rand(2).tolist(),
            np.random.standard_normal(3).tolist(),
            [random.gauss(0, 1) for _ in range(3)],
        )
        for _ in range(2)
        if load_generator_tensors(saved) is None  # type: ignore[func-returns-value]
    ]
    assert draws[0] == draws[1]


def test_weights_of_one_name_and_shape_are_taken_over_and_the_others_named() -> None:
    model = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 5), "new": nn.Linear(1, 1)})
    other = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 4), "old": nn.Linear(1, 1)})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = transfer_tensors(model, other)
    assert found["copied"] == ["same.weight", "same.bias"]
    assert found["of another shape"] == ["wider.weight", "wider.bias"]
    assert found["new here"] == ["new.weight", "new.bias"]
    assert found["not used here"] == ["old.weight", "old.bias"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name] if name in found["copied"] else before[name])


def test_a_weight_that_the_other_model_has_under_two_names_is_found_by_either() -> None:
    model = nn.ModuleDict({"read": nn.Linear(2, 2), "write": nn.Linear(2, 2)})
    other = nn.ModuleDict({"read": nn.Linear(2, 2), "write": nn.Linear(2, 2)})
    other["write"].weight = other["read"].weight
    found = transfer_tensors(model, other)
    assert len(found["copied"]) == 4
    assert torch.equal(model["write"].weight, other["read"].weight)
    assert transfer_tensors(other, model)["not used here"] == []


def test_tables_of_other_vocabularies_are_filled_row_by_row() -> None:
    model = nn.ModuleDict({"table": nn.Embedding(7, 3), "output": nn.Linear(3, 7)})
    other = nn.ModuleDict({"table": nn.Embedding(6, 3), "output": nn.Linear(3, 6)})
    rows = [[0], [1], [2], [3], [5], [4, 5], []]
    found = transfer_tensors(
        model, other, dict.fromkeys(("table.weight", "output.weight", "output.bias"), rows)
    )
    assert found["copied"] == ["table.weight", "output.weight", "output.bias"]
    for name in found["copied"]:
        mine, theirs = model.state_dict()[name], other.state_dict()[name]
        assert torch.equal(mine[:5], theirs[[0, 1, 2, 3, 5]])
        assert torch.equal(mine[5], theirs[4:].mean(0))
        assert torch.equal(mine[6], theirs[4:].mean(0))
