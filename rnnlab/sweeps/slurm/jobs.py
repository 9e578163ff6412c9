"""The jobs of a sweep: its `slurm/` folder, a class with all the file names, and the status of its trials.

0001.json              the first submission: its job arrays and their job ids
0001-1.sh, 0001-1.txt  the script of its first job array, and the trials of each array task, a task per line
logs/0001-1-12_7.log   output of task 7 of that array, job 12, of all its restarts
history/TRIAL.txt      when and where a trial started, ended and was requeued, one line each, by the script
lock-0001.json         the process that submits or cancels
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from rnnlab.core.errors import VerificationError
from rnnlab.core.system_errors import reported
from rnnlab.storage.files import ensure_folder, write_atomic
from rnnlab.storage.jsonfile import read_model, write_json
from rnnlab.storage.reading import kind, read_bytes
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.slurm.client import squeue
from rnnlab.sweeps.slurm.script import JobArray, script_text
from rnnlab.sweeps.status import SweepStatus, TrialStatus

_RECORD = re.compile(r"(\d{4,})\.json")
_LARGEST_TEXT = 1 << 24  # bytes
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
@dataclass(frozen=True)
class SlurmFolder:
    """The folder, which need not exist.

    Args:
        path: `slurm/` of a sweep.
    """

    path: Path

    def arrays(self) -> list[JobArray]:
        """Return all job arrays in order.

        Raises:
            VerificationError: A record is damaged.
            EnvironmentFault: A file cannot be read.
        """
        if kind(self.path) == "missing":
            return []
        with reported("look at", self.path):
            names = sorted(path.name for path in self.path.iterdir() if _RECORD.fullmatch(path.name))
        return [self._read(name) for name in names]

    def _read(self, name: str) -> JobArray:
        array = read_model(self.path / name, JobArray, what="a job array of this version of rnnlab")
        if name != f"{array.stem}.json":
            raise VerificationError(f"is the record of job array {array.number}", where=str(self.path / name))
        return array

    def write(self, array: JobArray) -> None:
        """Store a job array, or what has changed in it."""
        write_json(self.path / f"{array.stem}.json", array.model_dump(mode="json"))

    def write_script(self, array: JobArray) -> Path:
        """Store the script of a job array and its list of trials, and return the script's path."""
        for name in ("logs", "history"):  # the script writes there
            ensure_folder(self.path / name)
        write_atomic(self.path / f"{array.stem}.txt", "".join(f"{' '.join(task)}\n" for task in array.tasks).encode())
        path = self.path / f"{array.stem}.sh"
        write_atomic(path, script_text(array).encode())
        return path

    def job_by_logs(self, array: JobArray) -> int | None:
        """Return the job id of an array of which a task has started, None if none has."""
        pattern = re.compile(rf"{re.escape(array.stem)}-(\d+)_\d+\.log")
        with reported("look at", self.path):
            names = [path.name for path in (self.path / "logs").glob(f"{array.stem}-*.log")]
        return max((int(match[1]) for name in names if (match := pattern.fullmatch(name))), default=None)

    def history(self, trial: str) -> list[str]:
        """Return the lines `TIME JOB EVENT` of a trial."""
        path = self.path / "history" / f"{trial}.txt"
        try:
            return read_bytes(path, _LARGEST_TEXT).decode(errors="replace").splitlines()
        except VerificationError:  # missing, no plain file, or too large: it explains nothing
            return []


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
    arrays = [array for array in SlurmFolder(sweep.slurm).arrays() if array.has_job]
    newest = {name: (array, i) for array in arrays for name, i in array.indices() if name in wanted}
    tasks = {(task.job, task.index): task for task in squeue(array.name for array, _ in newest.values())}
    jobs = {}
    for name, (array, index) in newest.items():
        job = Job(f"{array.job}_{index}", f"slurm/logs/{array.stem}-{array.job}_{index}.log")
        if task := tasks.get((array.job or 0, index)):
            is_cancelled = array.cancelled and task.state == "COMPLETING"  # it will not be requeued
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
