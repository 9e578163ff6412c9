"""Reproducing a random vector some steps after it was shown: how many numbers can the units store?"""

from functools import partial

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask
from rnnlab.tasks.base import AbstractTask, Published, Reference, TaskOptions, Threshold, too_short


class MemoryThroughputOptions(TaskOptions):
    """How much there is to be remembered."""

    numbers: int = Field(64, ge=1, le=4096, description="how many random numbers: inputs and outputs")


class MemoryThroughput(AbstractTask):
    """Store a vector of random numbers.

    64 numbers from N(0,1) at the first step, then zeros. Target at the last step: the numbers. A network with H
    units, read linearly, has a mean squared error of at least (64 - H)/64.

    Inputs are (B, T, N), N = 64, the target is (B, N). A constant 0, the best answer without memory, has loss 1.
    Outputs that are linear in H units lie in a subspace of dimension H, so that of N numbers that are not correlated
    and have variance 1 an error of at least (N - H)/N remains, whatever the cell does: networks with H < N cannot solve
    the task, and one that stores H numbers has just this loss.

    Source: Collins, Sohl-Dickstein, Sussillo 2017, "Capacity and trainability in recurrent neural networks", section
        2.2 and figure 2c.
    Differs: The section says that the input is random and read out some time later; the normal distribution and the
        length of 5 steps are ours. The paper gives no loss to reach; 0.01 is ours.

    Example:
        >>> task = MemoryThroughput(MemoryThroughputOptions(numbers=2))
        >>> inputs = np.array([[[0.5, -1.0], [0.0, 0.0], [0.0, 0.0]]])
        >>> batch = Batch(inputs, inputs[:, 0], np.array([[False, False, True]]), np.array([3]))
        >>> task.oracle(batch).tolist()
        [[0.5, -1.0]]
        >>> [one.loss for one in task.references((3, 3))]  # of nothing, of one of two numbers
        [1.0, 0.5]
    """

    name = "memory_throughput@collins2017"
    Options = MemoryThroughputOptions
    loss = "mse"
    default_timesteps = (5, 5)
    solved = Threshold({"loss": 0.01})
    published = (Published("a vector is reproduced if and only if there are as many units as numbers", "section 2.2"),)

    def __init__(self, options: MemoryThroughputOptions) -> None:
        super().__init__(options)
        self.numbers = options.numbers
        self.input_features = self.output_features = self.numbers

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, 2, "at the first one there is nothing to remember")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        lengths = draw_lengths(rng, batch_size, timesteps)
        inputs = np.zeros((batch_size, timesteps[1], self.numbers))
        inputs[:, 0] = rng.normal(size=(batch_size, self.numbers))
        return Batch(inputs, inputs[:, 0].copy(), last_step_mask(lengths, timesteps[1]), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        half = self.numbers // 2
        loss = (self.numbers - half) / self.numbers
        nothing = Reference("memoryless: always 0", 1.0, partial(_first, known=0))
        some = Reference(f"{half} units that store a number each", loss, partial(_first, known=half), needs_memory=True)
        return (nothing, some) if half else (nothing,)

    def oracle(self, batch: Batch) -> Array:
        return _first(batch, known=self.numbers)


def _first(batch: Batch, *, known: int) -> Array:
    """Return the first `known` numbers, and 0 for the others, (B, N)."""
    return np.asarray(batch.inputs[:, 0] * (np.arange(batch.inputs.shape[2]) < known))


TASKS = (MemoryThroughput,)
