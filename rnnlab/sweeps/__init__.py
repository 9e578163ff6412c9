"""Sweeps: many trainings planned from one config, run by worker processes or on a cluster."""

from rnnlab.sweeps.folder import SweepFolder, find_sweep
from rnnlab.sweeps.plan import Plan, Trial

__all__ = ["Plan", "SweepFolder", "Trial", "find_sweep"]
