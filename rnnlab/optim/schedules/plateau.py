"""The learning rate is reduced whenever the validation loss stops improving."""

from collections.abc import Mapping
from typing import Any, Final, Literal, final

from pydantic import Field

from rnnlab.core.options import Options
from rnnlab.optim.schedules.base import AbstractSchedule, ScheduleOptions


class PlateauScheduleOptions(ScheduleOptions):
    """The numbers of `plateau`, named as Keras names them."""

    type: Literal["plateau"] = "plateau"
    factor: float = Field(default=0.1, gt=0, lt=1, description="multiplier at each reduction")
    patience: int = Field(
        default=10, ge=1, le=1_000_000, description="evaluations in a row without improvement before a reduction"
    )
    min_delta: float = Field(
        default=1e-4, ge=0, le=1e9, description="how much lower than the best loss counts as an improvement"
    )
    cooldown: int = Field(
        default=0, ge=0, le=1_000_000, description="evaluations from a reduction until they are counted again"
    )
    min_learning_rate: float = Field(default=0.0, ge=0, le=1e3, description="the rate is never reduced below this")


@final
class Plateau(AbstractSchedule[PlateauScheduleOptions]):
    """Multiply the rate by `factor` after `patience` evaluations without improvement.

    An evaluation is an improvement if its loss is below the best one minus `min_delta`; then its loss is the best. From
    a reduction until the `cooldown`-th evaluation after it none is counted. Otherwise all are, those before the first
    step and within the warm-up too.

    Source: Keras, `ReduceLROnPlateau` with `monitor="val_loss"`.
    Differs: The state is part of each checkpoint, so that a resumed run is bit-identical; Keras's callback starts anew.

    Example:
        >>> schedule = Plateau(PlateauScheduleOptions(factor=0.5, patience=2, min_learning_rate=0.3), total_steps=100)
        >>> factors = []
        >>> for loss in (1.0, 0.8, 0.8, 0.9, 0.8, 0.8):
        ...     schedule.after_evaluation(loss, learning_rate=1.0)
        ...     factors.append(schedule.factor(0))
        >>> factors
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.3]
    """

    name = "plateau"
    Options = PlateauScheduleOptions

    def __init__(self, options: PlateauScheduleOptions, *, total_steps: int) -> None:
        super().__init__(options, total_steps=total_steps)
        self._factor, self._waited, self._cooling = 1.0, 0, 0
        self._best: float | None = None

    def after_evaluation(self, loss: float, *, learning_rate: float) -> None:
        self._cooling = max(0, self._cooling - 1)
        if self._best is None or loss < self._best - self.options.min_delta:
            self._best, self._waited = loss, 0
        elif not self._cooling:
            self._waited += 1
            if self._waited >= self.options.patience:
                self._reduce(learning_rate)

    def state(self) -> dict[str, Any]:
        return {"factor": self._factor, "best": self._best, "waited": self._waited, "cooling": self._cooling}

    def restore(self, state: Mapping[str, Any]) -> None:
        stored = _State.model_validate(state)
        self._factor, self._best = stored.factor, stored.best
        self._waited, self._cooling = stored.waited, stored.cooling

    def _reduce(self, learning_rate: float) -> None:
        lowest = self.options.min_learning_rate / learning_rate
        if self._factor > lowest:
            self._factor = max(self._factor * self.options.factor, lowest)
            self._cooling, self._waited = self.options.cooldown, 0

    def decay(self, step: int) -> float:
        return self._factor


class _State(Options):
    """What is stored, with bounds."""

    factor: float = Field(ge=0, le=1)
    best: float | None
    waited: int = Field(ge=0, le=1_000_000_000)
    cooling: int = Field(ge=0, le=1_000_000_000)


SCHEDULE: Final = Plateau
