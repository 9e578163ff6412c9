"""The status of trials on a cluster: from their run folders, then squeue, then the history that the script writes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import final

from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.slurm.client import squeue
from rnnlab.sweeps.slurm.folder import SlurmFolder, Submission
from rnnlab.sweeps.slurm.script import JobArray
from rnnlab.sweeps.status import SweepStatus, TrialStatus

# Source: squeue(1), "Job state codes".
_PENDING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_RUNNING = {"CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING"}
_REASONS = {
    "BOOT_FAIL": "its node failed to boot",
    "CANCELLED": "cancelled",
    "DEADLINE": "its deadline has passed",
    "NODE_FAIL": "its node failed, and it was not requeued",
    "OUT_OF_MEMORY": "out of memory: request more with --mem",
    "PREEMPTED": "preempted, and not requeued",
    "TIMEOUT": "its time limit was reached before its state was saved",
}
_IS_STOPPED = re.compile(" ends with exit code (0|75|138|143) ")  # 138, 143: by a signal before it could save


@final
@dataclass(frozen=True, slots=True)
class Job:
    """The newest job of a trial.

    Attributes:
        id: As Slurm writes it, `12_7`.
        log: Its log, relative to the sweep's folder.
        state: Slurm's state; empty if Slurm does not remember the job.
        reason: Slurm's reason for a pending job.
    """

    id: str
    log: str
    state: str = ""
    reason: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether it waits in the queue."""
        return self.state in _PENDING


def jobs_of(sweep: SweepFolder, trials: Iterable[str]) -> dict[str, Job]:
    """Return the newest job of each of these trials that has one; Slurm is called only if there is any.

    Raises:
        EnvironmentFault: Slurm is missing or reports an error.
    """
    wanted = set(trials)
    newest: dict[str, tuple[Submission, JobArray, int]] = {}
    for submission in SlurmFolder(sweep.slurm).submissions():
        for array in submission.arrays:
            if array.has_job:
                newest |= {name: (submission, array, i) for i, name in enumerate(array.trials, 1) if name in wanted}
    tasks = {(task.job, task.index): task for task in squeue(array.name for _, array, _ in newest.values())}
    jobs = {}
    for name, (submission, array, index) in newest.items():
        job = Job(f"{array.job}_{index}", f"slurm/logs/{array.stem}-{array.job}_{index}.log")
        if task := tasks.get((array.job or 0, index)):
            is_cancelled = submission.cancelled and task.state == "COMPLETING"  # it will not be requeued
            job = replace(job, state="CANCELLED" if is_cancelled else task.state, reason=task.reason)
        jobs[name] = job
    return jobs


def with_jobs(status: SweepStatus, jobs: Mapping[str, Job]) -> SweepStatus:
    """Return the status of a sweep with that of its jobs.

    A trial whose job is pending is `queued`, and one whose job runs is `running`, whatever the run folder has; if the
    job has ended and the run folder does not explain it, Slurm's state or the script's history does.
    """
    folder = SlurmFolder(status.sweep.slurm)
    trials = [
        _with_job(one, jobs[one.trial.name], folder)
        if one.trial.name in jobs and not one.is_finished and one.state != "running"
        else one
        for one in status.trials
    ]
    return replace(status, trials=trials)


def _with_job(status: TrialStatus, job: Job, folder: SlurmFolder) -> TrialStatus:
    if job.is_pending:
        return replace(status, state="queued", reason=job.reason)
    if job.state in _RUNNING:
        return replace(status, state="running", reason="")
    if status.state not in {"missing", "stale", "interrupted"}:
        return status
    history = reversed(folder.history(status.trial.name))
    last = next((line for line in history if f" {job.id} " in line and "requeue" not in line), "")
    if reason := _failure(job, last, is_interrupted=status.state == "interrupted"):
        return replace(status, state="failed", reason=reason)
    if job.state in {"", "COMPLETED"} or status.state == "interrupted":
        return status
    reason = f"{_REASONS.get(job.state, job.state)} (job {job.id})"
    return replace(status, state="missing" if status.state == "missing" else "interrupted", reason=reason)


def _failure(job: Job, last: str, *, is_interrupted: bool) -> str:
    """Return why a job failed, from its last line in the history and its state; empty if it did not fail."""
    if " fails: " in last:
        return last.partition(" fails: ")[2]
    if job.state == "OUT_OF_MEMORY":
        return f"{_REASONS[job.state]} (job {job.id})"
    if job.state not in {"", "FAILED"}:
        return ""
    if " ends with exit code 137 " in last:
        return f"killed, probably out of memory (job {job.id})"
    has_failed = job.state == "FAILED" or (" ends with exit code " in last and not _IS_STOPPED.search(last))
    return f"its job failed: see {job.log}" if has_failed and not is_interrupted else ""
