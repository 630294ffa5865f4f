"""Starting from other weights: what fits is taken over, and what does not is said."""

import torch
from torch import nn

from nmt.training.snapshot import transfer_tensors


def test_weights_of_one_name_and_shape_are_taken_over_and_the_others_named() -> None:
    model = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 5), "new": nn.Linear(1, 1)})
    other = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 4), "old": nn.Linear(1, 1)})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = transfer_tensors(model, other)
    assert found.copied == ["same.weight", "same.bias"]
    assert found.mismatched == ["wider.weight", "wider.bias"]
    assert found.new == ["new.weight", "new.bias"]
    assert found.unused == ["old.weight", "old.bias"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name] if name in found.copied else before[name])


def test_a_weight_that_the_other_model_has_under_two_names_is_found_by_either() -> None:
    model = nn.ModuleDict({"read": nn.Linear(2, 2), "write": nn.Linear(2, 2)})
    other = nn.ModuleDict({"read": nn.Linear(2, 2), "write": nn.Linear(2, 2)})
    other["write"].weight = other["read"].weight
    found = transfer_tensors(model, other)
    assert len(found.copied) == 4
    assert torch.equal(model["write"].weight, other["read"].weight)
    assert transfer_tensors(other, model).unused == []
