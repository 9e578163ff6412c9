"""Coin flips that depend on two earlier flips: the loss shows how far back a network remembers."""

from functools import partial
from itertools import product
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, within_lengths
from rnnlab.core.losses import LOSSES, softmax
from rnnlab.tasks.base import AbstractTask, Published, Reference, TaskOptions, Threshold, too_short

Lag = Annotated[int, Field(ge=1, le=100_000)]


class DelayedBernoulliOptions(TaskOptions):
    """The lags of the two dependencies."""

    lags: Annotated[tuple[Lag, Lag], Field(strict=False)] = Field(
        (3, 8), description="how many flips back the two dependencies lie: of weight +1/2, of weight -1/4"
    )
    tau: int = Field(1, ge=1, le=10_000, description="number of steps for which every flip and its target are repeated")

    @model_validator(mode="after")
    def _two_lags(self) -> Self:
        if self.lags[0] == self.lags[1]:
            raise ValueError("the two lags must differ")
        return self


class DelayedBernoulli(AbstractTask):
    """Coin flips that depend on earlier flips.

    Inputs: fair coin flips x. Target: a flip that is 1 with probability 1/2 + x_{n-3}/2 - x_{n-8}/4, scored at
    every step whose past is in the sequence. Cross-entropy in nats.

    One-hot inputs (B, T, 2), classes as targets. With `tau` above 1 every flip, and its target, is repeated for that
    many steps. Flips whose past lies before the sequence are not scored, so these losses are exact at every length;
    with H(p) = -p·ln p - (1-p)·ln(1-p), in nats:

        memoryless                  H(5/8)                                 0.6616
        remembers x_{n-8} only      (H(3/4) + H(1/2))/2                    0.6277
        remembers x_{n-3} only      (H(3/8) + H(7/8))/2                    0.5192
        remembers both              (H(1/2) + H(1) + H(1/4) + H(3/4))/4    0.4545

    Source: Pitis 2016, "Recurrent neural networks in TensorFlow I" (blog r2rt); lags and `tau` free as in Marschall,
        Cho, Savin 2020 (vanilla-rtrl).
    Differs: Both use one endless stream, in which the first flips depend on the last; here sequences are independent
        and their first max(lags)·tau steps are not scored. The success rule is ours: at most 0.01 nats above the loss
        of the oracle, measured without the noise of the flips; remembering only x_{n-3} is 0.065 nats above it.

    Example:
        >>> task = DelayedBernoulli(DelayedBernoulliOptions(lags=(1, 2)))
        >>> flips = np.array([[0, 1, 0, 1]])
        >>> mask = np.array([[False, False, True, True]])
        >>> batch = Batch(np.eye(2)[flips], np.zeros((1, 4), int), mask, np.array([4]))
        >>> softmax(task.oracle(batch))[0, 2:, 1].tolist()  # 1/2 + 1/2 - 0, 1/2 + 0 - 1/4
        [1.0, 0.25]
    """

    name = "delayed_bernoulli@pitis2016"
    Options = DelayedBernoulliOptions
    loss = "cross_entropy"
    follows_loss = True
    return_sequences = True
    input_features = 2
    output_features = 2
    input_names = output_names = ("0", "1")
    solved = Threshold({"excess_loss": 0.01})
    published = (
        Published("0.66, 0.52 and 0.45 nats without memory, with the first dependency, and with both", "Pitis 2016"),
    )

    def __init__(self, options: DelayedBernoulliOptions) -> None:
        super().__init__(options)
        self.lags, self.tau = options.lags, options.tau
        self._unscored = max(self.lags) * self.tau
        self.default_timesteps = (50 + self._unscored,) * 2

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, self._unscored + 1, "no earlier step has both flips inside the sequence")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        steps = timesteps[1]
        lengths = draw_lengths(rng, batch_size, timesteps)
        inside = within_lengths(lengths, steps)
        flips = rng.integers(0, 2, size=(batch_size, -(-steps // self.tau)))
        bent = rng.random(flips.shape) < self._probability(flips, first=True, second=True)
        x, y = (np.repeat(each, self.tau, axis=1)[:, :steps] for each in (flips, bent))  # (B, T)
        mask = inside & (np.arange(steps) >= self._unscored)
        inputs = np.stack([1 - x, x], axis=-1).astype(float) * inside[:, :, None]
        return Batch(inputs, y.astype(np.int64) * inside, mask, lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        first, second = self.lags
        known = {
            "memoryless: the overall frequency": (False, False),
            f"remembers the flip {second} back": (False, True),
            f"remembers the flip {first} back": (True, False),
        }
        return tuple(
            Reference(
                name, self._loss(first=a, second=b), partial(self._logits, first=a, second=b), needs_memory=a or b
            )
            for name, (a, b) in known.items()
        )

    def correct(self, outputs: Array, batch: Batch) -> Array:
        """Return where every scored probability is nearest to the true one of the four that occur, 1/4 … 1."""
        truth = softmax(self.oracle(batch))[:, :, 1]
        near = np.abs(LOSSES[self.loss].chances(outputs)[:, :, 1] - truth) < 1 / 8
        return np.asarray((near | ~batch.mask).all(axis=1))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `excess_loss` too: the loss above that of the true probabilities, without the noise of the flips.

        With cross-entropy it is the mean KL(true ‖ predicted), in nats, else the mean of (predicted - true)².
        """
        truth, guess = self.oracle(batch)[batch.mask], outputs[batch.mask]
        if self.loss == "cross_entropy":
            excess = (softmax(truth) * (_log_softmax(truth) - _log_softmax(guess))).sum(axis=-1).mean()
        else:
            excess = np.square(guess - softmax(truth)).mean()
        return super().metrics(outputs, batch) | {"excess_loss": float(excess)}

    def oracle(self, batch: Batch) -> Array:
        return self._logits(batch, first=True, second=True)

    def oracle_loss(self, timesteps: Lengths) -> float:
        return self._loss(first=True, second=True)

    def _loss(self, *, first: bool, second: bool) -> float:
        """Return the least mean loss given the flips that are known."""
        cases = product((0, 1) if first else (0.5,), (0, 1) if second else (0.5,))
        p = np.array([0.5 + 0.5 * a - 0.25 * b for a, b in cases])
        return float(LOSSES[self.loss].least(np.stack([1 - p, p], axis=-1)).mean())

    def _logits(self, batch: Batch, *, first: bool, second: bool) -> Array:
        each = self._probability(batch.inputs[:, :: self.tau, 1], first=first, second=second)
        p = np.repeat(each, self.tau, axis=1)[:, : batch.inputs.shape[1]]
        # A tiny number instead of 0, whose logarithm is not finite; in a softmax it is exactly zero.
        return np.asarray(np.log(np.maximum(np.stack([1 - p, p], axis=-1), 1e-300)))

    def _probability(self, flips: Array, *, first: bool, second: bool) -> Array:
        """Return P(y = 1) for flips (B, N); an unknown flip, and one before the sequence, counts as its mean, 1/2."""
        p = np.full(flips.shape, 0.5)
        for lag, weight, known in ((self.lags[0], 0.5, first), (self.lags[1], -0.25, second)):
            p[:, :lag] += 0.5 * weight
            p[:, lag:] += weight * (flips[:, :-lag] if known else 0.5)
        return p


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


TASKS = (DelayedBernoulli,)
