"""Libraries that are imported before the first output: each of these takes half a second or more."""

import subprocess
import sys
from pathlib import Path

from tests.end_to_end.toy import copied, write_corpus, write_recipe

ARTIFACTS = Path(__file__).resolve().parents[1] / "compatibility" / "v0.1"
CODE = """
import sys
from nmt.cli import main

try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def test_translating_a_line_does_not_load_the_compiler_of_pytorch() -> None:
    command = [sys.executable, "-c", CODE, "translate", str(ARTIFACTS / "averaged"), "-q"]
    done = subprocess.run(command, input=b"Der Hund\n", capture_output=True, check=True)
    assert done.stdout.count(b"\n") == 1
    loaded = set(done.stderr.decode().split())
    assert "torch" in loaded
    assert loaded.isdisjoint(
        {"torch._dynamo", "torch._inductor", "sympy", "matplotlib", "sacrebleu", "pandas"}
    )


def test_training_does_not_load_the_compiler_of_pytorch(tmp_path: Path) -> None:
    """Neither do the derivatives of the cells nor the optimiser: a second, and 70 MB for the whole run."""
    root = write_corpus(tmp_path / "corpus", copied, train=200, held_out=4)
    recipe = write_recipe(tmp_path / "recipe.yaml", root)
    command = [sys.executable, "-c", CODE, "train", str(recipe), "training.stop_after=2u"]
    done = subprocess.run([*command, "-o", str(tmp_path / "run")], capture_output=True, check=True)
    loaded = set(done.stderr.decode().split())
    assert "torch.optim" in loaded
    assert loaded.isdisjoint({"torch._dynamo", "torch._inductor", "sympy"})
