"""`nmt.Recurrent` in the place of torch.nn's modules: values, gradients, shapes, state dicts, errors."""

import copy
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import nmt
from nmt.cells import CELLS
from nmt.errors import UsageError

E, H, L, N = 4, 5, 6, 3
LENGTHS = [2, 6, 4]
MODES: dict[str, tuple[str, Callable[..., nn.RNNBase]]] = {
    "rnn": ("rnn", nn.RNN),
    "rnn-relu": ("rnn-relu", lambda *sizes, **flags: nn.RNN(*sizes, nonlinearity="relu", **flags)),
    "lstm": ("lstm", nn.LSTM),
    "gru": ("gru-reset-after", nn.GRU),
}


def flat(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [*state]


def assert_same(mine: Any, theirs: Any) -> None:
    for one, other in zip(flat(mine), flat(theirs), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def sequences() -> Tensor:
    return torch.randn(L, N, E, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch-first", "time-first"])
@pytest.mark.parametrize("mode", MODES)
def test_it_equals_torch_in_values_states_and_gradients(
    mode: str, batch_first: bool, bias: bool, bidirectional: bool
) -> None:
    torch.manual_seed(1)
    flags = {"num_layers": 2, "bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
    module = MODES[mode][1](E, H, **flags).double()
    mine = nmt.Recurrent.from_torch(module)
    x = sequences() if not batch_first else sequences().detach().transpose(0, 1).requires_grad_()
    for state in (None, mine(x)[1]):
        (output, final), (expected, expected_final) = mine(x, state), module(x, state)
        assert_same([output], [expected])
        assert_same(final, expected_final)
        weight = torch.randn_like(expected)
        [got], [wanted] = (
            torch.autograd.grad((one * weight).sum(), x, retain_graph=True) for one in (output, expected)
        )
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)
    assert_same(*(m(x.detach()[0])[0] for m in (mine, module)))  # without a batch
    assert_same(*(m(x.detach()[0])[1] for m in (mine, module)))


@pytest.mark.parametrize("given", ["lengths", "tensor", "mask"])
@pytest.mark.parametrize("mode", MODES)
def test_lengths_or_a_mask_replace_packing(mode: str, given: str) -> None:
    torch.manual_seed(2)
    module = MODES[mode][1](E, H, num_layers=2, bidirectional=True).double()
    x, lengths = sequences(), torch.tensor(LENGTHS)
    mask = torch.arange(L).unsqueeze(1) < lengths
    how: dict[str, Any] = {
        "lengths": {"lengths": LENGTHS},
        "tensor": {"lengths": lengths},
        "mask": {"mask": mask},
    }
    output, final = nmt.Recurrent.from_torch(module)(x, **how[given])
    packed, expected_final = module(pack_padded_sequence(x, lengths, enforce_sorted=False))
    expected = pad_packed_sequence(packed)[0]
    assert_same([output], [expected])
    assert_same(final, expected_final)
    weight = torch.randn_like(expected)
    assert_same(*([torch.autograd.grad((one * weight).sum(), x)[0]] for one in (output, expected)))


@pytest.mark.parametrize("mode", MODES)
def test_a_state_dict_of_torch_is_loaded_also_within_a_model(mode: str) -> None:
    name, build = MODES[mode]
    theirs = nn.ModuleDict({"rnn": build(E, H, num_layers=2, bidirectional=True), "top": nn.Linear(2 * H, 1)})
    mine = nn.ModuleDict(
        {"rnn": nmt.Recurrent(name, E, H, 2, bidirectional=True), "top": nn.Linear(2 * H, 1)}
    )
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(L, N, E)
    torch.testing.assert_close(mine["rnn"](x)[0], theirs["rnn"](x)[0])
    again = nn.ModuleDict(
        {"rnn": nmt.Recurrent(name, E, H, 2, bidirectional=True), "top": nn.Linear(2 * H, 1)}
    )
    again.load_state_dict(mine.state_dict())  # its own
    torch.testing.assert_close(again["rnn"](x)[0], mine["rnn"](x)[0], rtol=0, atol=0)


def test_a_state_dict_with_missing_weights_is_refused() -> None:
    weights = nn.LSTM(E, H, num_layers=2).state_dict()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        nmt.Recurrent("lstm", E, H).load_state_dict(weights)
    with pytest.raises(RuntimeError, match="Missing key"):
        nmt.Recurrent("lstm", E, H, 3).load_state_dict(weights)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        nmt.Recurrent("lstm", E, H, 2, bias=False).load_state_dict(weights)


@pytest.mark.parametrize(
    ("cell", "message"),
    [("gru", "torch.nn.GRU is gru-reset-after"), ("lstm-peephole", "not lstm-peephole"), ("mgu", "not mgu")],
)
def test_weights_of_torch_are_refused_by_cells_that_it_does_not_have(cell: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        nmt.Recurrent(cell, E, H).load_state_dict(nn.GRU(E, H).state_dict())


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_runs_with_exact_gradients(name: str) -> None:
    torch.manual_seed(3)
    one = nmt.Recurrent(name, E, H, num_layers=2, bidirectional=True, layer_norm=name != "indrnn").double()
    x = torch.randn(3, 2, E, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: one(x, lengths=[3, 2])[0], (x,), fast_mode=True)
    output, state = one(x)
    assert output.shape == (3, 2, 2 * H)
    assert {field.shape for field in flat(state)} == {(4, 2, H)}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_steps_as_a_layer_does(name: str) -> None:
    torch.manual_seed(4)
    one = nmt.Recurrent(name, E, H, layer_norm=True).double()
    x, state = torch.randn(L, N, E, dtype=torch.float64), None
    cell = one.layers[0].directions[0]
    for position in x:
        state = cell(position, state)
    output, final = one(x)
    assert_same([state.h], [output[-1]])
    assert_same([*state], [field[0] for field in flat(final)])


class Leaky(nmt.Cell):
    """h′ = tanh(W x + U h + b) / 2 + h / 2."""

    gates = ("n",)

    class State(NamedTuple):
        h: Tensor

    def step(self, x: Any, s: Any, U: Any) -> Any:
        return self.State(h=0.5 * torch.tanh(x.n + U.n(s.h)) + 0.5 * s.h)


def test_a_class_is_a_cell_as_good_as_a_name() -> None:
    one = nmt.Recurrent(Leaky, E, H, batch_first=True)
    output, h_n = one(torch.randn(N, L, E), lengths=LENGTHS)
    assert output.shape == (N, L, H)
    assert h_n.shape == (1, N, H)
    torch.testing.assert_close(h_n[0, 0], output[0, LENGTHS[0] - 1])
    assert not output[0, LENGTHS[0] :].any()


def test_a_cell_takes_any_tuple_as_a_state_and_any_shape_of_batch() -> None:
    lstm, gru = CELLS["lstm"](E, H), CELLS["gru"](E, H)
    h, c = lstm(torch.ones(E))
    assert h.shape == c.shape == (H,)
    assert_same(lstm(torch.ones(E), (h, c)), lstm(torch.ones(E), lstm.State(h, c)))
    assert gru(torch.ones(2, N, E), torch.ones(2, N, H)).h.shape == (2, N, H)
    with pytest.raises(UsageError, match=r"LSTM: expected an input of size 4 \(got \[2, 3\]\)"):
        lstm(torch.ones(2, 3))
    with pytest.raises(UsageError, match=r"LSTM: expected a state of \(h, c\) \(tensors given: 1\)"):
        lstm(torch.ones(E), h)


def test_dropout_is_between_the_layers_in_training() -> None:
    torch.manual_seed(5)
    one, x = nmt.Recurrent("lstm", E, H, num_layers=2, dropout=0.5), torch.randn(L, N, E)
    assert not torch.equal(one(x)[0], one(x)[0])
    one.eval()
    assert torch.equal(one(x)[0], one(x)[0])
    single = nmt.Recurrent("lstm", E, H, dropout=0.5)
    assert torch.equal(single(x)[0], single(x)[0])


def test_without_bias_there_is_none_in_parameters_and_state_dict() -> None:
    one = nmt.Recurrent("gru-reset-after", E, H, bias=False)
    names = {name.rpartition(".")[2] for name, _ in one.named_parameters()}
    assert names == {name.rpartition(".")[2] for name in one.state_dict()} == {"W", "U"}
    assert not one(torch.zeros(L, N, E))[0].any()


def test_it_is_copied_and_pickled() -> None:
    one, x = nmt.Recurrent("lstm", E, H), torch.randn(L, N, E)
    file = io.BytesIO()
    torch.save(one, file)
    file.seek(0)
    for other in (copy.deepcopy(one), torch.load(file, weights_only=False)):
        assert torch.equal(other(x)[0], one(x)[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nmt.Recurrent("ltsm", E, H), "no cell 'ltsm', did you mean 'lstm'?"),
        (lambda: nmt.Recurrent(nn.LSTM, E, H), "expected a name, such as 'lstm', or a subclass of nmt.Cell"),
        (lambda: nmt.Recurrent("lstm", 0, H), "input_size must be 1 or more (got 0)"),
        (lambda: nmt.Recurrent("lstm", E, None), "hidden_size must be a whole number (got None)"),
        (lambda: nmt.Recurrent("lstm", E, H, 2.0), "num_layers must be a whole number (got 2.0)"),
        (lambda: nmt.Recurrent("lstm", E, H, dropout=2), "dropout must be from 0 to 1 (got 2)"),
        (lambda: nmt.Recurrent("lstm", E, H, dropout="0.1"), "dropout must be a finite number"),
        (lambda: nmt.Recurrent("lstm", E, H, bidirectional="no"), "bidirectional must be True or False"),
        (lambda: nmt.Recurrent("lstm", E, H, engine="fast"), "engine must be one of: auto,"),
        (lambda: nmt.Recurrent("lstm", E, H, gate_bias=[1]), "gate_bias must map gates to numbers"),
        (lambda: nmt.Recurrent("lstm", E, H, gate_bias={"f": "1"}), "gate_bias of 'f' must be a finite"),
        (lambda: nmt.Recurrent(nmt.Cell, E, H), "Cell does not declare `gates`"),
        (lambda: nmt.Recurrent.from_torch(nn.LSTMCell(E, H)), "from_torch needs a torch.nn.RNN, LSTM or GRU"),
        (lambda: nmt.Recurrent("lstm", E, H, bias=False, gate_bias={"f": 1}), "gate_bias needs bias=True"),
        (lambda: nmt.Recurrent("lstm", E, H, gate_bias={"k": 1}), "LSTM has no gate 'k'"),
        (lambda: nmt.Recurrent.from_torch(nn.LSTM(E, H, proj_size=2)), "proj_size has no equivalent"),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        call()
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.ones(N, L, E + 1)}, "must be [N, L, E] or [L, E] with E = 4, not empty (got [3, 6, 5])"),
        ({"x": torch.ones(E)}, "(got [4])"),
        ({"x": torch.ones(N, 0, E)}, "not empty"),
        ({"x": pack_padded_sequence(torch.ones(L, N, E), LENGTHS, enforce_sorted=False)}, "lengths="),
        ({"lengths": [1, 2]}, "lengths must be 3 integers from 0 to 6"),
        ({"lengths": [1, 2, 7]}, "lengths must be 3 integers from 0 to 6"),
        ({"lengths": [1, 2, 3], "mask": torch.ones(N, L).bool()}, "not both"),
        ({"lengths": [1, 2, 2.5]}, "lengths must be 3 integers from 0 to 6"),
        ({"lengths": [True, True, False]}, "lengths must be 3 integers from 0 to 6"),
        ({"lengths": "abc"}, "lengths must be 3 integers from 0 to 6"),
        ({"lengths": [1, None, 2]}, "lengths must be 3 integers from 0 to 6"),
        ({"mask": torch.ones(N, L)}, "the mask must be a tensor of booleans [3, 6]"),
        ({"mask": [[True] * L] * N}, "the mask must be a tensor of booleans [3, 6]"),
        ({"mask": torch.ones(N, L).bool().to("meta")}, "the mask must be a tensor of booleans [3, 6] on cpu"),
        ({"mask": torch.ones(L, N).bool()}, "the mask must be a tensor of booleans [3, 6]"),
        ({"state": 0}, "expected a state of (h, c)"),
        (
            {"state": (None, None)},
            "the state must be a dense tensor on cpu, as the weights are (got",
        ),
        ({"x": torch.ones(N, L, E).to("meta")}, "the input must be a dense tensor on cpu"),
        ({"x": torch.ones(N, L, E).to_sparse()}, "(got torch.sparse_coo on cpu)"),
        ({"state": torch.zeros(1, N, H)}, "expected a state of (h, c)"),
        ({"state": (torch.zeros(N, H), torch.zeros(N, H))}, "the state must be [1, 3, 5] (got [3, 5])"),
        (
            {"x": torch.ones(N, L, E).long()},
            "the input's dtype must be that of the weights, torch.float32 (got",
        ),
        ({"x": torch.ones(N, L, E).double()}, "or convert the module: rnn.to(torch.float64)"),
        ({"state": (torch.zeros(1, N, H).long(),) * 2}, "the state's dtype must be that of the weights"),
    ],
)
def test_wrong_inputs_are_refused(arguments: dict[str, Any], message: str) -> None:
    one = nmt.Recurrent("lstm", E, H, batch_first=True)
    with pytest.raises(UsageError) as refused:
        one(**{"x": torch.ones(N, L, E), **arguments})
    assert message in str(refused.value)


def test_autocast_converts_inputs_of_another_precision() -> None:
    one, x = nmt.Recurrent("lstm", E, H), torch.ones(L, N, E)
    with torch.autocast("cpu", torch.bfloat16):
        output = one(x.bfloat16(), (torch.zeros(1, N, H).bfloat16(),) * 2)[0]
    assert torch.equal(output, one(x)[0])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.ones(3, E), "W must be [20, 4], torch.float32, on cpu (got [3, 4], torch.float32, on cpu)"),
        (torch.ones(0), "the weight layers.0.directions.0.W must be [20, 4]"),
        (
            torch.ones(4 * H, E).double(),
            "the weight layers.0.directions.0.U must be [20, 5], torch.float64, on cpu",
        ),
        (
            torch.ones(4 * H, E).to("meta"),
            "[20, 5], torch.float32, on meta (got [20, 5], torch.float32, on cpu)",
        ),
    ],
)
def test_weights_that_were_replaced_by_others_are_refused(weight: torch.Tensor, message: str) -> None:
    """Libraries that prune or divide weights do so; code in C would read memory that is none of theirs."""
    one = nmt.Recurrent("lstm", E, H)
    one.layers[0].directions[0].W = nn.Parameter(weight)
    with pytest.raises(UsageError) as refused:
        one(torch.ones(L, N, E))
    assert message in str(refused.value)


def test_device_and_dtype_are_those_of_torch_nn() -> None:
    one = nmt.Recurrent("gru", E, H, device="cpu", dtype=torch.float64)
    assert one(torch.ones(L, N, E).double())[0].dtype == torch.float64
    assert next(nmt.Recurrent("gru", E, H, device="meta").parameters()).is_meta


@pytest.mark.slow
@torch.no_grad()
def test_torch_compile_calls_it_as_it_is() -> None:
    """Tracing the code that calls C took 20 seconds, and warned in dozens of lines."""
    one, x = nn.Sequential(nn.Linear(E, E), nmt.Recurrent("lstm", E, H)), torch.ones(L, N, E)
    compiled = torch.compile(one, backend="eager")
    assert torch.equal(compiled(x)[0], one(x)[0])
