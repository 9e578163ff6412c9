"""What a sweep stores beside its plan: why trials ended that their run folders do not explain, and requests to stop."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Literal, Self, final

from pydantic import Field

from rnnlab.core.options import Options
from rnnlab.storage.fields import Moment, RunId, Text, within_bounds

# Also a part of paths: no separator, and no dot in front.
TrialName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,59}$")]


@final
class Failure(Options):
    """Why a trial ended that its run folder does not explain: killed, timed out, pruned; immutable."""

    format: Literal["rnnlab-failure/1"] = Field("rnnlab-failure/1", description="Format and version of this document.")
    sweep: RunId = Field(description="The sweep's id.")
    trial: TrialName = Field(description="The trial's name.")
    reason: Text = Field(description="Why, in a sentence; may be empty.")
    pruned: bool = Field(False, description="Whether a search stopped it; it is then not trained again.")


@final
class CancelRequest(Options):
    """A request that the processes which train the trials of a sweep stop; immutable."""

    format: Literal["rnnlab-cancel/1"] = Field("rnnlab-cancel/1", description="Format and version of this document.")
    sweep: RunId = Field(description="The sweep's id.")
    requested: Moment = Field(description="When, UTC.")
    token: RunId = Field(description="Random: differs for every request.")

    @classmethod
    def now(cls, sweep: str) -> Self:
        """Return a new request."""
        return cls(sweep=sweep, requested=within_bounds(datetime.now(UTC)), token=secrets.token_hex(8))
