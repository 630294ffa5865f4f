"""The update rules: each learns, decays what it should, and stands a group with nothing in it."""

import pytest
import torch
from torch.optim import Optimizer

from nmt.cells import CELLS
from nmt.model.attention import ATTENTIONS
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.translation import build_translator
from nmt.training.optimisers import OPTIMISERS, OptimiserSettings, build_optimiser
from tests.training.runs import Tiny, make_batch, make_learner


def make_optimiser(name: str, model: Tiny, *, rate: float, weight_decay: float = 0.0) -> Optimizer:
    settings = OptimiserSettings(optimiser=name, betas=(0.9, 0.98), momentum=0.9, weight_decay=weight_decay)
    optimiser = build_optimiser(model, settings)
    for group in optimiser.param_groups:
        group["lr"] = rate
    return optimiser


def gradients(model: Tiny) -> None:
    """Leave the gradients of a batch in the model."""
    make_learner(model=model, clip_norm=None).accumulate(make_batch(1), 9, 1.0, None)


@pytest.mark.parametrize(
    ("cell", "attention"),
    [*((cell, "general") for cell in CELLS), *(("lstm", attention) for attention in ATTENTIONS)],
)
def test_every_weight_of_every_model_is_in_one_group(cell: str, attention: str) -> None:
    side = {"cell": cell, "embedding": 6, "hidden": 8, "layer_norm": True}
    data = {"src": "a", "tgt": "b", "train": "t", "valid": "v"}
    encoder = {**side, "hidden": 4}
    recipe = validate(
        TranslationRecipe,
        {"data": data, "encoder": encoder, "decoder": {**side, "attention": attention, "heads": 2}},
    )
    model = build_translator(recipe, 9, 10)
    optimiser = build_optimiser(model, OptimiserSettings(optimiser="muon", betas=(0.9, 0.98)))
    matrices, tables, _ = ([id(p) for p in group["params"]] for group in optimiser.param_groups)
    everything = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(everything) == sorted(id(p) for p in model.parameters())
    assert {id(model.encoder.embedding.weight), id(model.decoder.output.weight)} <= {*tables}
    assert all(p.shape[0] in (9, 10) for p in model.parameters() if id(p) in tables)
    assert matrices


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_rule_learns_the_toy_task(name: str) -> None:
    learner = make_learner(optimiser=name)
    losses = [
        learner.update([make_batch(update % 10)], rate=0.02, ratio=1.0).totals.means()["loss"]
        for update in range(60)
    ]
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_rule_decays_matrices_and_leaves_biases_alone(name: str) -> None:
    torch.manual_seed(3)
    model = Tiny()
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    optimiser = make_optimiser(name, model, rate=0.01, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for key, parameter in model.named_parameters():
        if parameter.dim() > 1:
            assert parameter.norm() < before[key].norm()
        else:
            assert torch.equal(parameter, before[key])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_rule_stands_a_model_of_which_only_a_bias_learns(name: str) -> None:
    model = Tiny()
    for parameter in model.parameters():
        parameter.requires_grad_(parameter is model.cell.bias_ih)
    before = model.cell.bias_ih.detach().clone()
    optimiser = make_optimiser(name, model, rate=0.01)
    gradients(model)
    optimiser.step()
    assert not torch.equal(model.cell.bias_ih, before)


def test_muon_turns_matrices_alike_in_all_directions_and_leaves_tables_to_adamw() -> None:
    torch.manual_seed(3)
    model, rate = Tiny(), 0.01
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    optimiser = make_optimiser("muon", model, rate=rate)
    gradients(model)
    optimiser.step()
    steps = {key: p.detach() - before[key] for key, p in model.named_parameters()}
    matrix = steps["cell.weight_hh"]  # [18, 6]
    spectrum = torch.linalg.svdvals(matrix) / (rate * 0.2 * 18**0.5)
    assert 0.5 < spectrum.min() < spectrum.max() < 1.5
    assert (
        torch.linalg.svdvals(model.cell.weight_hh.grad).max()
        > 5 * torch.linalg.svdvals(model.cell.weight_hh.grad).min()
    )
    # The first step of AdamW is the rate in the direction of each gradient's sign.
    for key in ("embedding.weight", "cell.bias_hh"):
        moved = steps[key][dict(model.named_parameters())[key].grad.abs() > 1e-5]
        torch.testing.assert_close(moved.abs(), torch.full_like(moved, rate), rtol=2e-2, atol=0)
