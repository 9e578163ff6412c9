"""What every schedule is: a multiplier of the base learning rate, a function of the step.

A schedule may also learn the validation loss after each evaluation. All it remembers is then in `state`, which is part
of every checkpoint.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rnnlab.core.options import Options


class ScheduleOptions(Options):
    """The `training.schedule` block; each schedule adds its own numbers."""

    type: str
    warmup_steps: int = Field(
        default=0, ge=0, le=1_000_000_000, description="steps of linear rise to the full rate, before any decay"
    )

    def completed(self, total_steps: int) -> Self:
        """Return these options with a number for `decay_steps`, should it be left out: all steps after the warm-up.

        So a run that is made longer keeps the schedule that it began with.
        """
        if getattr(self, "decay_steps", 0) is not None:
            return self
        # At least 1: a training cut short inside its warm-up never gets as far as the decay.
        return self.model_copy(update={"decay_steps": max(1, total_steps - self.warmup_steps)})


OptionsT = TypeVar("OptionsT", bound=ScheduleOptions)


class AbstractSchedule(ABC, Generic[OptionsT]):
    """A learning-rate schedule: warm-up, then decay.

        factor(s) = (s+1)/w          while s < w
        factor(s) = decay(s - w)     from there on; decay(0) = 1

    s is the 0-based step, w `warmup_steps`. The rise leaves out zero, a step that would change nothing: the first step
    gets 1/w, and step w-1 is the first at the full rate. The decay's own clock starts when the warm-up is over.

    Args:
        total_steps: Steps of the whole training; a decay whose `decay_steps` is left out spans what the warm-up leaves.

    Differs: Keras has warm-up in CosineDecay alone; there the rise starts at its initial rate and step w is the first
        at the full rate.
    """

    name: ClassVar[str]
    Options: type[OptionsT]

    def __init__(self, options: OptionsT, *, total_steps: int) -> None:
        self.options = options
        # At least 1: a training cut short inside its warm-up never gets as far as the decay.
        self._steps_after_warmup = max(1, total_steps - options.warmup_steps)

    @abstractmethod
    def decay(self, step: int) -> float:
        """Return the multiplier `step` steps after the warm-up; 1 at step 0."""

    def after_evaluation(self, loss: float, *, learning_rate: float) -> None:
        """Take in the loss of an evaluation, finite, at this base rate; most schedules ignore it."""

    def state(self) -> dict[str, Any]:
        """Return what is remembered from evaluation to evaluation, as plain data."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""

    @final
    def factor(self, step: int) -> float:
        """Return the multiplier of the base learning rate, in [0, 1], after so many updates."""
        warmup = self.options.warmup_steps
        return (step + 1) / warmup if step < warmup else self.decay(step - warmup)

    def factors(self, step: int, count: int) -> NDArray[np.float64]:
        """Return `factor` of so many steps in a row, from this one on."""
        return np.array([self.factor(number) for number in range(step, step + count)])
