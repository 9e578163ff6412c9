"""The learning rate falls by the same ratio at every step."""

from typing import Final, Literal, final

from pydantic import Field

from rnnlab.optim.schedules.base import AbstractSchedule, ScheduleOptions


class ExponentialOptions(ScheduleOptions):
    """The numbers of `exponential`."""

    type: Literal["exponential"] = "exponential"
    decay_steps: int | None = Field(
        default=None, ge=1, description="steps in which the rate falls by decay_rate; null: all that follow the warm-up"
    )
    decay_rate: float = Field(default=0.1, gt=0, le=1, description="what is left of the rate after decay_steps")


@final
class Exponential(AbstractSchedule[ExponentialOptions]):
    """Fall smoothly to `decay_rate` in `decay_steps` and continue to fall: decay(s) = r^(s/d).

    s steps since the warm-up, d `decay_steps`, r `decay_rate`.

    Differs: Keras's ExponentialDecay has no default for its numbers. A d left out is fixed when a training begins: a
        run that is made longer keeps it.

    Example:
        >>> schedule = Exponential(ExponentialOptions(decay_steps=2, decay_rate=0.25), total_steps=100)
        >>> [schedule.factor(step) for step in range(5)]
        [1.0, 0.5, 0.25, 0.125, 0.0625]
    """

    name = "exponential"
    Options = ExponentialOptions

    def decay(self, step: int) -> float:
        return float(self.options.decay_rate ** (step / (self.options.decay_steps or self._steps_after_warmup)))


SCHEDULE: Final = Exponential
