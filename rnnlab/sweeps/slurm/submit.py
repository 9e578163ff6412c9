"""Submitting what is left of a sweep, once: whoever is killed half-way finds out later how far he came.

Before an array is submitted, a record says so, under a name that no other job has; afterwards, it says its job id. An
array without one is looked for by its name: in the queue, in the accounting, and among the logs. Where it left no trace
it never was, or ended before any task of it began, and its trials are free.
"""

from collections.abc import Sequence

from rnnlab.storage.naming import random_token
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Plan, Trial
from rnnlab.sweeps.slurm.client import max_array_size, sbatch, scancel, squeue
from rnnlab.sweeps.slurm.folder import NO_JOB, Chunk, SlurmFolder, Submission, now
from rnnlab.sweeps.slurm.request import Request
from rnnlab.sweeps.slurm.script import write_script
from rnnlab.sweeps.slurm.states import jobs_of, with_jobs
from rnnlab.sweeps.states import standings


def submit(sweep: SweepFolder, plan: Plan, request: Request | None) -> Submission | None:
    """Submit every trial that is not over, runs nowhere and waits in no queue; None where there is none.

    Args:
        sweep: The sweep.
        plan: Its trials.
        request: What is asked for each; None for the same as the last time that Slurm took it.

    Raises:
        RunLockedError: Another process is submitting.
        EnvironmentFault: Slurm is not here, or refused; what was submitted by then is on record.
    """
    folder = SlurmFolder(sweep.slurm)
    with folder.held():
        before = settle(folder)
        left = _left(sweep, plan)
        if not left:
            return None
        asked = request or next((one.request for one in reversed(before) if one.has_jobs), Request())
        number = before[-1].number + 1 if before else 1
        names = [trial.name for trial in left]
        submission = draft(plan.name, names, asked, number=number, largest=max_array_size())
        for chunk in submission.chunks:
            folder.write_job(chunk, script_of(submission, chunk))
        folder.write(submission)
        for trial in left:
            sweep.forget_failure(trial)
        return _submit_all(sweep, folder, submission)


def draft(name: str, trials: Sequence[str], request: Request, *, number: int, largest: int) -> Submission:
    """Return what would be submitted: job arrays as long as the cluster allows.

    Args:
        name: The sweep's.
        trials: Names, in order.
        request: What is asked for each.
        number: Which submission of the sweep it is.
        largest: The cluster's MaxArraySize; tasks count from 1, so one less fits.
    """
    size, token = largest - 1, random_token()
    parts = [tuple(trials[start : start + size]) for start in range(0, len(trials), size)]
    chunks = tuple(
        Chunk(stem=f"{number:04d}-{i}", name=f"{name}-{token}-{i}", trials=part) for i, part in enumerate(parts, 1)
    )
    return Submission(number=number, made=now(), request=request, chunks=chunks)


def script_of(submission: Submission, chunk: Chunk) -> str:
    """Return the script of one of a submission's job arrays."""
    return write_script(name=chunk.name, stem=chunk.stem, tasks=len(chunk.trials), request=submission.request)


def settle(folder: SlurmFolder) -> list[Submission]:
    """Find out what became of arrays that were to be submitted when somebody was killed, and return all submissions.

    Raises:
        EnvironmentFault: Slurm is not here, or did not answer: then nothing is known, and nothing may be submitted.
    """
    submissions = folder.submissions()
    open_names = {chunk.name for one in submissions for chunk in one.chunks if chunk.job is None}
    found = {task.name: task.job for task in squeue(open_names)}
    settled = []
    for submission in submissions:
        for chunk in submission.chunks:
            if chunk.job is None:
                job = found.get(chunk.name) or folder.job_by_logs(chunk) or NO_JOB
                submission = submission.with_job(chunk, job)  # noqa: PLW2901 - it grows
                folder.write(submission)
        settled.append(submission)
    return settled


def cancel(sweep: SweepFolder) -> list[int]:
    """Cancel all jobs of a sweep that wait or run, and return their ids; states are saved as at any end.

    Raises:
        RunLockedError: Another process is submitting.
        EnvironmentFault: Slurm is not here, or refused.
    """
    folder = SlurmFolder(sweep.slurm)
    with folder.held():
        submissions = settle(folder)
        names = [chunk.name for one in submissions if not one.cancelled for chunk in one.chunks]
        ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"}
        live = sorted({task.job for task in squeue(names) if task.state not in ended})
        if live:
            scancel(live)
        for submission in submissions:
            if not submission.cancelled:
                folder.write(submission.model_copy(update={"cancelled": True}))
    return live


def _left(sweep: SweepFolder, plan: Plan) -> list[Trial]:
    """Return the trials that nobody has, by the word of their folders and of the queue."""
    found = standings(sweep, plan)
    unfinished = [one.trial.name for one in found if not one.is_over and one.state != "running"]
    told = with_jobs(sweep, found, jobs_of(sweep, unfinished))
    return [one.trial for one in told if not one.is_over and one.state not in {"queued", "running"}]


def _submit_all(sweep: SweepFolder, folder: SlurmFolder, submission: Submission) -> Submission:
    for chunk in submission.chunks:
        script = folder.script(chunk).relative_to(sweep.path)
        submission = submission.with_job(chunk, sbatch(script, folder=sweep.path))
        folder.write(submission)
    return submission
