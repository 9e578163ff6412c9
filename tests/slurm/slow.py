"""A task that sleeps for each batch that it judges, and that can kill or fail its trial.

It is added like a task of another package, by an entry point. Its seconds per batch of six are in SLOW_SECONDS, not in
the config, so that the same trial can be trained without pauses.
"""

import os
import signal
import time
from typing import Literal

from rnnlab.core.batch import Array, Batch
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
        self._left = 3  # blocks and evaluations until the end

    def correct(self, outputs: Array, batch: Batch) -> Array:
        time.sleep(self._pause * batch.size / 6)
        self._left -= 1
        if not self._left and self._ends == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if not self._left and self._ends == "failed":
            raise RuntimeError("poison")
        return super().correct(outputs, batch)


TASKS = (Slow,)
