"""The learning rate falls along half a cosine to its lowest value, and stays there."""

import math
from typing import Final, Literal, final

from pydantic import Field

from rnnlab.optim.schedules.base import AbstractSchedule, ScheduleOptions


class CosineOptions(ScheduleOptions):
    """The numbers of `cosine`."""

    type: Literal["cosine"] = "cosine"
    decay_steps: int | None = Field(
        default=None, ge=1, description="steps from the full rate to the lowest; null: all that follow the warm-up"
    )
    final_fraction: float = Field(default=0.0, ge=0, le=1, description="the lowest rate, as a share of the full rate")


@final
class Cosine(AbstractSchedule[CosineOptions]):
    """Fall slowly, then fast, then slowly: decay(s) = f + (1-f)·(1 + cos(π·min(s/d, 1)))/2.

    s steps since the warm-up, d `decay_steps`, f `final_fraction` (`alpha` in Keras). With d left out the lowest
    rate comes at the step after the last of the training, so that no step is wasted on a rate of zero.

    Source: Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", eq. 5.
    Differs: No restarts. A d left out is fixed when a training begins: a run that is made longer keeps it.

    Example:
        >>> schedule = Cosine(CosineOptions(decay_steps=3, final_fraction=0.5), total_steps=100)
        >>> [round(schedule.factor(step), 12) for step in range(5)]  # cos: 1, 1/2, -1/2, -1
        [1.0, 0.875, 0.625, 0.5, 0.5]
    """

    name = "cosine"
    Options = CosineOptions

    def decay(self, step: int) -> float:
        done = min(1.0, step / (self.options.decay_steps or self._steps_after_warmup))
        lowest = self.options.final_fraction
        return lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * done))


SCHEDULE: Final = Cosine
