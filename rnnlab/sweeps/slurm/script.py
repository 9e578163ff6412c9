"""The batch script of a job array: plain bash, made to be read, run by hand and changed."""

import sys
from shlex import join

from rnnlab.storage.lock import LEASE_SECONDS
from rnnlab.sweeps.slurm.request import Request

PATIENCE = 5  # how often a job may begin again at one and the same step


def write_script(*, name: str, stem: str, tasks: int, request: Request) -> str:
    """Return the script.

    It is to be submitted from the sweep's folder, names everything from there, and so holds no path but Python's.

    Args:
        name: The job's name.
        stem: The script's own name; that of the list of its trials is the same with `.txt`.
        tasks: How many trials there are in the list.
        request: What is asked for each.
    """
    limit = f"%{request.array_limit}" if request.array_limit else ""
    values = {
        "@NAME@": name,
        "@STEM@": stem,
        "@ARRAY@": f"1-{tasks}{limit}",
        "@REQUEST@": "\n".join(request.lines()),
        "@RNNLAB@": join([sys.executable, "-m", "rnnlab"]),
        "@PATIENCE@": str(PATIENCE),
        "@LEASE@": f"{LEASE_SECONDS + 60:.0f}",
    }
    text = _SCRIPT
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


_SCRIPT = r"""#!/bin/bash
# One task of this array trains one trial: task N that of line N in slurm/@STEM@.txt. A trial goes on from where
# it was last saved, however often it is stopped. By hand, from the sweep's folder: sbatch slurm/@STEM@.sh
#SBATCH --job-name=@NAME@
#SBATCH --array=@ARRAY@
#SBATCH --output=slurm/logs/@STEM@-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --nodes=1
#SBATCH --ntasks=1
@REQUEST@

rnnlab=(@RNNLAB@)
patience=@PATIENCE@  # how often a job may begin again at the same step before it gives up

job="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
trial=$(sed -n "${SLURM_ARRAY_TASK_ID}p" slurm/@STEM@.txt)
history="slurm/history/$trial.txt"

say() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $job $*" | tee -a "$history"; }

# The training steps that are safe on the disk.
step() { sed -n 's/^  "step": \([0-9]*\),$/\1/p' "trials/$trial/status.json" 2>/dev/null | grep . || echo 0; }

# Slurm tells this shell; the shell tells the training, which then saves its state and ends with exit code 75.
# USR1: the time is nearly over, or another job takes the place. TERM: Slurm ends the job, and has its own plans for it.
told=
pass() { told="$told$1 "; kill -s "$1" "$training" 2>/dev/null; }
trap 'pass USR1' USR1
trap 'pass TERM' TERM

# A signal interrupts `wait`; repeated, it gives the exit code of the training itself.
train() {
    "${rnnlab[@]}" train "configs/$trial.yaml" --into "trials/$trial" --no-plots "$@" &
    training=$! before=nothing
    while [ "$before" != "$told" ]; do
        before=$told
        wait "$training"
        code=$?
    done
}

began=$(step)
say "begins at step $began on ${SLURMD_NODENAME:-$(uname -n)}"
if [ "$(grep -c " $job begins at step $began on " "$history")" -gt "$patience" ]; then
    say "gives up: it began $patience times at step $began and did not get further"
    exit 75
fi

# After a restart, whoever still seems to hold the run is this job's own past, on a node that is gone.
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    train --force-unlock
else
    train
    # 6: another process trains this run; one that was killed on another node seems alive for some minutes.
    while [ "$code" -eq 6 ] && [ -z "$told" ] && [ "$SECONDS" -lt @LEASE@ ]; do
        sleep 10 & wait $!
        train
    done
fi
say "ends with exit code $code at step $(step)"

# 138: USR1 came before the training could listen; nothing is lost.
if [ "$code" -eq 75 ] || [ "$code" -eq 138 ]; then
    code=75
    case "$told" in
        *TERM*) ;;
        *) say "asks to be queued again"; scontrol requeue "$job" || say "is not queued again" ;;
    esac
fi
exit "$code"
"""
