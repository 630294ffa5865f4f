"""The moving average of the weights: its arithmetic, and that it is what is judged and kept."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nmt.training import checkpoint
from nmt.training.ema import RAW, EvaluationWeights
from nmt.training.snapshot import collect_model_tensors
from nmt.training.validation import ValidationResult
from tests.training.runs import Duration, Tiny, make_training, validate


def one_weight(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def test_the_average_is_the_one_by_hand() -> None:
    model = one_weight(1.0)
    average = EvaluationWeights(model, 0.5)
    found, mean = [], 1.0
    for update, (weight, decay) in enumerate([(3.0, 2 / 11), (5.0, 3 / 12), (-1.0, 4 / 13)], start=1):
        nn.init.constant_(model.weight, weight)
        average.update(update)
        mean = decay * mean + (1 - decay) * weight
        found.append((average.means["weight"].item(), mean))
    nn.init.constant_(model.weight, 10.0)
    average.update(9)  # (1 + 9) / (10 + 9) is above the decay
    found.append((average.means["weight"].item(), mean / 2 + 5))
    for given, wanted in found:
        assert given == pytest.approx(wanted)


def test_within_the_block_the_model_has_the_average_and_afterwards_its_own_weights() -> None:
    model = Tiny()
    average = EvaluationWeights(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    average.update(1)
    raw = {name: tensor.clone() for name, tensor in collect_model_tensors(model).items()}

    def look_and_stop() -> None:
        with average.apply():
            for name, tensor in collect_model_tensors(model).items():
                torch.testing.assert_close(tensor, raw[name] - 2 / 11)
            assert model.decoder.output.weight is model.embedding.weight
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_and_stop()
    assert all(torch.equal(raw[name], tensor) for name, tensor in collect_model_tensors(model).items())


def test_a_run_keeps_the_average_and_learns_as_if_there_were_none(tmp_path: Path) -> None:
    seen: dict[str, list[dict[str, Tensor]]] = {"plain": [], "average": []}

    def run(name: str, ema: float | None) -> checkpoint.Checkpoint:
        def looking(model: nn.Module, at: str) -> ValidationResult:
            seen[name].append({key: tensor.clone() for key, tensor in collect_model_tensors(model).items()})
            return validate(model, at)

        settings = {"stop_after": Duration(12, "u"), "every": Duration(1, "u"), "ema": ema}
        training = make_training(tmp_path / name, validator=looking, settings=settings)
        start = {key: tensor.clone() for key, tensor in collect_model_tensors(training.learner.model).items()}
        seen[name].append(start)
        training.train()
        return checkpoint.read(tmp_path / name / "checkpoints" / "last")

    plain, average = run("plain", None), run("average", 0.7)
    for name, tensor in plain.model.items():
        mean = seen["plain"][0][name].double()
        for update, weights in enumerate(seen["plain"][1:], start=1):
            decay = min(0.7, (1 + update) / (10 + update))
            mean = decay * mean + (1 - decay) * weights[name]
        torch.testing.assert_close(average.model[name].double(), mean, rtol=1e-5, atol=1e-6)
        assert torch.equal(average.model[name], seen["average"][-1][name])
        assert torch.equal(average.trainer[f"{RAW}{name}"], tensor)
    assert not torch.equal(plain.model["embedding.weight"], average.model["embedding.weight"])
