"""Count letters: after a string of a's, as many b's must follow, and c's, and d's."""

from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, within_lengths
from rnnlab.tasks.base import CERTAIN, AbstractTask, Reference, TaskOptions, Threshold

LETTERS = "abcdefgh"
# The two parameters of each beta-binomial distribution of n.
SHAPES = {"uniform": (1.0, 1.0), "u_shaped": (0.25, 0.25), "right_tailed": (1.0, 5.0), "left_tailed": (5.0, 1.0)}


class CountingOptions(TaskOptions):
    """The language."""

    letters: int = Field(2, ge=2, le=len(LETTERS), description="how many letters: 2 is aⁿbⁿ, 3 aⁿbⁿcⁿ, 4 aⁿbⁿcⁿdⁿ")
    distribution: Literal["uniform", "u_shaped", "right_tailed", "left_tailed"] = Field(
        "uniform",
        description="of n: uniform, mostly short and long (u_shaped), short (right_tailed) or long (left_tailed)",
    )


class Counting(AbstractTask):
    """Count the letters of a string.

    Strings aⁿbⁿ (or aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ), n from 1 to 50, uniform unless an option changes it, letters one-hot. Target
    at every step: 1 for each symbol that may come next, the letters and the end, else 0; squared error over
    sigmoids. A string is accepted when at every step just the legal symbols are above 0.5.

    Inputs are (B, T, K); outputs are logits of the letters and of the end, (B, T, K + 1). After an a the targets are a
    and b; after another letter, that letter until there are n, then the next one, at last the end. `timesteps` are K·n;
    n is drawn from those in the range: low + Binomial(high - low, p), p of a beta distribution with parameters α, β: 1,
    1 (uniform), 1/4, 1/4 (u_shaped), 1, 5 (right_tailed) or 5, 1 (left_tailed).

    Only the n-th b, c or d differs from those before it, and a predictor without memory knows the share q = 1/E[n] of
    them alone. With two outputs uncertain, at (K - 1)/K of the steps, its loss is (K - 1)/K · 2q(1 - q)/(K + 1).

    Source: Suzgun, Belinkov, Shieber 2018, "On evaluating the generalization of LSTM models in formal
        languages", and its code; the languages after Gers, Schmidhuber 2001.
    Differs: The code draws 1,000 strings once and shows them 150 times; here every batch is new. The
        rule that all strings of a validation are accepted is ours: the source states the first n at which a network
        fails.

    Example:
        >>> task = Counting(CountingOptions())
        >>> inputs, steps = np.eye(2)[[[0, 0, 1, 1]]], np.ones((1, 4), dtype=bool)  # a a b b
        >>> targets = np.array([[[1.0, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]])  # of a, b, the end
        >>> batch = Batch(inputs, targets, steps, np.array([4]))
        >>> (task.oracle(batch)[0] > 0).astype(int).tolist()
        [[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]
        >>> round(task.baseline((4, 4)), 4)  # 1/2 · 2 · 1/2 · 1/2 / 3
        0.0833
    """

    name = "counting@suzgun2018"
    Options = CountingOptions
    options: CountingOptions
    loss = "sigmoid_mse_bits"
    return_sequences = True
    solved = Threshold({"error_rate": 0.0})
    most: ClassVar[int] = 50

    def __init__(self, options: CountingOptions) -> None:
        super().__init__(options)
        self.letters = options.letters
        self.input_features, self.output_features = self.letters, self.letters + 1
        self.input_names, self.output_names = LETTERS[: self.letters], (*LETTERS[: self.letters], "end")
        self.default_timesteps = (self.letters, self.most * self.letters)

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        low, high = self._counts(timesteps)
        fault = f"needs a multiple of {self.letters} steps: n of each of {self.letters} letters"
        return None if 1 <= low <= high else fault

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        low, high = self._counts(timesteps)
        n = self._draw(rng, low, high, batch_size)[:, None]
        step = np.arange(timesteps[1])
        mask = within_lengths(n[:, 0] * self.letters, timesteps[1])
        inputs = np.eye(self.letters)[np.minimum(step // n, self.letters - 1)] * mask[:, :, None]  # (B, T, K)
        return Batch(inputs, self._legal(inputs) * mask[:, :, None], mask, n[:, 0] * self.letters)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        low, high = self._counts(timesteps)
        alpha, beta = SHAPES[self.options.distribution]
        q, letters = 1 / (low + (high - low) * alpha / (alpha + beta)), self.letters
        loss = (letters - 1) / letters * 2 * q * (1 - q) / (letters + 1)
        after = np.full((letters, letters + 1), -CERTAIN)  # by letter, the logit of each next symbol
        between = float(np.clip(np.log(max(q, 1e-300) / max(1 - q, 1e-300)), -CERTAIN, CERTAIN))
        for letter in range(letters):
            after[letter, letter], after[letter, letter + 1] = (
                (CERTAIN, CERTAIN) if letter == 0 else (-between, between)
            )
        return (Reference("memoryless: how often each symbol follows each", loss, partial(_by_letter, after)),)

    def oracle(self, batch: Batch) -> Array:
        return CERTAIN * (2 * self._legal(batch.inputs) - 1)

    def _counts(self, timesteps: Lengths) -> tuple[int, int]:
        """Return the smallest and the largest n."""
        return -(-timesteps[0] // self.letters), timesteps[1] // self.letters

    def _draw(self, rng: np.random.Generator, low: int, high: int, size: int) -> Array:
        """Return n of each string, (size,)."""
        if self.options.distribution == "uniform":
            return rng.integers(low, high + 1, size=size)
        return low + rng.binomial(high - low, rng.beta(*SHAPES[self.options.distribution], size=size))

    def _legal(self, inputs: Array) -> Array:
        """Return 1 for each legal next symbol, (B, T, K + 1), by counting the letters so far."""
        counts = inputs.cumsum(axis=1)  # (B, T, K)
        is_full = counts == counts[:, :, :1]  # as many as a's
        legal = np.zeros((*inputs.shape[:2], self.letters + 1))
        legal[:, :, 0] = inputs[:, :, 0]
        legal[:, :, 1:-1] = inputs[:, :, 1:] * ~is_full[:, :, 1:]
        legal[:, :, 1] += inputs[:, :, 0]
        legal[:, :, 2:] += inputs[:, :, 1:] * is_full[:, :, 1:]
        return legal


def _by_letter(logits: Array, batch: Batch) -> Array:
    return np.asarray(batch.inputs @ logits)


TASKS = (Counting,)
