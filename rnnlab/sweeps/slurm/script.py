"""The batch script of a job array: plain bash that can be read, changed and submitted by hand."""

import re
import sys
from shlex import join
from typing import Annotated, Literal, Self, final

from pydantic import Field, field_validator

from rnnlab.config.blocks import MOST_TRIALS
from rnnlab.core.errors import UsageError
from rnnlab.core.options import Options
from rnnlab.storage.holder import LEASE_SECONDS
from rnnlab.sweeps.records import TrialName

STARTS_AT_ONE_STEP = 5  # of a job, after which it fails

MOST = 999_999  # arrays of a sweep, CPUs of a trial, trials at once
NO_JOB = -1  # the array was not submitted
_NOTICE = 120  # seconds; saving takes a few, and Slurm checks time limits twice a minute
_MOST_TOGETHER = 64  # trials of a job
_LONGEST = 500  # characters of an option
_WORD = re.compile(r"[\w.@:+-]+(?:,[\w.@:+-]+)*", re.ASCII)
_ALLOWED = {
    "time": (re.compile(r"(\d{1,6}-)?\d{1,9}(:\d{1,9}){0,2}", re.ASCII), "minutes, HH:MM:SS or DAYS-HH:MM:SS"),
    "mem": (re.compile(r"\d+[KMGT]?", re.IGNORECASE), "a size like 500M or 2G"),
    "partition": (_WORD, "a partition's name, or several with commas"),
    "account": (_WORD, "an account's name"),
    "extra": (re.compile(r"#SBATCH\s+-[ -~]+"), "a line like '#SBATCH --constraint=avx2'"),
}


@final
class Request(Options):
    """The resources of each job, in the terms of sbatch; None is the cluster's default. Immutable."""

    partition: str | None = Field(None, description="Partition, or several with commas.")
    time: str | None = Field(None, description="Time limit of a job; a trial that needs longer is requeued.")
    cpus: Annotated[int, Field(ge=1, le=MOST)] = Field(1, description="CPUs per trial.")
    mem: str | None = Field(None, description="Memory per job.")
    account: str | None = Field(None, description="Account to charge.")
    array_limit: Annotated[int, Field(ge=1, le=MOST)] | None = Field(
        None, description="How many trials may run at once."
    )
    extra: tuple[str, ...] = Field((), description="More `#SBATCH …` lines, which come last and so take precedence.")

    def check(self) -> Self:
        """Return this request if sbatch accepts it.

        Raises:
            UsageError: A value is not in sbatch's format.

        Example:
            >>> Request(time="90").check().notice()
            120
            >>> Request(mem="2 GB").check()
            Traceback (most recent call last):
            rnnlab.core.errors.UsageError: --mem: got '2 GB', expected a size like 500M or 2G
        """
        for name, (pattern, expected) in _ALLOWED.items():
            value = getattr(self, name)
            for text in value if isinstance(value, tuple) else [value]:
                if text is not None and not (len(text) <= _LONGEST and pattern.fullmatch(text)):
                    raise UsageError(f"got '{text[:80]}', expected {expected}", where=f"--{name}")
        if self.seconds() == 0:
            raise UsageError("got 0, expected more time", where="--time")
        return self

    def seconds(self) -> int | None:
        """Return the time limit in seconds, None if it is the cluster's.

        Source: sbatch(1), `--time`.

        Example:
            >>> [Request(time=text).seconds() for text in ("90", "1:30", "2:00:00", "1-12", "1-0:30", "1-12:30:05")]
            [5400, 90, 7200, 129600, 88200, 131405]
        """
        if not self.time:
            return None
        days, _, clock = self.time.rpartition("-")
        parts = [int(part) for part in clock.split(":")]
        hours, minutes, seconds = (
            [*parts, 0, 0][:3] if days else {1: [0, *parts, 0], 2: [0, *parts]}.get(len(parts), parts)
        )
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds

    def notice(self) -> int:
        """Return how many seconds before the time limit a trial gets its signal: at most a quarter of the limit.

        Example:
            >>> [Request(time=text).notice() for text in (None, "60", "4", "1:30", "0:02")]
            [120, 120, 60, 22, 1]
        """
        seconds = self.seconds()
        return _NOTICE if seconds is None else max(1, min(_NOTICE, seconds // 4))

    def lines(self) -> list[str]:
        """Return the `#SBATCH …` lines."""
        options = {"signal": f"B:USR1@{self.notice()}", "cpus-per-task": self.cpus}
        options |= self.model_dump(include={"partition", "time", "mem", "account"}, exclude_none=True)
        return [*(f"#SBATCH --{key}={value}" for key, value in options.items()), *self.extra]


@final
class JobArray(Options):
    """One job array; immutable."""

    format: Literal["rnnlab-slurm/1"] = Field("rnnlab-slurm/1", description="Format and version of this document.")
    number: Annotated[int, Field(ge=1, le=MOST)] = Field(description="Its number in the sweep, from 1.")
    name: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$")] = Field(
        description="The job's name, unique, by which squeue finds it."
    )
    request: Request = Field(description="The resources requested per job.")
    tasks: Annotated[
        tuple[Annotated[tuple[TrialName, ...], Field(min_length=1, max_length=_MOST_TOGETHER)], ...],
        Field(min_length=1, max_length=MOST_TRIALS),
    ] = Field(description="The trials of the array's tasks 1, 2, …: of each, those that it trains side by side.")
    job: Annotated[int, Field(ge=NO_JOB, lt=1 << 32)] | None = Field(
        None, description="Its job id; None until it is known, NO_JOB if it was not submitted."
    )
    cancelled: bool = Field(False, description="Whether `rnnlab sweep cancel` cancelled it.")

    @field_validator("request")
    @classmethod
    def _is_accepted(cls, request: Request) -> Request:
        try:
            return request.check()
        except UsageError as error:
            raise ValueError(str(error)) from error

    @property
    def trials(self) -> tuple[str, ...]:
        """The trials of all tasks."""
        return tuple(trial for task in self.tasks for trial in task)

    def indices(self) -> list[tuple[str, int]]:
        """Return each trial with the number of its task."""
        return [(trial, number) for number, task in enumerate(self.tasks, 1) for trial in task]

    @property
    def stem(self) -> str:
        """Name of its files, without suffix."""
        return f"{self.number:04d}"

    @property
    def has_job(self) -> bool:
        """Whether it is known to have been submitted."""
        return self.job not in {None, NO_JOB}


def script_text(array: JobArray) -> str:
    """Return the script of a job array; it is submitted from the sweep's folder, to which its paths are relative."""
    request = array.request
    values = {
        "@NAME@": array.name,
        "@STEM@": array.stem,
        "@ARRAY@": f"1-{len(array.tasks)}" + (f"%{request.array_limit}" if request.array_limit else ""),
        "@REQUEST@": "\n".join(request.lines()),
        "@RNNLAB@": join([sys.executable, "-P", "-m", "rnnlab"]),
        "@STARTS@": str(STARTS_AT_ONE_STEP),
        "@LEASE@": f"{LEASE_SECONDS + 60:.0f}",
    }
    text = _SCRIPT
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


_SCRIPT = r"""#!/bin/bash
# Task N of this array trains the trials in line N of slurm/@STEM@.txt, several side by side. A trial resumes from its
# last checkpoint, however often it is stopped. By hand, from the sweep's folder: sbatch slurm/@STEM@.sh
#SBATCH --job-name=@NAME@
#SBATCH --array=@ARRAY@
#SBATCH --output=slurm/logs/@STEM@-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --nodes=1
#SBATCH --ntasks=1
@REQUEST@

rnnlab=(@RNNLAB@)
most_starts=@STARTS@  # of a job at the same step, after which it fails

job="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
read -r -a trials <<< "$(sed -n "${SLURM_ARRAY_TASK_ID}p" slurm/@STEM@.txt)"
histories=("${trials[@]/#/slurm/history/}") histories=("${histories[@]/%/.txt}")

log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $job $*" | tee -a "${histories[@]}"; }

# The training steps of the last checkpoint, of all trials together.
step() {
    local trial count sum=0
    for trial in "${trials[@]}"; do
        count=$(sed -n 's/^  "step": \([0-9]*\),$/\1/p' "trials/$trial/status.json" 2>/dev/null)
        sum=$((sum + ${count:-0}))
    done
    echo "$sum"
}

# Slurm signals this shell, which forwards the signal to the training: it saves its state and exits with code 75.
# USR1: the time limit is near, or the job is preempted. TERM: Slurm ends the job, and requeues it itself if it should.
signals=
forward() { signals="$signals$1 "; kill -s "$1" "$training" 2>/dev/null; }
trap 'forward USR1' USR1
trap 'forward TERM' TERM

# A signal interrupts `wait`; the loop waits again until it gets the exit code of the training.
train() {
    if [ "${#trials[@]}" -eq 1 ]; then
        "${rnnlab[@]}" train "configs/${trials[0]}.yaml" --into "trials/${trials[0]}" --no-plots "$@" &
    else
        "${rnnlab[@]}" sweep resume . --workers 1 "${trials[@]/#/--only=}" "$@" &
    fi
    training=$! before=nothing
    while [ "$before" != "$signals" ]; do
        before=$signals
        wait "$training"
        code=$?
    done
}

start=$(step)
log "starts at step $start on ${SLURMD_NODENAME:-$(uname -n)}"
if [ "$(grep -c " $job starts at step $start on " "${histories[0]}")" -gt "$most_starts" ]; then
    log "fails: it started $most_starts times at step $start without any progress"
    exit 75
fi

# After a requeue, a process that still has the lock is this job's own on a node that was lost.
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    train --force-unlock
else
    train
    # 6: a living process has the lock; that of the job before may be about to end.
    while [ "$code" -eq 6 ] && [ -z "$signals" ] && [ "$SECONDS" -lt @LEASE@ ]; do
        sleep 10 & wait $!
        train
    done
fi
log "ends with exit code $code at step $(step)"

# 138: USR1 came before the training had its signal handler.
if [ "$code" -eq 75 ] || [ "$code" -eq 138 ]; then
    code=75
    case "$signals" in
        *TERM*) ;;
        *) log "requeues itself"; scontrol requeue "$job" || log "is not requeued" ;;
    esac
fi
exit "$code"
"""
