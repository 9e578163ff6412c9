"""Sweeps on a Slurm cluster: job arrays whose scripts call `rnnlab train`, submitted once and asked after."""

from rnnlab.sweeps.slurm.request import Request
from rnnlab.sweeps.slurm.states import Job, jobs_of, with_jobs
from rnnlab.sweeps.slurm.submit import cancel, draft, submit

__all__ = ["Job", "Request", "cancel", "draft", "jobs_of", "submit", "with_jobs"]
