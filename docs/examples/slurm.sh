#!/usr/bin/env bash
# Train a recipe with SLURM on two machines with four GPUs each:
#
#     sbatch docs/examples/slurm.sh my-recipe.yaml /shared/runs/mine
#
# The run directory must be on a disk shared by all machines. Two minutes before its time limit, and when it is
# preempted, the job receives a signal and saves a checkpoint. If the time limit of one job is too short, submit it several
# times: the jobs run one after the other (singleton), each resumes where the previous one stopped, and a job for a
# complete run ends at once. If a process dies, all are restarted (--max-restarts) from the last checkpoint.
#SBATCH --job-name=nmt
#SBATCH --dependency=singleton
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

recipe=$1 run=$2
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 # otherwise a replaced machine may not find the others
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

exec srun torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node 4 --max-restarts 3 \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$head:29500" \
    -m nmt train "$recipe" -o "$run"
