"""What an update costs beside its gradients: every update rule, and the moving average of the weights.

    python -m benchmarks.optimisers [--threads N]

For a translator of 7.8 million weights (8,000 pieces, 256 and 512 units). The rules are timed in turn; the
figures are medians. `kept` is how many numbers are kept for each weight.
"""

import argparse
from collections.abc import Callable

import torch

from nmt.lab.cell_check import measure_seconds
from nmt.model.translator import TranslationModel
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.translation import build_translator
from nmt.training.ema import EvaluationWeights
from nmt.training.optimisers import OPTIMISERS, OptimiserSettings, build_optimiser

PIECES = 8_000
RECIPE = {
    "data": {"src": "de", "tgt": "en", "train": "train", "valid": "valid"},
    "decoder": {"hidden": 512},
}


def size(tensors: list[torch.Tensor]) -> int:
    """Numbers in all."""
    return sum(tensor.numel() for tensor in tensors)


def model() -> TranslationModel:
    """A translator with gradients."""
    made = build_translator(validate(TranslationRecipe, RECIPE), PIECES, PIECES)
    for parameter in made.parameters():
        parameter.grad = torch.randn_like(parameter)
    return made


def rule(name: str) -> tuple[Callable[[], object], float]:
    """An update by a rule, and the numbers that it keeps for each weight."""
    made = model()
    optimiser = build_optimiser(made, OptimiserSettings(optimiser=name, betas=(0.9, 0.98), momentum=0.9))
    optimiser.step()
    moments = [tensor for state in optimiser.state.values() for tensor in state.values()]
    return optimiser.step, size(moments) / size([*made.parameters()])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    rules = {name: rule(name) for name in OPTIMISERS}
    average = EvaluationWeights(model(), 0.999)
    rules["ema"] = (lambda: average.update(1_000), 1.0)
    seconds = measure_seconds({name: step for name, (step, _) in rules.items()}, rounds=9)
    print(f"{'':10} {'ms':>7} {'x adam':>7} {'kept':>6}")
    for name, (_, kept) in rules.items():
        ratio = seconds[name] / seconds["adam"]
        print(f"{name:10} {1e3 * seconds[name]:7.1f} {ratio:7.1f} {kept:6.2f}")


if __name__ == "__main__":
    main()
