"""How many processors this process may use: what the scheduler allotted, not what the machine has."""

import os


def allotted_cpus() -> int:
    """Return the processors allotted to this process, at least 1.

    `SLURM_CPUS_PER_TASK` where a job says it, and never more than the affinity allows.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(int(asked), allowed) if asked.isdecimal() and int(asked) > 0 else allowed
