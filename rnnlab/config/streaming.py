"""The keys of `training` for updates at every time step of a stream."""

from typing import Literal

from pydantic import Field

from rnnlab.backends._recipe import Reset, Stream
from rnnlab.core.options import Options

MOST_STEPS = 1_000_000_000


class StreamingOptions(Options):
    """When updates are made, and when the state becomes zero."""

    update: Literal["sequence", "step"] = Field(
        "sequence",
        description="step: an update after each scored timestep, by the gradient through all steps since the reset, "
        "where that flows unit by unit (lstm_1997 with truncate), or with bptt_steps: 1 through this step alone; "
        "needs batch_size: 1, and `steps` then counts sequences",
    )
    reset: Reset = Field(
        "sequence",
        description="with update: step, when the state becomes zero: before each sequence; never, so that all "
        "sequences are one stream; or after an error, and the rest of that sequence is left out",
    )
    stream_decay: float = Field(
        1.0, gt=0, le=1, description="with update: step, factor on the learning rate at each timestep since the reset"
    )
    stream_steps: int | None = Field(
        None,
        ge=1,
        le=MOST_STEPS,
        description="with update: step, timesteps after which a stream ends with its sequence; null: never",
    )

    def stream(self, tolerance: float | None) -> Stream | None:
        """Return how the network runs along a stream; None where there is one update per batch."""
        if self.update == "sequence":
            return None
        return Stream(self.reset, self.stream_decay, self.stream_steps, tolerance)
