"""The state of a run, stored in its folder, and the name of that: `20261122T102531Z-quickstart-k3x9a1`."""

import os
import platform
import re
import secrets
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, final

from pydantic import Field

from rnnlab.core.errors import VerificationError
from rnnlab.core.options import Options
from rnnlab.storage.fields import LONGEST_NAME, Moment, Name, Pid, RunId, Step, Text, storable, within_bounds
from rnnlab.storage.jsonfile import LIMIT, parse_object, read_model
from rnnlab.storage.reading import read_bytes

FORMAT: Literal["rnnlab-run/1"] = "rnnlab-run/1"

State = Literal["running", "completed", "interrupted", "failed", "diverged"]
RunState = State | Literal["stale"]  # stale: running, but its process has died
Attempt = Annotated[int, Field(ge=1, lt=1 << 32)]


@final
class Status(Options):
    """State, place in the training, and holder of a run; immutable, `changed` makes the next one."""

    format: Literal["rnnlab-run/1"] = Field(default=FORMAT, description="Marks an rnnlab run and its version.")
    run: Name = Field(description="The run's name, that of its folder when it was made.")
    id: RunId = Field(description="Random: differs for every run, also where folders were copied or renamed.")
    attempt: Attempt = Field(default=1, description="Which process that trains it, from 1.")
    state: State = Field(description="running until the process ends the run.")
    step: Step = Field(default=0, description="Training steps done.")
    saved: Step | None = Field(default=None, description="The step of the newest checkpoint; null before the first.")
    started: Moment = Field(description="When the run began, UTC.")
    updated: Moment = Field(description="When this was written, UTC.")
    pid: Pid = Field(description="The process that wrote this.")
    host: Name = Field(description="The machine that process ran on.")
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = Field(
        default=None, description="The exit code, once there is one."
    )
    message: Text = Field(default="", description="One sentence for the reader, e.g. why the run failed.")

    @classmethod
    def start(cls, run: str, *, now: datetime | None = None) -> Self:
        """Return the status of the run named `run` at its start, in this process.

        Example:
            >>> status = Status.start("quickstart")
            >>> status.state, status.step, status.changed(state="completed", step=500, exit_code=0).step
            ('running', 0, 500)
        """
        moment = within_bounds(now or datetime.now(UTC))
        new = {"run": run, "id": secrets.token_hex(8), "state": "running", "started": moment, "updated": moment}
        return cls.model_validate({**new, **_here()})

    def again(self, *, attempt: int, step: int, saved: int | None) -> Self:
        """Return the status of the run as this process takes it up once more, at this step."""
        return self.changed(
            state="running", attempt=attempt, step=step, saved=saved, exit_code=None, message="", **_here()
        )

    def changed(self, *, now: datetime | None = None, **changes: Any) -> Self:
        """Return the status with the fields in `changes` replaced, stamped with the time.

        Raises:
            pydantic.ValidationError: A field is unknown or a value does not fit.
        """
        return self.model_validate({**self.model_dump(), "updated": within_bounds(now or datetime.now(UTC)), **changes})


def _here() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": storable(platform.node(), LONGEST_NAME)}


def is_ours(path: Path) -> bool:
    """Return whether `path`, a `status.json`, was written by rnnlab, whichever version; raises as `read_status`."""
    return _format(path).startswith("rnnlab-run/")


def _format(path: Path) -> str:
    return str(parse_object(read_bytes(path, LIMIT), path).get("format"))


def read_status(path: Path) -> Status:
    """Return the status in `path`.

    Raises:
        VerificationError: The file is missing, damaged, or written by another version of rnnlab.
        EnvironmentFault: A file cannot be read.
    """
    try:
        return read_model(path, Status, what="a run's status")
    except VerificationError:
        written = _format(path)
        if written == FORMAT or not is_ours(path):
            raise
    problem = f"is written in the format '{written}', this rnnlab reads '{FORMAT}'"
    raise VerificationError(problem, where=str(path), hint="use the version of rnnlab that wrote it")


FOLDER_NAME = re.compile(r"(?P<stamp>\d{8}T\d{6}Z)-(?P<name>.+)-(?P<token>[a-z0-9]{6})")


def folder_name(name: str, now: datetime | None = None) -> str:
    """Return a new name for the folder of the run `name`; the time orders, the six random characters tell apart."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{name}-{random_token()}"


def label_of(folder: str) -> str:
    """Return the name the user gave: the middle of the folder's name, or all of it where the folder was renamed."""
    match = FOLDER_NAME.fullmatch(folder)
    return match["name"] if match else folder


def token_of(folder: str) -> str:
    """Return the random characters at the end of the folder's name, or all of it where the folder was renamed."""
    match = FOLDER_NAME.fullmatch(folder)
    return match["token"] if match else folder


def random_token() -> str:
    """Return six random characters a-z 0-9: one of 2,176,782,336."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))
