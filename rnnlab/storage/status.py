"""The state of a run, stored in its folder."""

import os
import platform
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, final

from pydantic import AwareDatetime, Field, ValidationError

from rnnlab.core.errors import VerificationError
from rnnlab.core.options import Options
from rnnlab.storage.jsonfile import LIMIT, parse_object
from rnnlab.storage.reading import read_bytes

FORMAT: Literal["rnnlab-run/1"] = "rnnlab-run/1"

State = Literal["running", "completed", "interrupted", "failed", "diverged"]


@final
class Status(Options):
    """State, place in the training, and holder of a run; immutable, `changed` makes the next one."""

    format: Literal["rnnlab-run/1"] = Field(default=FORMAT, description="Marks an rnnlab run and its version.")
    run: str = Field(description="The run's name, that of its folder when it was made.")
    id: str = Field(description="Random: differs for every run, also where folders were copied or renamed.")
    attempt: Annotated[int, Field(ge=1)] = Field(default=1, description="Which process that trains it, from 1.")
    state: State = Field(description="running until the process ends the run.")
    step: Annotated[int, Field(ge=0)] = Field(default=0, description="Training steps done.")
    started: AwareDatetime = Field(description="When the run began, UTC.")
    updated: AwareDatetime = Field(description="When this was written, UTC.")
    pid: int = Field(description="The process that wrote this.")
    host: str = Field(description="The machine that process ran on.")
    exit_code: int | None = Field(default=None, description="The exit code, once there is one.")
    message: str = Field(default="", description="One sentence for the reader, e.g. why the run failed.")

    @classmethod
    def start(cls, run: str, *, now: datetime | None = None) -> Self:
        """Return the status of the run named `run` at its start, in this process.

        Example:
            >>> status = Status.start("quickstart")
            >>> status.state, status.step, status.changed(state="completed", step=500, exit_code=0).step
            ('running', 0, 500)
        """
        moment = now or datetime.now(UTC)
        new = {"run": run, "id": secrets.token_hex(8), "state": "running", "started": moment, "updated": moment}
        return cls.model_validate({**new, **_here()})

    def again(self, *, attempt: int, step: int) -> Self:
        """Return the status of the run as this process takes it up once more, at this step."""
        return self.changed(state="running", attempt=attempt, step=step, exit_code=None, message="", **_here())

    def changed(self, *, now: datetime | None = None, **changes: Any) -> Self:
        """Return the status with the fields in `changes` replaced, stamped with the time.

        Raises:
            pydantic.ValidationError: A field is unknown or a value does not fit.
        """
        return self.model_validate({**self.model_dump(), "updated": now or datetime.now(UTC), **changes})


def _here() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": platform.node()}


def is_ours(value: Mapping[str, Any]) -> bool:
    """Return whether `value`, the content of a `status.json`, was written by rnnlab, whichever version."""
    return str(value.get("format")).startswith("rnnlab-run/")


def read_status(path: Path) -> Status:
    """Return the status in `path`.

    Raises:
        VerificationError: The file is missing, damaged, or written by another version of rnnlab.
        EnvironmentFault: A file cannot be read.
    """
    data = read_bytes(path, LIMIT)
    value = parse_object(data, path)
    if is_ours(value) and value["format"] != FORMAT:
        problem = f"is written in the format '{value['format']}', this rnnlab reads '{FORMAT}'"
        raise VerificationError(problem, where=str(path), hint="use the version of rnnlab that wrote it")
    try:
        return Status.model_validate_json(data)
    except ValidationError as fault:
        raise VerificationError(f"is not a run's status: {list_faults(fault)}", where=str(path)) from fault


def list_faults(fault: ValidationError) -> str:
    """Return what is wrong with a stored document: each fault with its key, of many the first."""
    faults = [f"{'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}" for one in fault.errors()]
    more = [f"{len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
    return "; ".join(faults[:_MOST_FAULTS] + more)


_MOST_FAULTS = 4
