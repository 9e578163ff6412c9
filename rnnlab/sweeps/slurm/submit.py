"""Submit the unfinished trials of a sweep, each exactly once, even if the process that submits is killed.

All job arrays are stored before the first is submitted, each with a unique name, and then again with its job id. An
array without a job id is looked up by its name in squeue, and then in the logs. If it is in neither, it was not
submitted, or ended before any of its tasks started, and its trials are submitted again.
"""

from collections.abc import Callable, Sequence

from rnnlab.storage.status import random_token
from rnnlab.sweeps.folder import SweepFolder, locked
from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.populations import Populations, group_of
from rnnlab.sweeps.slurm.client import max_array_size, sbatch, scancel, squeue
from rnnlab.sweeps.slurm.jobs import SlurmFolder, jobs_of, with_jobs
from rnnlab.sweeps.slurm.script import NO_JOB, JobArray, Request
from rnnlab.sweeps.status import sweep_status

_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"}


def submit(sweep: SweepFolder, request: Request | None) -> list[JobArray]:
    """Submit every trial that is not finished, running or queued, and return the job arrays.

    Args:
        sweep: The sweep.
        request: The resources per job; None: as in the last submission.

    Raises:
        RunLockedError: Another process is submitting or cancelling.
        EnvironmentFault: Slurm is missing or reports an error; the arrays submitted until then are on record.
    """
    folder, submitted = SlurmFolder(sweep.slurm), list[JobArray]()
    with locked(folder.path, "submitted or cancelled"):
        before = _find_jobs(folder)
        status = sweep_status(sweep)
        unfinished = [one.trial.name for one in status.trials if not one.is_finished and one.state != "running"]
        status = with_jobs(status, jobs_of(sweep, unfinished))
        left = [one.trial for one in status.trials if not one.is_finished and one.state not in {"queued", "running"}]
        if not left:
            return []
        last = (one.request for one in reversed(before) if one.has_job)
        arrays = draft(
            status.plan.name,
            tasks(left, Populations(sweep, status.plan).most),
            request or next(last, Request()),
            first=before[-1].number + 1 if before else 1,
            max_array_size=max_array_size(),
        )
        scripts = [folder.write_script(array) for array in arrays]
        for array in arrays:
            folder.write(array)
        for trial in left:
            sweep.delete_failure(trial)
        for array, script in zip(arrays, scripts, strict=True):
            job = sbatch(script.relative_to(sweep.path), folder=sweep.path)
            submitted.append(array.model_copy(update={"job": job}))
            folder.write(submitted[-1])
    return submitted


def tasks(trials: Sequence[Trial], most: Callable[[Trial], int]) -> list[tuple[str, ...]]:
    """Return the names of the trials of each task, those that are trained side by side, as evenly as can be.

    Args:
        trials: The trials.
        most: How many trials like one are trained side by side, at most.

    Example:
        >>> def trial(number, seed):
        ...     name, values = f"{number:04d}", {"seed": seed, "cell.units": 4 + number // 6}
        ...     return Trial(number=number, name=name, values=values, sha256="0" * 64)
        >>> tasks([trial(number, number) for number in range(1, 8)], lambda _: 3)
        [('0001', '0003', '0005'), ('0002', '0004'), ('0006', '0007')]
    """
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(group_of(trial), []).append(trial)
    found = []
    for group in groups.values():
        count = -(-len(group) // most(group[0]))
        found += [tuple(trial.name for trial in group[number::count]) for number in range(count)]
    return sorted(found)


def draft(
    name: str, tasks: Sequence[tuple[str, ...]], request: Request, *, first: int = 1, max_array_size: int
) -> list[JobArray]:
    """Return job arrays that are not stored yet, each as long as the cluster allows.

    Args:
        name: The sweep's name.
        tasks: Names of the trials of each task, in order.
        request: The resources per job.
        first: The number of the first array.
        max_array_size: The cluster's MaxArraySize; indices start at 1, so an array has one task less.
    """
    size, token = max_array_size - 1, random_token()
    parts = [tuple(tasks[start : start + size]) for start in range(0, len(tasks), size)]
    return [
        JobArray(number=number, name=f"{name}-{token}-{number}", request=request, tasks=part)
        for number, part in enumerate(parts, first)
    ]


def cancel(sweep: SweepFolder) -> list[int]:
    """Cancel all pending and running jobs of a sweep, and return their ids; running trials save their state.

    Raises:
        RunLockedError: Another process is submitting or cancelling.
        EnvironmentFault: Slurm is missing or reports an error.
    """
    folder = SlurmFolder(sweep.slurm)
    with locked(folder.path, "submitted or cancelled"):
        arrays = [array for array in _find_jobs(folder) if not array.cancelled]
        jobs = sorted({task.job for task in squeue(array.name for array in arrays) if task.state not in _ENDED})
        if jobs:
            scancel(jobs)
        for array in arrays:
            folder.write(array.model_copy(update={"cancelled": True}))
    return jobs


def _find_jobs(folder: SlurmFolder) -> list[JobArray]:
    """Return all job arrays, after finding out the job ids that a killed process could not store.

    Raises:
        EnvironmentFault: Slurm is missing or reports an error: then nothing may be submitted.
    """
    unknown = [array for array in folder.arrays() if array.job is None]
    jobs = {task.name: task.job for task in squeue(array.name for array in unknown)}
    for array in unknown:
        job = jobs.get(array.name) or folder.job_by_logs(array) or NO_JOB
        folder.write(array.model_copy(update={"job": job}))
    return folder.arrays()
