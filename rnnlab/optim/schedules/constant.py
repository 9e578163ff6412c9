"""The learning rate as it is, after any warm-up."""

from typing import Final, Literal, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.optim.schedules.base import AbstractSchedule, ScheduleOptions


class ConstantOptions(ScheduleOptions):
    """The numbers of `constant`."""

    type: Literal["constant"] = "constant"


@final
class Constant(AbstractSchedule[ConstantOptions]):
    """No decay: decay(s) = 1.

    Example:
        >>> schedule = Constant(ConstantOptions(warmup_steps=4), total_steps=100)
        >>> [schedule.factor(step) for step in range(6)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """

    name = "constant"
    Options = ConstantOptions

    def decay(self, step: int) -> float:
        return 1.0

    def factors(self, step: int, count: int) -> NDArray[np.float64]:
        return super().factors(step, count) if step < self.options.warmup_steps else np.ones(count)


SCHEDULE: Final = Constant
