"""Parity of a string of bits: one bit of state, and every bit of the input counts."""

from functools import partial

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.tasks._regular import PUBLISHED, AbstractRegular
from rnnlab.tasks.base import (
    CERTAIN,
    AbstractTask,
    Published,
    Reference,
    TaskOptions,
    Threshold,
    always,
    last_step,
)

TINY = 1e-300  # the smallest probability, so that its logarithm is finite


class ParityOptions(TaskOptions):
    """The noise on the bits."""

    noise: float = Field(0.0, ge=0.0, lt=1.0, description="uniform noise of [-noise, noise] on every input")


class Parity(AbstractTask):
    """Is the number of ones odd?

    One input per step, -1 or +1, equally likely, optionally with uniform noise. Target at the last step: 1 if the
    number of +1 is odd, else 0.

    One output, a logit. The parity of all bits but one carries no information, so a predictor that misses a single bit
    has the loss ln 2 = 0.6931 and is right half the time: there is no reference between no memory and the oracle. The
    one exception is a sequence of a single bit. If that is a share q of all sequences, the last bit alone gives the
    answer a probability of (1 + q)/2, which makes the baseline H((1 + q)/2), H the entropy of a coin in nats.

    Source: Bengio, Simard, Frasconi 1994, "Learning long-term dependencies with gradient descent is difficult",
        the parity problem; input noise after Schmidhuber, Hochreiter, Bengio 2001, on guessing random weights.
    Differs: Lengths are 1 to 40 as in the training sets of Delétang et al. 2023, whose bits are one-hot; ours stay -1
        and +1. The sources give no common success rule; 99 % of the sequences right is ours.

    Example:
        >>> task = Parity(ParityOptions())
        >>> inputs = np.array([[[1.0], [-1.0], [1.0], [1.0]]])  # three +1: odd
        >>> batch = Batch(inputs, np.array([[1.0]]), np.array([[False, False, False, True]]), np.array([4]))
        >>> (task.oracle(batch) > 0).astype(int).tolist()
        [[1]]
        >>> task.baseline((2, 40)), task.baseline((1, 1))  # ln 2, and nothing to remember
        (0.6931471805599453, 0.0)
    """

    name = "parity"
    Options = ParityOptions
    options: ParityOptions
    loss = "binary_cross_entropy"
    follows_loss = True
    input_features = 1
    output_features = 1
    default_timesteps = (1, 40)
    solved = Threshold({"error_rate": 0.01})
    published = (
        Published(
            "random weight guessing: 2,906 trials (one architecture), 250 (one without self-connections), 41,400 "
            "with input noise of 0.2",
            "Schmidhuber, Hochreiter, Bengio 2001",
        ),
        Published(
            "simulated annealing: 810,000 trials for 25 to 50 steps",
            "Bengio et al. 1994, as quoted by Schmidhuber et al. 2001",
        ),
    )

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        lengths = draw_lengths(rng, batch_size, timesteps)
        bits = rng.integers(0, 2, size=(batch_size, timesteps[1]))
        inside = within_lengths(lengths, timesteps[1])
        inputs = 2.0 * bits - 1.0
        if noise := self.options.noise:
            inputs += rng.uniform(-noise, noise, size=inputs.shape)
        targets = ((bits & inside).sum(axis=1, keepdims=True) % 2).astype(float)  # (B, 1)
        return Batch((inputs * inside)[:, :, None], targets, last_step_mask(lengths, timesteps[1]), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        single = float(timesteps[0] == 1) / (timesteps[1] - timesteps[0] + 1)
        loss = float(LOSSES[self.loss].least(np.array([(1 + single) / 2])))
        if single == 0:
            return (Reference("memoryless: both answers equally likely", loss, always(0.0)),)
        odd = np.array([(1 - single) / 2, (1 + single) / 2])  # the probability if the last bit is -1, if it is +1
        logits = np.clip(np.log(np.maximum(odd, TINY) / np.maximum(odd[::-1], TINY)), -CERTAIN, CERTAIN)
        return (Reference("memoryless: the last bit, the parity of a single one", loss, partial(_by_last, logits)),)

    def oracle(self, batch: Batch) -> Array:
        odd = (batch.inputs > 0).sum(axis=1) % 2 == 1  # (B, 1)
        return np.asarray(np.where(odd, CERTAIN, -CERTAIN))


def _by_last(logits: Array, batch: Batch) -> Array:
    """Return the logit of each sequence, (B, 1): the first of two if its last bit is -1, the second if it is +1."""
    return np.asarray(logits[(last_step(batch)[:, :1] > 0).astype(int)])


class ParityDeletang(AbstractRegular):
    """Is the number of ones odd? One-hot, then a blank.

    1 to 40 random bits, one-hot, then an empty symbol. Target at the empty symbol: 1 if the number of ones is odd,
    else 0.

    One who misses a bit knows nothing: ln 2.

    Source: Delétang et al. 2023, "Neural networks and the Chomsky hierarchy", and its code.
    Differs: Each sequence has a length of its own, uniform; in the paper all of a batch have the same,
        which is `shape: {lengths: per_batch}`. The rule, 90 % right, is the paper's for lengths of 41 to 500 after
        training on 1 to 40.

    Example:
        >>> task = ParityDeletang(ParityDeletang.Options())
        >>> task._answers(np.array([[1, 0, 1, 1], [1, 1, 1, 0]]), np.array([4, 2])).tolist()  # 1011 and 11
        [1, 0]
    """

    name = "parity@deletang2023"
    symbols = "01"
    output_features = 2
    output_names = ("even", "odd")
    published = PUBLISHED

    def _answers(self, codes: Array, n: Array) -> Array:
        return np.asarray((codes * within_lengths(n, codes.shape[1])).sum(axis=1) % 2)

    def _shares(self, timesteps: Lengths) -> Array:
        return np.array([0.5, 0.5])


TASKS = (Parity, ParityDeletang)
