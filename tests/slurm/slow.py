"""A task that takes its time without taking the processor's, and that can kill or fail its trial: for real clusters.

It joins as a package of somebody else's would, by an entry point. How slow it is stands in SLOW_SECONDS, a batch, and
not in the config: so an undisturbed twin is trained in no time.
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
    """How it ends."""

    type: Literal["slow"] = "slow"
    ends: Literal["well", "killed", "failed"] = "well"


class Slow(Parity):
    """Parity, by and by."""

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
