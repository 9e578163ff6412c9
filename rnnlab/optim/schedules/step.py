"""The learning rate drops by one ratio at regular steps."""

from typing import Final, Literal, final

from pydantic import Field

from rnnlab.optim.schedules.base import AbstractSchedule, ScheduleOptions


class StepOptions(ScheduleOptions):
    """The numbers of `step`."""

    type: Literal["step"] = "step"
    decay_steps: int = Field(ge=1, description="steps between two drops")
    decay_rate: float = Field(default=0.1, gt=0, le=1, description="multiplier at each drop")


@final
class Step(AbstractSchedule[StepOptions]):
    """Multiply the rate by `decay_rate` every `decay_steps` steps: decay(s) = r^⌊s/d⌋.

    s steps since the warm-up, d `decay_steps`, r `decay_rate`. Keras's ExponentialDecay with `staircase=True`.

    Example:
        >>> schedule = Step(StepOptions(decay_steps=2, decay_rate=0.5), total_steps=100)
        >>> [schedule.factor(step) for step in range(6)]
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    name = "step"
    Options = StepOptions

    def decay(self, step: int) -> float:
        return float(self.options.decay_rate ** (step // self.options.decay_steps))


SCHEDULE: Final = Step
