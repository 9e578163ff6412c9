"""Slurm's own programs, asked one question each; nothing here knows of sweeps."""

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.text import visible

_PATIENCE = 120  # seconds; a busy controller may take that long to answer
_LITTLE = 20  # seconds for what one can do without
# These change what the programs answer; SBATCH_ variables, a user's own defaults, are left as they are.
_MISLEADING = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_TIME_FORMAT")
_MAX_ARRAY_SIZE = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)


@final
@dataclass(frozen=True, slots=True)
class Task:
    """One task of a job array, as the queue or the accounting tells it.

    Attributes:
        job: The array's job id.
        index: Which of its tasks.
        name: The job's name.
        state: Slurm's word, such as PENDING or OUT_OF_MEMORY.
        reason: Why it is so, Slurm's word; empty where it says none.
    """

    job: int
    index: int
    name: str
    state: str
    reason: str = ""


def sbatch(script: Path, *, folder: Path) -> int:
    """Submit a script from a folder, which is then where it runs, and return the job id.

    Raises:
        EnvironmentFault: Slurm is not here, or refused; after a refusal for want of an answer the job may be there.
    """
    said = _ask("sbatch", "--parsable", str(script), folder=folder)
    number = said.strip().splitlines()[-1].partition(";")[0] if said.strip() else ""
    if not number.isdecimal():
        raise EnvironmentFault(f"sbatch said '{visible(said[:80])}', expected a job id", where="Slurm")
    return int(number)


def squeue(names: Iterable[str]) -> list[Task]:
    """Return what the queue knows of the jobs of these names, finished ones too for as long as it remembers them.

    Raises:
        EnvironmentFault: Slurm is not here, or did not answer.
    """
    wanted = sorted(set(names))
    if not wanted:
        return []
    form = "%F|%K|%j|%T|%r"
    said = _ask("squeue", "--array", "--noheader", "--states=all", f"--name={','.join(wanted)}", f"--format={form}")
    return [task for line in said.splitlines() if (task := _queued(line.strip()))]


def sacct(jobs: Sequence[int]) -> list[Task]:
    """Return what the accounting knows of these jobs: nothing where there is no accounting."""
    if not jobs:
        return []
    fields = ("--format=JobID,JobName,State", "--parsable2", "--noheader", "--allocations", "--starttime=1970-01-01")
    try:
        said = _ask("sacct", *fields, f"--jobs={','.join(map(str, jobs))}", patience=_LITTLE)
    except EnvironmentFault:
        return []
    return [task for line in said.splitlines() if (task := _accounted(line.strip()))]


def scancel(jobs: Sequence[int]) -> None:
    """Cancel whole job arrays.

    Raises:
        EnvironmentFault: Slurm is not here, or refused.
    """
    _ask("scancel", *map(str, jobs))


def max_array_size() -> int:
    """Return MaxArraySize: the indices of an array are below it.

    Raises:
        EnvironmentFault: Slurm is not here, or did not tell.
    """
    match = _MAX_ARRAY_SIZE.search(_ask("scontrol", "show", "config"))
    if match is None or int(match[1]) < 2:
        raise EnvironmentFault("allows no job arrays (MaxArraySize)", where="Slurm", hint=_ELSEWHERE)
    return int(match[1])


_ELSEWHERE = "`rnnlab sweep CONFIG --script` prints the commands for any other scheduler"


def _ask(program: str, *arguments: str, folder: Path | None = None, patience: int = _PATIENCE) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_MISLEADING)}
    try:
        done = subprocess.run(  # noqa: S603 - the program is named here, and takes no shell
            [program, *arguments],
            cwd=folder,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
        )
    except FileNotFoundError:
        problem = f"'{program}' is not installed here"
        raise EnvironmentFault(problem, where="Slurm", hint=f"log in to the cluster; {_ELSEWHERE}") from None
    except subprocess.TimeoutExpired:
        problem = f"'{program}' did not answer within {patience} s"
        raise EnvironmentFault(problem, where="Slurm", hint="the same command again submits nothing twice") from None
    if done.returncode:
        told = " ".join(done.stderr.decode(errors="replace").split())[-500:]
        raise EnvironmentFault(f"'{program}' failed: {visible(told)}", where="Slurm", hint=_hint(program))
    return done.stdout.decode(errors="replace")


def _hint(program: str) -> str:
    if program != "sbatch":
        return "`sinfo` tells whether the cluster answers"
    return "change what you ask for (--partition, --time, --mem, --account); the same command again goes on from here"


def _queued(line: str) -> Task | None:
    """Read a line of squeue; a job's name holds no bar, being ours."""
    job, index, name, state, reason = line.split("|", 4)
    if not (job.isdecimal() and index.isdecimal()):
        return None  # no array: another's job of that name
    return Task(int(job), int(index), name, state, "" if reason == "None" else visible(reason))


def _accounted(line: str) -> Task | None:
    """Read a line of sacct, `12_7|name|CANCELLED by 1000`; tasks that never began stand together as `12_[8-30]`."""
    number, name, state = line.split("|", 2)
    job, _, index = number.partition("_")
    if not (job.isdecimal() and index.isdecimal()):
        return None
    return Task(int(job), int(index), name, (state.split() or [""])[0])
