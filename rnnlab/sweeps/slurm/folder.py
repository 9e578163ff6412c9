"""What a sweep keeps of its jobs, below `slurm/`: one class that owns every file name there.

0001.json            the first submission: what was to be submitted, and under which job ids it was
0001-1.sh, 0001-1.txt  the script of its first job array, and the trial of each array task, a line each
logs/0001-1-12_7.log what task 7 of that array, job 12, said: all its restarts one after the other
history/TRIAL.txt    when and where a trial began, ended, was queued again: a line each, written by the script
lock-0001.json       who is submitting at this moment
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import AwareDatetime, Field, ValidationError

from rnnlab.core.errors import RunLockedError, VerificationError
from rnnlab.core.options import Options
from rnnlab.storage.faults import reported, shown
from rnnlab.storage.files import ensure_folder, write_atomic
from rnnlab.storage.jsonfile import LIMIT, write_json
from rnnlab.storage.lock import acquire
from rnnlab.storage.reading import kind, read_bytes
from rnnlab.sweeps.slurm.request import Request

_RECORD = re.compile(r"(\d{4,})\.json")
_LOG = re.compile(r"(.+)-(\d+)_\d+\.log")
_LARGEST_TEXT = 1 << 24

NO_JOB = -1  # was to be submitted, and turned out not to be


@final
class Chunk(Options):
    """One job array; immutable."""

    stem: str = Field(description="Name of its script and its list of trials, without the ending.")
    name: str = Field(description="The job's name, that of no other job: by it the job is found again.")
    trials: tuple[str, ...] = Field(description="The trials of the array's tasks 1, 2, …")
    job: int | None = Field(None, description="Its job id, once it is known; NO_JOB where there is none.")


@final
class Submission(Options):
    """What was submitted at one time; immutable."""

    format: Literal["rnnlab-slurm/1"] = Field("rnnlab-slurm/1", description="Marks a submission and its version.")
    number: Annotated[int, Field(ge=1)] = Field(description="Which submission of the sweep, from 1.")
    made: AwareDatetime = Field(description="When it was drawn up, UTC.")
    request: Request = Field(description="What was asked for.")
    chunks: tuple[Chunk, ...] = Field(description="The job arrays.")
    cancelled: bool = Field(False, description="Whether `rnnlab sweep cancel` has ended it.")

    @property
    def has_jobs(self) -> bool:
        """Whether any of it is known to have been submitted."""
        return any(chunk.job not in {None, NO_JOB} for chunk in self.chunks)

    def with_job(self, chunk: Chunk, job: int) -> "Submission":
        """Return the submission with the job id of one of its chunks."""
        chunks = tuple(one.model_copy(update={"job": job}) if one == chunk else one for one in self.chunks)
        return self.model_copy(update={"chunks": chunks})


@final
@dataclass(frozen=True)
class SlurmFolder:
    """The folder; it need not exist to ask what is there.

    Args:
        path: `slurm/` of a sweep.
    """

    path: Path

    def submissions(self) -> list[Submission]:
        """Return what was submitted, in order.

        Raises:
            VerificationError: A record is damaged.
            EnvironmentFault: The system refused to read.
        """
        if kind(self.path) == "missing":
            return []
        with reported("look at", self.path):
            names = sorted(path.name for path in self.path.iterdir() if _RECORD.fullmatch(path.name))
        return [_read(self.path / name) for name in names]

    def write(self, submission: Submission) -> None:
        """Store a submission, or what is now known of it."""
        write_json(self.path / f"{submission.number:04d}.json", submission.model_dump(mode="json"))

    def script(self, chunk: Chunk) -> Path:
        """Return where the script of a job array is."""
        return self.path / f"{chunk.stem}.sh"

    def write_job(self, chunk: Chunk, script: str) -> None:
        """Store a script and its list of trials, and make the folders that it writes to."""
        for name in ("logs", "history"):
            ensure_folder(self.path / name)
        write_atomic(self.path / f"{chunk.stem}.txt", "".join(f"{trial}\n" for trial in chunk.trials).encode())
        write_atomic(self.script(chunk), script.encode())

    def log(self, chunk: Chunk, index: int) -> Path:
        """Return where the log of a job's task is."""
        return self.path / "logs" / f"{chunk.stem}-{chunk.job}_{index}.log"

    def job_by_logs(self, chunk: Chunk) -> int | None:
        """Return the job id of an array of which a task has begun, None where none has."""
        with reported("look at", self.path):
            names = [path.name for path in (self.path / "logs").glob(f"{chunk.stem}-*.log")]
        jobs = {int(match[2]) for name in names if (match := _LOG.fullmatch(name)) and match[1] == chunk.stem}
        return max(jobs, default=None)

    def history(self, trial: str) -> list[str]:
        """Return what the script noted of a trial: lines of `TIME JOB EVENT`."""
        path = self.path / "history" / f"{trial}.txt"
        if kind(path) == "missing":
            return []
        return read_bytes(path, _LARGEST_TEXT).decode(errors="replace").splitlines()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from submitting or cancelling meanwhile.

        Raises:
            RunLockedError: Another one is at it.
        """
        ensure_folder(self.path)
        try:
            lock = acquire(self.path, after=0)
        except RunLockedError as error:
            problem = error.problem.replace("trained", "submitted or cancelled")
            raise RunLockedError(problem, where=shown(self.path), hint="wait until it is done") from error
        try:
            yield
        finally:
            lock.release()


def now() -> datetime:
    """Return the time, UTC, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def _read(path: Path) -> Submission:
    try:
        return Submission.model_validate_json(read_bytes(path, LIMIT))
    except ValidationError as fault:
        told = fault.errors()[0]
        problem = f"is not a submission that rnnlab wrote: {'.'.join(map(str, told['loc']))}: {told['msg']}"
        raise VerificationError(problem, where=shown(path)) from fault
