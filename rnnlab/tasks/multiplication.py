"""Multiply two marked numbers far apart: real values that cannot be combined by adding them up."""

import numpy as np

from rnnlab.core.batch import Array, Lengths
from rnnlab.tasks.adding import OF_2013, SECOND, AbstractMarkedPairs, AbstractOwnLength, first_pair_chance, last_marked
from rnnlab.tasks.base import Published, Reference, Streak, always


class Multiplication(AbstractMarkedPairs):
    """Multiply two marked numbers.

    Inputs: value U[0,1] and a marker: 1 at one of the first 10 steps and at one of the first T/2 - 1 steps still
    unmarked (T the shortest length), -1 at the first and last step, else 0; a marked first value is 1. Target: the
    product of the two marked, scored at the last step only. Right when within 0.04.

    With p the probability that the first pair is marked, the earlier factor has the mean (1 + p)/2 and the mean square
    (1 + 2p)/3; the later one, never the first pair, has 1/2 and 1/3. The loss of the best constant, (1 + p)/4, is (1 +
    2p)/9 - (1 + p)²/16; remembering the later factor leaves a third of the earlier one's variance. At T = 100 these are
    0.0592 and 0.0332; they tend to 7/144 and 1/36 as p tends to 0.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.5 and table 8.
    Differs: A linear output; `training: {loss: sigmoid_mse}` is the paper's sigmoid. The paper tests twice, with fewer
        than 140 and with fewer than 13 of the last 2,000 sequences wrong; the rule here is the first. Markers as in
        `adding@hs1997`.

    Example:
        >>> from rnnlab.core.batch import Batch, last_step_mask
        >>> task = Multiplication(Multiplication.Options())
        >>> inputs, lengths = np.array([[[1.0, 1.0], [0.3, 0.0], [0.5, 1.0], [0.8, 0.0], [0.6, -1.0]]]), np.array([5])
        >>> batch = Batch(inputs, np.array([[0.5]]), last_step_mask(lengths, 5), lengths)
        >>> task.oracle(batch).tolist()  # the first pair is marked, so its value is 1
        [[0.5]]
    """

    name = "multiplication@hs1997"
    solved = Streak(2000, wrong=139)
    lowest = 0.0
    neutral = 1.0
    published = tuple(
        Published(
            f"LSTM, 2 blocks of 2 cells, 93 weights, learning rate 0.1, T = 100, fewer than {limit} of the last "
            f"2,000 wrong: after {sequences} sequences (mean of 10 trials), then {wrong} of 2,560 test sequences "
            "wrong",
            "Hochreiter, Schmidhuber 1997, table 8",
        )
        for limit, sequences, wrong in ((140, "482,000", 139), (13, "1,273,000", 14))
    )

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        p = first_pair_chance(timesteps)
        mean, square = (1 + p) / 2, (1 + 2 * p) / 3
        return (
            Reference("memoryless: always the mean", square / 3 - (mean / 2) ** 2, always(mean / 2)),
            Reference(SECOND, (square - mean**2) / 3, lambda batch: mean * last_marked(batch), needs_memory=True),
        )

    def _combine(self, one: Array, other: Array) -> Array:
        return np.asarray(one * other)


class MultiplicationPascanu(AbstractOwnLength):
    """Multiply two marked numbers (2013).

    Inputs as in adding@pascanu2013. Target: the product of the two marked values, scored at the last step only.
    Wrong when off by more than 0.2.

    The loss of the best constant, ¼, is 1/9 - 1/16 = 7/144; remembering one factor leaves E[u²]·Var(u) = 1/36.

    Source: Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", and its code.
    Differs: As `adding@pascanu2013`; the constant ¼ is right on 61 %.

    Example:
        >>> from rnnlab.core.batch import Batch, last_step_mask
        >>> task = MultiplicationPascanu(MultiplicationPascanu.Options())
        >>> inputs, lengths = np.array([[[0.5, 1.0], [0.9, 0.0], [0.5, 1.0], [0.2, 0.0]]]), np.array([4])
        >>> batch = Batch(inputs, np.array([[0.25]]), last_step_mask(lengths, 4), lengths)
        >>> task.oracle(batch).tolist()
        [[0.25]]
    """

    name = "multiplication@pascanu2013"
    published = OF_2013

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        second = Reference(SECOND, 1 / 36, lambda batch: last_marked(batch) / 2, needs_memory=True)
        return (Reference("constant: always 1/4", 7 / 144, always(0.25)), second)

    def _combine(self, one: Array, other: Array) -> Array:
        return np.asarray(one * other)


TASKS = (Multiplication, MultiplicationPascanu)
