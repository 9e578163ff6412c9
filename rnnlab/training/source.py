"""The sequences that a network learns from, drawn in units: many batches by one call of the task.

Unit n of the stream `data/train` is a pure function of (seed, n), and how many batches it has is a rule of the config
alone. So a batch is the same however many updates are computed at a time, and wherever a training is resumed.
"""

from typing import Self, final

import numpy as np

from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch, Lengths, batches_per_unit, draw_lengths
from rnnlab.core.streams import stream
from rnnlab.core.symbols import Symbols
from rnnlab.tasks._contract import drawn
from rnnlab.tasks.base import AbstractTask

_STREAM = "data/train"


@final
class Source:
    """The batches of a training, in order.

    Example:
        >>> from rnnlab.tasks.parity import Parity
        >>> source = Source(Parity(Parity.Options()), batch_size=2, timesteps=(4, 4), seed=0)
        >>> source.unit, source.batches(1023, 2).inputs.shape
        (1024, (4, 4, 1))
    """

    def __init__(
        self, task: AbstractTask, *, batch_size: int, timesteps: Lengths, seed: int, same_length: bool = False
    ) -> None:
        self._task, self._size, self._timesteps, self._seed = task.part("train"), batch_size, timesteps, seed
        self._same_length = same_length
        # how many batches are drawn by one call
        self.unit = batches_per_unit(batch_size * timesteps[1] * numbers_per_step(task))
        self._drawn: dict[int, Batch] = {}  # unit -> its batches

    @classmethod
    def of(cls, experiment: Experiment, task: AbstractTask) -> Self:
        """Return the batches that an experiment trains on; `task` is its task, built."""
        return cls(
            task,
            batch_size=experiment.training.batch_size,
            timesteps=experiment.timesteps,
            seed=experiment.seed,
            same_length=experiment.shape.lengths == "per_batch",
        )

    def batches(self, first: int, count: int) -> Batch:
        """Return batch `first`, from 0, and those after it, `count` in all, one after another in one batch."""
        numbers = self._units(first, count)
        self._drawn = {number: self._unit(number) for number in numbers}
        if len(numbers) == 1:
            start = (first - numbers[0] * self.unit) * self._size
            return self._drawn[numbers[0]].rows(start, start + count * self._size)
        parts = []
        for number, unit in self._drawn.items():
            start, stop = (min(max(at - number * self.unit, 0), self.unit) for at in (first, first + count))
            parts.append(unit.rows(start * self._size, stop * self._size))
        return joined(parts)

    def draw_ahead(self, first: int, count: int) -> None:
        """Draw what `batches` will return, at a moment when the processor has nothing else to do."""
        self._drawn |= {number: self._unit(number) for number in self._units(first, count)}

    def _units(self, first: int, count: int) -> range:
        return range(first // self.unit, (first + count - 1) // self.unit + 1)

    def _unit(self, number: int) -> Batch:
        if number in self._drawn:
            return self._drawn[number]
        rng = stream(self._seed, _STREAM, number)
        if not self._same_length:
            return drawn(self._task, rng, batch_size=self.unit * self._size, timesteps=self._timesteps)
        lengths = draw_lengths(rng, self.unit, self._timesteps).tolist()
        batches = (drawn(self._task, rng, batch_size=self._size, timesteps=(length, length)) for length in lengths)
        return joined([one.padded(self._timesteps[1]) for one in batches])


def numbers_per_step(task: AbstractTask) -> int:
    """Return how many numbers the inputs of a step are in memory."""
    return 1 if task.one_hot else task.input_features


def joined(parts: list[Batch]) -> Batch:
    """Return the sequences of several batches as one batch."""
    symbols = [part.given for part in parts if isinstance(part.given, Symbols)]
    return Batch(
        Symbols(np.concatenate([one.codes for one in symbols]), symbols[0].features)
        if len(symbols) == len(parts)
        else np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.mask for part in parts]),
        np.concatenate([part.lengths for part in parts]),
    )
