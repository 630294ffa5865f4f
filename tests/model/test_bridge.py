"""The bridge: the encoder's last states as the decoder's first, also where sizes, depths and cells differ."""

import torch

from nmt.cells import CELLS
from nmt.model.attention import Memory
from nmt.model.bridge import BRIDGES, CopyBridge, MeanBridge

LSTM, GRU = CELLS["lstm"].State, CELLS["gru"].State


def memory(finals: tuple) -> Memory:
    states = torch.arange(12.0).view(2, 3, 2)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    return Memory(states, None, None, mask, finals)


def test_copying_takes_each_part_by_its_name() -> None:
    final = LSTM(h=torch.ones(2, 3), c=torch.full((2, 3), 2.0))
    (first,) = CopyBridge([3], [CELLS["lstm"](1, 3)])(memory(((final,),)))
    assert torch.equal(first.h, final.h) and torch.equal(first.c, final.c)


def test_copying_cuts_a_larger_state_and_fills_a_smaller_one() -> None:
    final = GRU(h=torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    (small,) = CopyBridge([2], [CELLS["gru"](1, 1)])(memory(((final,),)))
    (large,) = CopyBridge([2], [CELLS["gru"](1, 3)])(memory(((final,),)))
    assert small.h.tolist() == [[1.0], [3.0]]
    assert large.h.tolist() == [[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]


def test_a_memory_cell_that_the_encoder_lacks_is_made_from_h() -> None:
    final = GRU(h=torch.ones(2, 3))
    (first,) = CopyBridge([3], [CELLS["lstm"](1, 3)])(memory(((final,),)))
    assert torch.equal(first.c, final.h)


def test_directions_stand_side_by_side() -> None:
    finals = ((GRU(h=torch.ones(2, 1)), GRU(h=torch.full((2, 1), 5.0))),)
    (first,) = CopyBridge([2], [CELLS["gru"](1, 2)])(memory(finals))
    assert first.h.tolist() == [[1.0, 5.0], [1.0, 5.0]]


def test_layers_are_matched_from_the_top() -> None:
    finals = tuple((GRU(h=torch.full((2, 1), float(layer))),) for layer in (1, 2, 3))
    shallow = CopyBridge([1, 1, 1], [CELLS["gru"](1, 1) for _ in range(2)])(memory(finals))
    deep = CopyBridge([1], [CELLS["gru"](1, 1) for _ in range(2)])(memory(finals[:1]))
    assert [state.h[0].item() for state in shallow] == [2.0, 3.0]
    assert [state.h[0].item() for state in deep] == [1.0, 1.0]


def test_the_mean_counts_real_positions_only() -> None:
    bridge = MeanBridge([2], [CELLS["gru"](1, 2)])
    mean = bridge.final(0, "h", memory(((GRU(h=torch.zeros(2, 2)),),)))
    assert mean.tolist() == [[2.0, 3.0], [6.0, 7.0]]


def test_every_bridge_starts_every_part_of_every_layer() -> None:
    finals = ((GRU(h=torch.ones(2, 2)),),)
    for name, bridge in BRIDGES.items():
        states = bridge([2], [CELLS["lstm"](1, 3), CELLS["rnn"](3, 3)])(memory(finals))
        assert [type(state) for state in states] == [LSTM, CELLS["rnn"].State], name
        assert all(part.shape == (2, 3) for state in states for part in state), name
