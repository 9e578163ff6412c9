"""A sweep on a Slurm cluster, as it is asked for on the command line and told there."""

from collections.abc import Mapping
from typing import Any

from rnnlab.cli.errors import note, warn
from rnnlab.cli.render.output import show, show_json, show_text
from rnnlab.core.errors import EnvironmentFault, UsageError
from rnnlab.core.text import visible
from rnnlab.sweeps.account import Account, read_account
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Plan
from rnnlab.sweeps.slurm import Job, Request, cancel, draft, jobs_of, with_jobs
from rnnlab.sweeps.slurm import submit as submit_left
from rnnlab.sweeps.slurm.client import max_array_size
from rnnlab.sweeps.slurm.folder import SlurmFolder
from rnnlab.sweeps.slurm.submit import script_of
from rnnlab.sweeps.states import standings

_USUAL_ARRAY_SIZE = 1001  # MaxArraySize where nobody has changed it


def request_of(asked: Mapping[str, Any], *, slurm: bool, workers: int | None) -> Request | None:
    """Return what is asked of the cluster for each trial, None where nothing is.

    Raises:
        UsageError: It cannot be asked so, or is not for a cluster at all.
    """
    given = {name: value for name, value in asked.items() if value}
    if not slurm:
        if given:
            raise UsageError("is for jobs on a cluster", where=f"--{next(iter(given)).replace('_', '-')}", hint=_SLURM)
        return None
    if workers is not None:
        raise UsageError("is for this machine", where="--workers", hint="with --slurm, --array-limit is alike")
    return Request(**{**given, "extra": tuple(given.get("extra", ()))}).check() if given else None


_SLURM = "add --slurm"


def submit(sweep: SweepFolder, request: Request | None, *, json: bool) -> None:
    """Submit what is left of a sweep, and tell under which job ids."""
    submission = submit_left(sweep, sweep.read_plan(), request)
    place = visible(str(sweep.path))
    if json:
        show_json(
            "sweep-submission",
            {"sweep": str(sweep.path), "submission": submission and submission.model_dump(mode="json")},
        )
    elif submission is None:
        show(f"{place}: nothing to submit, every trial is over, running or queued")
    else:
        trials = sum(len(chunk.trials) for chunk in submission.chunks)
        jobs = ", ".join(str(chunk.job) for chunk in submission.chunks)
        show(
            f"{place}: {trials:,} trial{'s' * (trials != 1)} submitted as job{'s' * (len(submission.chunks) != 1)} "
            f"{jobs}; `rnnlab sweep status {place}` tells how they do, {place}/slurm/logs what they say"
        )


def show_job_scripts(plan: Plan, request: Request | None) -> None:
    """Print the scripts that would be submitted for all trials; nothing is created."""
    try:
        largest = max_array_size()
    except EnvironmentFault as fault:
        largest = _USUAL_ARRAY_SIZE
        warn(f"{fault.problem}, so job arrays are as long as is usual: {largest - 1:,} trials")
    submission = draft(plan.name, [t.name for t in plan.trials], request or Request(), number=1, largest=largest)
    show_text("\n".join(script_of(submission, chunk) for chunk in submission.chunks))


def was_submitted(sweep: SweepFolder) -> bool:
    """Say whether any of a sweep was ever submitted."""
    return bool(SlurmFolder(sweep.slurm).submissions())


def take_stock(sweep: SweepFolder) -> tuple[Account, Mapping[str, Job]]:
    """Return where a sweep stands, and the newest job of each trial that has one and is not over."""
    found = standings(sweep, sweep.read_plan())
    try:
        jobs = jobs_of(sweep, [one.trial.name for one in found if not one.is_over])
    except EnvironmentFault as fault:
        warn(f"{fault}: told is what the run folders know")
        jobs = {}
    return read_account(sweep, with_jobs(sweep, found, jobs)), jobs


def cancel_jobs(sweep: SweepFolder) -> bool:
    """Cancel the jobs of a sweep; say whether there were any."""
    if not was_submitted(sweep):
        return False
    jobs = cancel(sweep)
    if jobs:
        told = f"cancelled job{'s' * (len(jobs) != 1)} {', '.join(map(str, jobs))}; what was trained is saved"
        note(f"{sweep.path}: {told}, and `rnnlab sweep resume` goes on")
    return bool(jobs)
