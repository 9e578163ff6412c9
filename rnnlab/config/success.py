"""A success rule of a config, in place of the task's own."""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_serializer, model_validator

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.errors import UsageError
from rnnlab.core.losses import LOSSES
from rnnlab.core.options import Options
from rnnlab.core.registry import nearest
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask, Streak, SuccessRule, Threshold

Bound = Annotated[float, Field(ge=0, le=1e9)]


class SuccessOptions(Options):
    """When training has succeeded: by the last training sequences, or by metrics of the validation set."""

    last: int | None = Field(None, ge=1, le=10_000_000, description="number of the last training sequences that count")
    wrong: int = Field(0, ge=0, le=10_000_000, description="of these, how many may be wrong")
    loss_below: float | None = Field(None, gt=0, le=1e9, description="bound of their mean training loss; null: none")
    validation: dict[str, Bound] | None = Field(
        None, max_length=20, description="metric of the validation set -> the largest value that it may have"
    )

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        if (self.last is None) == (not self.validation):
            raise ValueError("expected either `last`, a number of training sequences, or `validation`, metric: bound")
        if self.validation and (self.wrong or self.loss_below is not None):
            raise ValueError("expected `wrong` and `loss_below` with `last` only")
        if self.last is not None and self.wrong >= self.last:
            raise ValueError("expected `wrong` to be less than `last`")
        return self

    @model_serializer
    def _given(self) -> dict[str, Any]:
        if self.validation:
            return {"validation": self.validation}
        return {"last": self.last, "wrong": self.wrong, "loss_below": self.loss_below}

    def rule(self) -> SuccessRule:
        """Return the rule."""
        if self.validation:
            return Threshold(self.validation)
        assert self.last is not None
        return Streak(self.last, self.wrong, float("inf") if self.loss_below is None else self.loss_below)

    def require_metrics_of(self, task: AbstractTask, timesteps: Lengths) -> None:
        """Pass if the rule can be applied to a task.

        Raises:
            UsageError: It has a metric that the task has not, or of which a higher value is better; or it counts wrong
                sequences, and the task has no criterion.
        """
        if self.last is not None and task.correct(*_example(task, timesteps)) is None:
            problem = f"counts wrong sequences, and task {task.name} does not judge sequences"
            raise UsageError(problem, hint="bound a metric: {validation: {loss: …}}")
        known = metrics_of(task, timesteps)
        usable = [name for name in known if not task.higher_is_better(name)]
        for name in self.validation or {}:
            if name not in known:
                raise UsageError(f"task {task.name} has no metric {name!r}", hint=nearest(name, usable))
            if name not in usable:
                problem = f"of metric {name!r} a higher value is better, and the bound is the largest"
                raise UsageError(problem, hint=f"known: {', '.join(usable)}")


def metrics_of(task: AbstractTask, timesteps: Lengths) -> list[str]:
    """Return the names of the metrics of a task, its loss first."""
    return ["loss", *task.metrics(*_example(task, timesteps))]


def _example(task: AbstractTask, timesteps: Lengths) -> tuple[Array, Batch]:
    """Return outputs of zero and the sequence that they are for."""
    batch = task.part("validation").sample(stream(0, "check"), batch_size=1, timesteps=timesteps)
    steps = batch.mask.shape if task.return_sequences else (1,)
    return LOSSES[task.loss].answers(np.zeros((*steps, task.output_features))), batch
