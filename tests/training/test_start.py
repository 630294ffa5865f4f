"""Starting from other weights: what fits is taken over, and what does not is said."""

import torch
from torch import nn

from nmt.training.start import take_over


def test_weights_of_one_name_and_shape_are_taken_over_and_the_others_named() -> None:
    model = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 5), "new": nn.Linear(1, 1)})
    other = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 4), "old": nn.Linear(1, 1)})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = take_over(model, other.state_dict())
    assert found.taken == ["same.weight", "same.bias"]
    assert found.misfits == ["wider.weight", "wider.bias"]
    assert found.fresh == ["new.weight", "new.bias"]
    assert found.left == ["old.weight", "old.bias"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name] if name in found.taken else before[name])
