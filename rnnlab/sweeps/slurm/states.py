"""Where the trials stand on the cluster: the run folders first, then the queue, then the accounting if there is one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from rnnlab.core.text import visible
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.slurm.client import Task, sacct, squeue
from rnnlab.sweeps.slurm.folder import NO_JOB, Chunk, SlurmFolder, Submission
from rnnlab.sweeps.states import Standing

# Source: squeue(1), "Job state codes".
_WAITS = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_RUNS = {"CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING"}
_ENDED = {
    "BOOT_FAIL": "its node did not start",
    "CANCELLED": "cancelled",
    "DEADLINE": "its deadline is over",
    "NODE_FAIL": "its node failed, and it was not queued again",
    "OUT_OF_MEMORY": "out of memory: ask for more with --mem",
    "PREEMPTED": "preempted, and not queued again",
    "TIMEOUT": "its time limit came before its state was saved",
}
_KILLED = "ends with exit code 137 "
_GAVE_UP = "gives up: "


@final
@dataclass(frozen=True, slots=True)
class Job:
    """The newest job of a trial.

    Attributes:
        id: As Slurm writes it, `12_7`.
        state: Slurm's word for it; empty where Slurm has forgotten the job.
        reason: Why it waits, Slurm's word.
        log: What it says, a path below the sweep's folder; there is no such file before it begins.
    """

    id: str
    log: str
    state: str = ""
    reason: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is in the queue."""
        return self.state in _WAITS

    @property
    def is_live(self) -> bool:
        """Whether it is in the queue, or runs."""
        return self.waits or self.state in _RUNS

    def __str__(self) -> str:
        return f"{self.id} {self.state}".rstrip() + (f" ({self.reason})" if self.waits and self.reason else "")


def jobs_of(sweep: SweepFolder, trials: Iterable[str]) -> dict[str, Job]:
    """Return the newest job of each of these trials that has one; Slurm is asked only where there is one to ask for.

    Raises:
        EnvironmentFault: Slurm is not here, or did not answer.
    """
    wanted = set(trials)
    newest: dict[str, tuple[Submission, Chunk, int]] = {}
    for submission in SlurmFolder(sweep.slurm).submissions():
        for chunk in submission.chunks:
            if chunk.job not in {None, NO_JOB}:
                newest |= {name: (submission, chunk, i) for i, name in enumerate(chunk.trials, 1) if name in wanted}
    told = {(task.job, task.index): task for task in squeue(chunk.name for _, chunk, _ in newest.values())}
    asked = {(chunk.job or 0, index) for _, chunk, index in newest.values()}
    if forgotten := sorted({job for job, _ in asked - told.keys()}):
        told |= {(task.job, task.index): task for task in sacct(forgotten) if (task.job, task.index) not in told}
    return {name: _job(told, *where) for name, where in newest.items()}


def _job(told: Mapping[tuple[int, int], Task], submission: Submission, chunk: Chunk, index: int) -> Job:
    task = told.get((chunk.job or 0, index))
    told_by = Job(f"{chunk.job}_{index}", f"slurm/logs/{chunk.stem}-{chunk.job}_{index}.log")
    if task is None:
        return told_by
    if submission.cancelled and task.state == "COMPLETING":  # it is on its way out, not to its next start
        return replace(told_by, state="CANCELLED")
    return replace(told_by, state=task.state, reason=task.reason)


def with_jobs(sweep: SweepFolder, found: Sequence[Standing], jobs: Mapping[str, Job]) -> list[Standing]:
    """Return where the trials stand, in view of their jobs.

    A trial whose job waits is `queued`, and one whose job runs is `running`, whatever its last process left; where the
    job has ended and the run folder cannot say why, Slurm or the script can.
    """
    folder = SlurmFolder(sweep.slurm)
    return [
        _with_job(one, jobs[one.trial.name], folder) if one.trial.name in jobs and not one.is_over else one
        for one in found
    ]


def _with_job(one: Standing, job: Job, folder: SlurmFolder) -> Standing:
    if one.state == "running":
        return one
    if job.is_live:
        return replace(one, state="queued" if job.waits else "running", reason=job.reason if job.waits else "")
    if one.state in {"missing", "stale", "interrupted"}:
        return _ended(one, job, folder.history(one.trial.name))
    return one


def _ended(one: Standing, job: Job, history: Sequence[str]) -> Standing:
    """Return where a trial stands whose job is gone while it has more to do."""
    last = next((line for line in reversed(history) if f" {job.id} " in line and "queued again" not in line), "")
    if _GAVE_UP in last:
        return replace(one, state="failed", reason=visible(last.partition(_GAVE_UP)[2]))
    if job.state == "OUT_OF_MEMORY" or (_KILLED in last and job.state in {"", "FAILED"}):
        reason = _ENDED["OUT_OF_MEMORY"] if job.state == "OUT_OF_MEMORY" else "killed, as where memory runs out"
        return replace(one, state="failed", reason=f"{reason} (job {job.id})")
    if job.state in {"", "COMPLETED"} or one.state == "interrupted":
        return one
    if job.state == "FAILED":
        return replace(one, state="failed", reason=f"its job failed: see {job.log}")
    reason = f"{_ENDED.get(job.state, job.state)} (job {job.id})"
    return replace(one, state="missing" if one.state == "missing" else "interrupted", reason=reason)
