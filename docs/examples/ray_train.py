"""Train a recipe with Ray Train in several processes, on one machine or a cluster.

    pip install 'recurrent-nmt[ray]'
    python docs/examples/ray_train.py my-recipe.yaml /shared/runs/mine 4        # 4 processes

Ray starts the processes and creates their process group, which nmt joins. The run directory must be on a
disk shared by all machines. If a process dies, all restart and the run resumes from the last checkpoint.
On one machine `torchrun --nproc-per-node 4 -m nmt train ...` does the same without Ray.
"""

import sys
from pathlib import Path

import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

import nmt


def train_worker(config: dict[str, str]) -> None:
    """Train in one of the processes."""
    torch.set_num_threads(1)
    nmt.train(config["recipe"], output=config["run"])


def main(recipe: str, run: str, processes: int) -> None:
    """Train a recipe in the directory `run`, or resume its run."""
    file, folder = Path(recipe), Path(run).resolve()
    TorchTrainer(
        train_worker,
        train_loop_config={"recipe": str(file.resolve()) if file.is_file() else recipe, "run": str(folder)},
        scaling_config=ScalingConfig(num_workers=processes, use_gpu=torch.cuda.is_available()),
        run_config=RunConfig(
            storage_path=str(folder.parent / "ray"), failure_config=FailureConfig(max_failures=3)
        ),
    ).fit()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
