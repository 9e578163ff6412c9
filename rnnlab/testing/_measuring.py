"""Batches of a task, and losses measured on them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask

_NUMBERS = 2_000_000  # the most input numbers drawn at once


def draw(
    task: AbstractTask,
    timesteps: Lengths | None = None,
    *,
    size: int = 32,
    name: str = "data/train",
    n: int = 0,
    seed: int = 3,
) -> Batch:
    """Return batch `n` of a stream."""
    return task.sample(stream(seed, name, n), batch_size=size, timesteps=timesteps or task.default_timesteps)


def batches(task: AbstractTask, timesteps: Lengths, sequences: int, **of: Any) -> Iterator[Batch]:
    """Yield so many sequences, in batches that fit the memory, of a stream as `draw` has it."""
    size = max(1, min(sequences, _NUMBERS // (timesteps[1] * max(task.input_features, task.output_features))))
    for n, first in enumerate(range(0, sequences, size)):
        yield draw(task, timesteps, size=min(size, sequences - first), n=n, **of)


def at_scored(task: AbstractTask, values: Array, batch: Batch) -> Array:
    """Return targets or outputs at the scored steps, (N, …)."""
    return values[batch.mask] if task.return_sequences else values


def lengths_to_try(task: AbstractTask) -> dict[str, Lengths]:
    """Return lengths around a task's own, and ten times as long ones."""
    low, high = task.default_timesteps
    return {"default": (low, high), "fixed": (low, low), "range": (low - low // 4, high), "long": (10 * low, 10 * low)}


def short_lengths(task: AbstractTask) -> Lengths:
    """Return the cheapest lengths at which a loss can be measured well."""
    return next(t for t in ((12, 15), (12, 12), task.default_timesteps) if task.timesteps_fault(t) is None)


class Measured:
    """A loss measured over sequences: Σ of losses over Σ of scored steps, with its standard error."""

    def __init__(self) -> None:
        self.sums = np.zeros((2, 0))

    def add(self, task: AbstractTask, outputs: Array, batch: Batch) -> None:
        """Add the losses of outputs at the scored steps."""
        rows = np.nonzero(batch.mask)[0]
        values = LOSSES[task.loss].values(outputs, at_scored(task, batch.targets, batch))
        sums = [np.bincount(rows, weight, minlength=batch.size) for weight in (values, np.ones(len(rows)))]
        self.sums = np.concatenate([self.sums, sums], axis=1)

    @property
    def loss(self) -> float:
        return float(self.sums[0].sum() / self.sums[1].sum())

    @property
    def error(self) -> float:
        residuals = self.sums[0] - self.loss * self.sums[1]
        return float(np.sqrt(np.square(residuals).sum()) / self.sums[1].sum())
