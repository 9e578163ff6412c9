"""The `slurm/` folder of a sweep: one class with all its file names.

0001.json              the first submission: its job arrays and their job ids
0001-1.sh, 0001-1.txt  the script of its first job array, and the trial of each array task, one per line
logs/0001-1-12_7.log   output of task 7 of that array, job 12, of all its restarts
history/TRIAL.txt      when and where a trial started, ended and was requeued, one line each, written by the script
lock-0001.json         the process that is submitting
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import AwareDatetime, Field

from rnnlab.core.options import Options
from rnnlab.storage.files import ensure_folder, write_atomic
from rnnlab.storage.jsonfile import write_json
from rnnlab.storage.reading import kind, read_bytes
from rnnlab.storage.system_errors import reported
from rnnlab.sweeps.folder import lock_folder
from rnnlab.sweeps.plan import read_document
from rnnlab.sweeps.slurm.script import JobArray, Request, script_text

_RECORD = re.compile(r"(\d{4,})\.json")
_LARGEST_TEXT = 1 << 24  # bytes


@final
class Submission(Options):
    """The job arrays that one command submitted; immutable."""

    format: Literal["rnnlab-slurm/1"] = Field("rnnlab-slurm/1", description="Format and version of this document.")
    number: Annotated[int, Field(ge=1)] = Field(description="Its number in the sweep, from 1.")
    made: AwareDatetime = Field(description="When it was made, UTC.")
    request: Request = Field(description="The resources requested per job.")
    arrays: tuple[JobArray, ...] = Field(description="The job arrays.")
    cancelled: bool = Field(False, description="Whether `rnnlab sweep cancel` cancelled it.")

    def with_job(self, array: JobArray, job: int) -> "Submission":
        """Return the submission with the job id of one of its arrays."""
        arrays = tuple(one.model_copy(update={"job": job}) if one == array else one for one in self.arrays)
        return self.model_copy(update={"arrays": arrays})


@final
@dataclass(frozen=True)
class SlurmFolder:
    """The folder, which need not exist.

    Args:
        path: `slurm/` of a sweep.
    """

    path: Path

    def submissions(self) -> list[Submission]:
        """Return all submissions in order.

        Raises:
            VerificationError: A record is damaged.
            EnvironmentFault: A file cannot be read.
        """
        if kind(self.path) == "missing":
            return []
        with reported("look at", self.path):
            names = sorted(path.name for path in self.path.iterdir() if _RECORD.fullmatch(path.name))
        return [read_document(Submission, self.path / name, "a submission") for name in names]

    def write(self, submission: Submission) -> None:
        """Store a submission, or what has changed in it."""
        write_json(self.path / f"{submission.number:04d}.json", submission.model_dump(mode="json"))

    def write_script(self, array: JobArray, request: Request) -> Path:
        """Store the script of a job array and its list of trials, and return the script's path."""
        for name in ("logs", "history"):  # the script writes there
            ensure_folder(self.path / name)
        write_atomic(self.path / f"{array.stem}.txt", "".join(f"{trial}\n" for trial in array.trials).encode())
        path = self.path / f"{array.stem}.sh"
        write_atomic(path, script_text(array, request).encode())
        return path

    def job_by_logs(self, array: JobArray) -> int | None:
        """Return the job id of an array of which a task has started, None if none has."""
        pattern = re.compile(rf"{re.escape(array.stem)}-(\d+)_\d+\.log")
        with reported("look at", self.path):
            names = [path.name for path in (self.path / "logs").glob(f"{array.stem}-*.log")]
        return max((int(match[1]) for name in names if (match := pattern.fullmatch(name))), default=None)

    def history(self, trial: str) -> list[str]:
        """Return the lines `TIME JOB EVENT` of a trial."""
        path = self.path / "history" / f"{trial}.txt"
        if kind(path) == "missing":
            return []
        return read_bytes(path, _LARGEST_TEXT).decode(errors="replace").splitlines()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from submitting or cancelling meanwhile.

        Raises:
            RunLockedError: Another process is submitting or cancelling.
        """
        lock = lock_folder(self.path, "submitted or cancelled")
        try:
            yield
        finally:
            lock.release()
