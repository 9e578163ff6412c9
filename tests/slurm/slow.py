"""A task that sleeps in each batch, and that can kill or fail its trial.

It is added like a task of another package, by an entry point. Its seconds per batch are in SLOW_SECONDS, not in the
config, so that the same trial can be trained without pauses.
"""

import os
import signal
import time
from typing import Literal

import numpy as np

from rnnlab.core.batch import Batch, Lengths
from rnnlab.tasks.base import TaskOptions
from rnnlab.tasks.parity import Parity


class SlowOptions(TaskOptions):
    """Its options: how it ends."""

    type: Literal["slow"] = "slow"
    ends: Literal["well", "killed", "failed"] = "well"


class Slow(Parity):
    """Parity, slowly."""

    name = "slow"
    Options = SlowOptions

    def __init__(self, options: SlowOptions) -> None:
        super().__init__(options.model_copy(update={"noise": 0.0}))
        self._ends, self._pause = options.ends, float(os.environ.get("SLOW_SECONDS", "0"))
        self._left = 3  # batches until the end

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        time.sleep(self._pause)
        self._left -= 1
        if not self._left and self._ends == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if not self._left and self._ends == "failed":
            raise RuntimeError("poison")
        return super().sample(rng, batch_size=batch_size, timesteps=timesteps)


TASKS = (Slow,)
