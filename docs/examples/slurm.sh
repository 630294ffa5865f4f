#!/usr/bin/env bash
# A recipe trained by SLURM on two machines with four GPUs each:
#
#     sbatch docs/examples/slurm.sh my-recipe.yaml /shared/runs/mine
#
# The run directory must be on a disk that all machines share. Two minutes before its time is over, and when it is
# preempted, the job gets a signal and saves. Where one job's time is too short, submit it several times: they run one
# after the other (singleton), each goes on where the one before stopped, and a complete run has nothing left to do.
# A process that dies has all of them started again (--max-restarts), on from the last checkpoint.
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
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 # without it a machine that was replaced may not find the others
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

exec srun torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node 4 --max-restarts 3 \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$head:29500" \
    -m nmt train "$recipe" -o "$run"
