"""Submit the unfinished trials of a sweep, each exactly once, even if the process that submits is killed.

A submission is stored before its arrays are submitted, each with a unique job name, and then again with each job id. An
array without a job id is looked up by its name in squeue, and then in the logs. If it is in neither, it was not
submitted, or ended before any of its tasks started, and its trials are submitted again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from rnnlab.storage.naming import random_token
from rnnlab.sweeps.folder import SweepFolder, locked
from rnnlab.sweeps.slurm.client import max_array_size, sbatch, scancel, squeue
from rnnlab.sweeps.slurm.jobs import SlurmFolder, Submission, jobs_of, with_jobs
from rnnlab.sweeps.slurm.script import NO_JOB, JobArray, Request
from rnnlab.sweeps.status import sweep_status

_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"}


def submit(sweep: SweepFolder, request: Request | None) -> Submission | None:
    """Submit every trial that is not finished, running or queued; None if there is none.

    Args:
        sweep: The sweep.
        request: The resources per job; None: as in the last submission.

    Raises:
        RunLockedError: Another process is submitting or cancelling.
        EnvironmentFault: Slurm is missing or reports an error; the arrays submitted until then are on record.
    """
    folder = SlurmFolder(sweep.slurm)
    with locked(folder.path, "submitted or cancelled"):
        before = _find_jobs(folder)
        status = sweep_status(sweep)
        unfinished = [one.trial.name for one in status.trials if not one.is_finished and one.state != "running"]
        status = with_jobs(status, jobs_of(sweep, unfinished))
        left = [one.trial for one in status.trials if not one.is_finished and one.state not in {"queued", "running"}]
        if not left:
            return None
        last = (one.request for one in reversed(before) if any(array.has_job for array in one.arrays))
        submission = draft(
            status.plan.name,
            [trial.name for trial in left],
            request or next(last, Request()),
            number=before[-1].number + 1 if before else 1,
            max_array_size=max_array_size(),
        )
        scripts = [folder.write_script(array, submission.request) for array in submission.arrays]
        folder.write(submission)
        for trial in left:
            sweep.delete_failure(trial)
        for array, script in zip(submission.arrays, scripts, strict=True):
            job = sbatch(script.relative_to(sweep.path), folder=sweep.path)
            submission = submission.with_job(array, job)
            folder.write(submission)
        return submission


def draft(name: str, trials: Sequence[str], request: Request, *, number: int, max_array_size: int) -> Submission:
    """Return a submission that is not stored yet, with arrays as long as the cluster allows.

    Args:
        name: The sweep's name.
        trials: Names of the trials, in order.
        request: The resources per job.
        number: The number of the submission.
        max_array_size: The cluster's MaxArraySize; indices start at 1, so an array has one task less.
    """
    size, token = max_array_size - 1, random_token()
    parts = [tuple(trials[start : start + size]) for start in range(0, len(trials), size)]
    arrays = tuple(
        JobArray(stem=f"{number:04d}-{i}", name=f"{name}-{token}-{i}", trials=part) for i, part in enumerate(parts, 1)
    )
    made = datetime.now(UTC).replace(microsecond=0)
    return Submission(number=number, made=made, request=request, arrays=arrays)


def cancel(sweep: SweepFolder) -> list[int]:
    """Cancel all pending and running jobs of a sweep, and return their ids; running trials save their state.

    Raises:
        RunLockedError: Another process is submitting or cancelling.
        EnvironmentFault: Slurm is missing or reports an error.
    """
    folder = SlurmFolder(sweep.slurm)
    with locked(folder.path, "submitted or cancelled"):
        submissions = [one for one in _find_jobs(folder) if not one.cancelled]
        names = [array.name for one in submissions for array in one.arrays]
        jobs = sorted({task.job for task in squeue(names) if task.state not in _ENDED})
        if jobs:
            scancel(jobs)
        for submission in submissions:
            folder.write(submission.model_copy(update={"cancelled": True}))
    return jobs


def _find_jobs(folder: SlurmFolder) -> list[Submission]:
    """Return all submissions, after finding out the job ids that a killed process could not store.

    Raises:
        EnvironmentFault: Slurm is missing or reports an error: then nothing may be submitted.
    """
    submissions = folder.submissions()
    unknown = [(one, array) for one in submissions for array in one.arrays if array.job is None]
    jobs = {task.name: task.job for task in squeue(array.name for _, array in unknown)}
    for place, submission in enumerate(submissions):
        updated = submission
        for array in submission.arrays:
            if array.job is None:
                updated = updated.with_job(array, jobs.get(array.name) or folder.job_by_logs(array) or NO_JOB)
                folder.write(updated)
        submissions[place] = updated
    return submissions
