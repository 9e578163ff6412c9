"""The keys of `training` for updates at every time step of a stream, and for how long training lasts."""

from typing import Any, Literal

from pydantic import Field, model_validator

from rnnlab.backends._recipe import Reset, Stream
from rnnlab.core.options import Options

MOST_STEPS = 1_000_000_000


class StreamingOptions(Options):
    """How many updates there are, when they are made, and when the state becomes zero.

    Attributes:
        steps: maximum number of updates
        update: step: an update after each scored timestep, by the gradient through all steps since the reset, where
            that flows unit by unit (lstm_1997 with truncate), or with bptt_steps: 1 through this step alone; needs
            batch_size: 1, and `steps` then counts sequences
        reset: with update: step, when the state becomes zero and a stream ends: before each sequence; never, so that
            all sequences are one stream; after an error, and the rest of that sequence is left out; both: a stream ends
            at an error, and within it the state becomes zero before each sequence
        stream_decay: with update: step, factor on the learning rate at each timestep since the reset
        stream_steps: with update: step, timesteps after which a stream ends with its sequence; null: never
        streams: with update: step, number of streams after which training ends; `evaluate_every` then counts streams,
            each evaluation is between two, and `steps`, left out, is no limit; null: no limit
    """

    steps: int = Field(1000, ge=1, le=MOST_STEPS)
    update: Literal["sequence", "step"] = "sequence"
    reset: Reset = "sequence"
    stream_decay: float = Field(1.0, gt=0, le=1)
    stream_steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    streams: int | None = Field(None, ge=1, le=MOST_STEPS)

    @model_validator(mode="before")
    @classmethod
    def _limited_once(cls, data: Any) -> Any:
        """Let steps that are left out be no limit where there is one in streams."""
        is_limited = isinstance(data, dict) and data.get("streams") is not None
        return {"steps": MOST_STEPS, **data} if is_limited else data

    @property
    def budget(self) -> tuple[int, str]:
        """After how many steps or streams training ends, and which of them it is."""
        return (self.steps, "step") if self.streams is None else (self.streams, "stream")

    def stream(self, tolerance: float | None, *, evaluate_every: int) -> Stream | None:
        """Return how the network runs along a stream; None where there is one update per batch."""
        if self.update == "sequence":
            return None
        every = None if self.streams is None else evaluate_every
        return Stream(self.reset, self.stream_decay, self.stream_steps, tolerance, every, self.streams)
