"""Add two marked numbers far apart: the standard test of remembering real values."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.tasks.base import AbstractTask, Published, Reference, Streak, Threshold, always, last_step, too_short

SECOND = "remembers the second number"
OF_2013 = (
    Published(
        "tanh RNN, 50 units, with a regulariser of the gradient's norm, one model for lengths up to 200: 100 % "
        "success, at 500 steps fewer than 1 % wrong",
        "Pascanu, Mikolov, Bengio 2013",
    ),
)


class AbstractMarkedNumbers(AbstractTask):
    """Two inputs per step, a value and a marker; the target at the last step combines the two values marked 1."""

    tolerance: ClassVar[float] = 0.04
    loss = "mse"
    input_features = 2
    output_features = 1
    input_names, output_names = ("value", "marker"), ("answer",)

    def correct(self, outputs: Array, batch: Batch) -> Array:
        return np.asarray(np.abs(outputs - batch.targets)[:, 0] < self.tolerance)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `error_rate` and `mae`, the mean absolute error."""
        return super().metrics(outputs, batch) | {"mae": float(np.abs(outputs - batch.targets).mean())}

    def oracle(self, batch: Batch) -> Array:
        marked = np.nonzero(batch.inputs[:, :, 1] == 1)
        one, other = batch.inputs[*marked, 0].reshape(batch.size, 2).T
        return self._combine(one, other)[:, None]

    def _batch(self, values: Array, lengths: Array, one: Array, other: Array, *, ends: float = 0.0) -> Batch:
        """Return the batch of values, (B, T), in which two steps are marked; `ends` marks the first and the last."""
        rows = np.arange(len(values))
        inputs = np.zeros((*values.shape, 2))
        inputs[:, :, 0] = values * within_lengths(lengths, values.shape[1])
        inputs[:, 0, 1] = inputs[rows, lengths - 1, 1] = ends
        inputs[rows, one, 1] = inputs[rows, other, 1] = 1.0
        targets = self._combine(inputs[rows, one, 0], inputs[rows, other, 0])
        return Batch(inputs, targets[:, None], last_step_mask(lengths, values.shape[1]), lengths)

    @abstractmethod
    def _combine(self, one: Array, other: Array) -> Array:
        """Return the targets (B,) of the marked values (B,) and (B,)."""


class AddingURNN(AbstractMarkedNumbers):
    """Add two marked numbers.

    Inputs: value U[0,1] and a marker that is 1 at one step of the first half and one step of the second half, else
    0. Target: the sum of the two marked values, scored at the last step only.

    The best constant is 1; its loss is Var(u₁ + u₂) = 2/12 = 1/6. Remembering one of the two numbers leaves Var(u) =
    1/12. The second marker is at the last step itself with the probability q = E[1/⌈T/2⌉]; who sees only that step then
    knows one number, which makes the baseline 1/6 - q/12.

    Source: Arjovsky, Shah, Bengio 2016, "Unitary evolution recurrent neural networks", section 5.2 and its code; after
        Le, Jaitly, Hinton 2015.
    Differs: The papers give no success rule; a mean squared error of 0.005 (7 % off on average) is ours.

    Example:
        >>> task = AddingURNN(AddingURNN.Options())
        >>> inputs, lengths = np.array([[[0.5, 1.0], [0.9, 0.0], [0.1, 0.0], [0.2, 1.0]]]), np.array([4])
        >>> batch = Batch(inputs, np.array([[0.7]]), last_step_mask(lengths, 4), lengths)
        >>> task.oracle(batch).round(3).tolist()
        [[0.7]]
        >>> round(task.baseline((100, 100)), 5)  # 1/6 - 1/600
        0.165
    """

    name = "adding@urnn"
    default_timesteps = (100, 100)
    solved = Threshold({"loss": 0.005})
    published = (
        Published("baseline of a constant, 1/6 (some README files print 0.1767, a copied error)", "variance of a sum"),
        Published(
            "set-up: 100,000 sequences, batch 20, RMSprop 1e-3, LSTM and tanh RNN clipped at 1, 20,000 iterations",
            "code of Arjovsky et al. 2016",
        ),
    )

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, 2, "one for each marked number")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        lengths = draw_lengths(rng, batch_size, timesteps)
        values = rng.random((batch_size, timesteps[1]))
        return self._batch(values, lengths, rng.integers(0, lengths // 2), rng.integers(lengths // 2, lengths))

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        lengths = np.arange(timesteps[0], timesteps[1] + 1)
        at_last = float(np.mean(1 / (lengths - lengths // 2)))
        return (
            Reference("constant: always 1", 1 / 6, always(1.0)),
            Reference("memoryless: ½ and the last value if it is marked, else 1", (2 - at_last) / 12, _by_last),
            Reference(SECOND, 1 / 12, lambda batch: 0.5 + last_marked(batch), needs_memory=True),
        )

    def _combine(self, one: Array, other: Array) -> Array:
        return np.asarray(one + other)


def _by_last(batch: Batch) -> Array:
    value, marker = last_step(batch).T
    return np.asarray(np.where(marker == 1, 0.5 + value, 1.0))[:, None]


class AbstractMarkedPairs(AbstractMarkedNumbers):
    """The markers of 1997.

    With T the shortest length, one of the first 10 pairs is marked, then one of the first T/2 - 1 pairs that are still
    unmarked; the first and the last pair carry the marker -1 unless they are marked. A marked first pair has its value
    set to the neutral element of the combination, so that ignoring it changes nothing.
    """

    lowest: ClassVar[float]  # the least value; the greatest is 1
    neutral: ClassVar[float]  # what a marked first pair's value is set to
    default_timesteps = (100, 110)

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, 4, "two marked pairs in the first half")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        lengths = draw_lengths(rng, batch_size, timesteps)
        values = self.lowest + (1 - self.lowest) * rng.random((batch_size, timesteps[1]))
        early, half = _windows(timesteps[0])
        one, other = rng.integers(0, early, batch_size), rng.integers(0, half - 1, batch_size)
        other += other >= one
        values[(one == 0) | (other == 0), 0] = self.neutral
        return self._batch(values, lengths, one, other, ends=-1.0)


class AddingHS1997(AbstractMarkedPairs):
    """Add two marked numbers (1997).

    Inputs: value U[-1,1] and a marker: 1 at one of the first 10 steps and at one of the first T/2 - 1 steps still
    unmarked (T the shortest length), -1 at the first and last step, else 0; a marked first value is 0. Target: 0.5
    + (sum of the two marked)/4, scored at the last step only. Right when within 0.04.

    With p the probability that the first pair is marked and Var(x) = 1/3, the loss of the best constant, ½, is (2 -
    p)/48; the second number alone leaves (1 - p)/48. At T = 100 these are 0.0392 and 0.0184; they tend to 1/24 and 1/48
    as p tends to 0.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.4 and table 7.
    Differs: A linear output; `training: {loss: sigmoid_mse}` is the paper's sigmoid. Below a shortest length T of 20
        the early marker is at one of the first T/2 pairs, not of the first 10. If the first pair is marked, by either
        marker, its value is 0.

    Example:
        >>> task = AddingHS1997(AddingHS1997.Options())
        >>> inputs, lengths = np.array([[[0.3, -1.0], [0.5, 1.0], [-0.9, 1.0], [0.2, 0.0], [0.7, -1.0]]]), np.array([5])
        >>> batch = Batch(inputs, np.array([[0.4]]), last_step_mask(lengths, 5), lengths)
        >>> task.oracle(batch).round(3).tolist()  # 1/2 + (0.5 - 0.9)/4
        [[0.4]]
    """

    name = "adding@hs1997"
    solved = Streak(2000, wrong=0, loss_below=0.01)
    lowest = -1.0
    neutral = 0.0
    published = tuple(
        Published(
            f"LSTM, 2 blocks of 2 cells, 93 weights, learning rate 0.5, T = {timesteps}: solved after {sequences} "
            f"sequences (mean of 10 trials), then {wrong} of 2,560 test sequences wrong",
            "Hochreiter, Schmidhuber 1997, table 7",
        )
        for timesteps, sequences, wrong in ((100, "74,000", 1), (500, "209,000", 0), (1000, "853,000", 1))
    )

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        p = first_pair_chance(timesteps)
        return (
            Reference("memoryless: always 1/2", (2 - p) / 48, always(0.5)),
            Reference(SECOND, (1 - p) / 48, lambda batch: 0.5 + last_marked(batch) / 4, needs_memory=True),
        )

    def _combine(self, one: Array, other: Array) -> Array:
        return np.asarray(0.5 + (one + other) / 4)


class AbstractOwnLength(AbstractMarkedNumbers):
    """The markers of 2013: of L steps one in [0, 0.1 L) and one in [0.1 L, 0.5 L); values U[0, 1]."""

    tolerance = 0.2
    default_timesteps = (50, 200)
    solved = Threshold({"error_rate": 0.01})

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, 10, "a step in the first tenth")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        lengths = draw_lengths(rng, batch_size, timesteps)
        one, other = rng.integers(0, lengths // 10), rng.integers(lengths // 10, lengths // 2)
        return self._batch(rng.random((batch_size, timesteps[1])), lengths, one, other)


class AddingPascanu(AbstractOwnLength):
    """Average two marked numbers (2013).

    Inputs: value U[0,1] and a marker: 1 at one step in [0, 0.1) and at one in [0.1, 0.5) of the length, else 0.
    Target: half the sum of the two marked values, scored at the last step only. Wrong when off by more than 0.2.

    Of 50 to 200 steps. The loss of the best constant, ½, is Var(u)/2 = 1/24; remembering one of the two leaves 1/48.

    Source: Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", and its code.
    Differs: Each sequence has a length of its own, uniform; in the paper all of a batch have the same,
        which is `shape: {lengths: per_batch}`. The rule is the paper's, fewer than 1 % of 10,000 sequences wrong, by a
        squared error above 0.04, on those that a validation draws: the constant ½ is right on 64 %.

    Example:
        >>> task = AddingPascanu(AddingPascanu.Options())
        >>> inputs, lengths = np.array([[[0.5, 1.0], [0.9, 0.0], [0.1, 1.0], [0.2, 0.0]]]), np.array([4])
        >>> batch = Batch(inputs, np.array([[0.3]]), last_step_mask(lengths, 4), lengths)
        >>> task.oracle(batch).round(3).tolist()
        [[0.3]]
    """

    name = "adding@pascanu2013"
    published = OF_2013

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        return (
            Reference("constant: always 1/2", 1 / 24, always(0.5)),
            Reference(SECOND, 1 / 48, lambda batch: 0.25 + last_marked(batch) / 2, needs_memory=True),
        )

    def _combine(self, one: Array, other: Array) -> Array:
        return np.asarray((one + other) / 2)


def first_pair_chance(timesteps: Lengths) -> float:
    """Return the probability that the first of all pairs is marked.

    Example:
        >>> round(first_pair_chance((100, 110)), 6)  # 1/10 + 9/10 · 1/49
        0.118367
    """
    early, half = _windows(timesteps[0])
    return 1 / early + (1 - 1 / early) / (half - 1)


def last_marked(batch: Batch) -> Array:
    """Return the value at each sequence's last marker of 1, (B, 1)."""
    marked = batch.inputs[:, :, 1] == 1
    last = marked.shape[1] - 1 - np.argmax(marked[:, ::-1], axis=1)
    return np.asarray(batch.inputs[np.arange(batch.size), last, 0])[:, None]


def _windows(shortest: int) -> Lengths:
    """Return how many pairs the early marker and the other marker choose from."""
    return min(10, shortest // 2), shortest // 2


TASKS = (AddingURNN, AddingHS1997, AddingPascanu)
