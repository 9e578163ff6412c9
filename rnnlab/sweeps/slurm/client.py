"""Calls of Slurm's programs (sbatch, squeue, scancel, scontrol), without any knowledge of sweeps."""

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.system_errors import limit_hint

_TIMEOUT = 120  # seconds; a busy slurmctld may need that long
# These variables change the output of the programs; SBATCH_* are the user's defaults and stay.
_IGNORED = ("SQUEUE_", "SCANCEL_", "SLURM_TIME_FORMAT")
_MAX_ARRAY_SIZE = re.compile(r"^MaxArraySize\s*=\s*([0-9]{1,9})\b", re.MULTILINE)
_JOB = re.compile(r"[0-9]{1,9}")
_TASK = re.compile(rf"({_JOB.pattern})\|({_JOB.pattern})\|([^|]*)\|([A-Z_]*)\|(.*)")
_LONGEST_REASON = 200
_OTHER_SCHEDULER = "`rnnlab sweep CONFIG --script` prints the commands for any other scheduler"


@final
@dataclass(frozen=True, slots=True)
class Task:
    """One task of a job array, with Slurm's state, such as PENDING, and Slurm's reason for it, which may be empty."""

    job: int
    index: int
    name: str
    state: str
    reason: str = ""


def sbatch(script: Path, *, folder: Path) -> int:
    """Submit a script with `folder` as its working folder, and return the job id.

    Raises:
        EnvironmentFault: Slurm is missing or reports an error; after a timeout the job may have been submitted.
    """
    output = _run("sbatch", "--parsable", str(script), folder=folder).strip()
    number = output.splitlines()[-1].partition(";")[0] if output else ""
    if not _JOB.fullmatch(number):
        raise EnvironmentFault(f"sbatch printed '{output[:80]}', expected a job id", where="Slurm")
    return int(number)


def squeue(names: Iterable[str]) -> list[Task]:
    """Return the tasks of the jobs with these names; finished ones too, as long as slurmctld remembers them.

    Raises:
        EnvironmentFault: Slurm is missing or reports an error.
    """
    if not (wanted := sorted(set(names))):
        return []
    options = ("--array", "--noheader", "--states=all", "--format=%F|%K|%j|%T|%r")
    output = _run("squeue", *options, f"--name={','.join(wanted)}")
    return [task for line in output.splitlines() if (task := parse_squeue(line.strip()))]


def scancel(jobs: Sequence[int]) -> None:
    """Cancel whole job arrays.

    Raises:
        EnvironmentFault: Slurm is missing or reports an error.
    """
    _run("scancel", *map(str, jobs))


def max_array_size() -> int:
    """Return MaxArraySize of the cluster: every array index is less.

    Raises:
        EnvironmentFault: Slurm is missing, reports an error, or allows no job arrays.
    """
    match = _MAX_ARRAY_SIZE.search(_run("scontrol", "show", "config"))
    if match is None or int(match[1]) < 2:
        raise EnvironmentFault("does not allow job arrays (MaxArraySize)", where="Slurm", hint=_OTHER_SCHEDULER)
    return int(match[1])


def parse_squeue(line: str) -> Task | None:
    """Return the task in a line of squeue; None if it is not of an array.

    Example:
        >>> parse_squeue("12|7|tiny-1|PENDING|Priority")
        Task(job=12, index=7, name='tiny-1', state='PENDING', reason='Priority')
        >>> parse_squeue("12|N/A|tiny-1|RUNNING|None")
    """
    match = _TASK.fullmatch(line)
    if match is None:
        return None
    job, index, name, state, reason = match.groups()
    return Task(int(job), int(index), name, state, "" if reason == "None" else reason[:_LONGEST_REASON])


def _run(program: str, *arguments: str, folder: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_IGNORED)}
    try:
        done = subprocess.run(  # noqa: S603 - the program is one of four, and no shell is involved
            [program, *arguments],
            cwd=folder,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        hint = f"log in to the cluster; {_OTHER_SCHEDULER}"
        raise EnvironmentFault(f"'{program}' is not installed here", where="Slurm", hint=hint) from None
    except OSError as fault:
        problem = f"cannot start '{program}': {fault.strerror or fault}"
        raise EnvironmentFault(problem, where="Slurm", hint=limit_hint(fault)) from fault
    except subprocess.TimeoutExpired:
        problem = f"'{program}' did not respond within {_TIMEOUT} s"
        raise EnvironmentFault(problem, where="Slurm", hint="try again; nothing is submitted twice") from None
    if done.returncode:
        stderr = " ".join(done.stderr.decode(errors="replace").split())[-500:]
        hint = "change --partition, --time, --mem or --account and try again; nothing is submitted twice"
        hint = hint if program == "sbatch" else "`sinfo` shows whether the cluster responds"
        raise EnvironmentFault(f"'{program}' failed: {stderr}", where="Slurm", hint=hint)
    return done.stdout.decode(errors="replace")
