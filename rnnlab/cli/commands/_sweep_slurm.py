"""`rnnlab sweep` on a Slurm cluster: submit, show the scripts and the jobs, cancel."""

from collections.abc import Mapping

from rnnlab.cli.errors import note, warn
from rnnlab.cli.render.output import show, show_json, show_text
from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.plan import CheckedSweep
from rnnlab.sweeps.populations import most_at_once
from rnnlab.sweeps.slurm.client import max_array_size
from rnnlab.sweeps.slurm.jobs import Job, SlurmFolder, jobs_of, with_jobs
from rnnlab.sweeps.slurm.script import Request, script_text
from rnnlab.sweeps.slurm.submit import cancel, draft, tasks
from rnnlab.sweeps.slurm.submit import submit as submit_unfinished
from rnnlab.sweeps.status import SweepStatus, sweep_status

_DEFAULT_ARRAY_SIZE = 1001  # of Slurm's MaxArraySize


def require() -> None:
    """Raise `EnvironmentFault` if Slurm is not here or does not answer: otherwise nothing is to be made."""
    max_array_size()


def submit(sweep: SweepFolder, request: Request | None, *, json: bool) -> None:
    """Submit the unfinished trials of a sweep, and show the job ids."""
    arrays, path = submit_unfinished(sweep, request), sweep.path
    if json:
        stored = [array.model_dump(mode="json", exclude={"format"}) for array in arrays]
        show_json("sweep-submission", {"sweep": path.name, "path": path, "arrays": stored})
    elif not arrays:
        show(f"{path}: nothing to submit, every trial is finished, running or queued")
    else:
        trials, ids = sum(len(array.trials) for array in arrays), ", ".join(str(array.job) for array in arrays)
        show(
            f"{path}: {trials:,} trial{'s' * (trials != 1)} submitted as job{'s' * (len(arrays) != 1)} {ids}; "
            f"status: `rnnlab sweep status {path}`, logs: {path}/slurm/logs"
        )


def show_scripts(checked: CheckedSweep, request: Request | None) -> None:
    """Print the scripts that would be submitted for all trials; nothing is created."""
    try:
        largest = max_array_size()
    except EnvironmentFault as fault:
        largest = _DEFAULT_ARRAY_SIZE
        warn(f"{fault.problem}, so arrays have Slurm's default limit of {largest - 1:,} trials")
    plan, experiments = checked.plan, checked.experiments
    together = tasks(plan.trials, lambda trial: most_at_once(experiments[trial.name], plan.options))
    arrays = draft(plan.name, together, request or Request(), max_array_size=largest)
    show_text("\n".join(map(script_text, arrays)))


def was_submitted(sweep: SweepFolder) -> bool:
    """Return whether any trial of a sweep was ever submitted."""
    return bool(SlurmFolder(sweep.slurm).arrays())


def status_with_jobs(sweep: SweepFolder) -> tuple[SweepStatus, Mapping[str, Job]]:
    """Return the status of a sweep, and the newest job of each unfinished trial that has one."""
    status = sweep_status(sweep)
    try:
        jobs = jobs_of(sweep, [one.trial.name for one in status.trials if not one.is_finished])
    except (EnvironmentFault, VerificationError) as fault:
        warn(f"{fault}: only the status of the run folders is shown")
        jobs = {}
    return with_jobs(status, jobs), jobs


def cancel_jobs(sweep: SweepFolder) -> bool:
    """Cancel the jobs of a sweep, and return whether there were any."""
    jobs = cancel(sweep) if was_submitted(sweep) else []
    if jobs:
        listed = f"job{'s' * (len(jobs) != 1)} {', '.join(map(str, jobs))}"
        note(f"{sweep.path}: cancelled {listed}; the state of the trials is saved, `rnnlab sweep resume` resumes them")
    return bool(jobs)
