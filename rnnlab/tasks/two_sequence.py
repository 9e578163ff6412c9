"""Tell two classes apart by the first few elements, the rest being noise on the same input: the latch problem."""

from functools import partial
from typing import ClassVar

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.losses import sigmoid
from rnnlab.tasks.base import AbstractTask, Published, Reference, TaskOptions, Threshold, always, too_short

VARIANCE = 0.2


class TwoSequenceOptions(TaskOptions):
    """How many elements carry the class."""

    informative: int = Field(
        3, ge=1, le=1000, description="N, how many elements at the start carry the class; the paper uses 1 and 3"
    )


class AbstractTwoSequence(AbstractTask):
    """One input: the first N elements are 1 (class 1) or -1 (class 2), the rest N(0, 0.2); a real target at the end."""

    Options = TwoSequenceOptions
    options: TwoSequenceOptions
    levels: ClassVar[tuple[float, float]] = (1.0, 0.0)  # the noise-free targets of class 1 and class 2
    noisy_elements: ClassVar[bool] = False  # whether N(0, 0.2) is added to the first N elements too
    target_noise: ClassVar[float] = 0.0  # the variance of the Gaussian noise on the targets
    # the absolute difference from the noise-free target at which a sequence counts as misclassified
    tolerance: ClassVar[float] = 0.2
    loss = "mse"
    input_features = 1
    output_features = 1

    def __init__(self, options: TwoSequenceOptions) -> None:
        super().__init__(options)
        self.default_timesteps = (100, 110) if options.informative < 100 else (options.informative + 1,) * 2

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        why = "the elements that carry the class, and one of noise"
        return too_short(timesteps, self.options.informative + 1, why)

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest = timesteps[1]
        lengths = draw_lengths(rng, batch_size, timesteps)
        sign = 1.0 - 2.0 * rng.integers(0, 2, size=batch_size)
        values = rng.normal(0.0, np.sqrt(VARIANCE), size=(batch_size, longest))
        informative = values[:, : self.options.informative]
        informative *= self.noisy_elements
        informative += sign[:, None]
        values *= within_lengths(lengths, longest)
        targets = self._level(sign > 0) + np.sqrt(self.target_noise) * rng.normal(size=batch_size)
        return Batch(values[:, :, None], targets[:, None], last_step_mask(lengths, longest), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        middle = sum(self.levels) / 2
        loss = (self.levels[0] - middle) ** 2 + self.target_noise
        memoryless = Reference(f"memoryless: always {middle:g}", loss, always(middle))
        if not self.noisy_elements or self.options.informative == 1:
            return (memoryless,)
        return memoryless, Reference(
            "remembers the first element", self._loss_knowing(1), partial(self._knowing, 1), needs_memory=True
        )

    def oracle_loss(self, timesteps: Lengths) -> float:
        return self._loss_knowing(self.options.informative)

    def correct(self, outputs: Array, batch: Batch) -> Array:
        return np.asarray(self._errors(outputs, batch) < self.tolerance)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `error_rate` and `mae`, the mean absolute difference from the noise-free target."""
        return {**super().metrics(outputs, batch), "mae": float(self._errors(outputs, batch).mean())}

    def oracle(self, batch: Batch) -> Array:
        return self._knowing(self.options.informative, batch)

    def _errors(self, outputs: Array, batch: Batch) -> Array:
        # Where targets are noisy the elements are exact, and the first one gives the noise-free target.
        aims = self._level(batch.inputs[:, 0, 0] > 0) if self.target_noise else batch.targets[:, 0]
        return np.asarray(np.abs(outputs[:, 0] - aims))

    def _level(self, chance_of_one: Array) -> Array:
        """Return the expected target, (B,), given the probability of class 1, (B,)."""
        return np.asarray(self.levels[1] + (self.levels[0] - self.levels[1]) * chance_of_one)

    def _knowing(self, known: int, batch: Batch) -> Array:
        """Return the best outputs, (B, 1), of a predictor that remembers the first `known` elements."""
        return self._level(self._chance_of_one(batch.inputs[:, :known, 0].sum(axis=1)))[:, None]

    def _chance_of_one(self, total: Array) -> Array:
        """Return the probability of class 1 given the sum of known elements: when noisy, 1/(1 + exp(-2·Σ/0.2))."""
        return sigmoid(2 * total / VARIANCE) if self.noisy_elements else np.asarray(total > 0)

    def _loss_knowing(self, known: int) -> float:
        """Return E[(target - output)²] of `_knowing`: given class 1 the sum of k elements is N(k, 0.2·k)."""
        # The trapezoid rule on a smooth function that vanishes at both ends is exact to rounding.
        z = np.linspace(-12.0, 12.0, 4801)
        weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
        total = known + (np.sqrt(known * VARIANCE) * z if self.noisy_elements else 0.0 * z)
        missed = weights @ np.square(self._level(np.ones(1)) - self._level(self._chance_of_one(total)))
        return float(missed + self.target_noise)


class TwoSequence3a(AbstractTwoSequence):
    """Tell two classes apart by their first elements.

    One input; the first N elements are 1 (class 1) or -1 (class 2), the rest N(0, variance 0.2). Target: 1 or 0,
    scored at the last step only. Misclassified when off by 0.2 or more.

    Without memory: the constant ½, squared error 1/4.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.3, task 3a and table 4; after Bengio,
        Simard, Frasconi 1994.
    Differs: A linear output; `training: {loss: sigmoid_mse}` is the paper's sigmoid. The rule is the paper's ST2 on the
        validation set: none misclassified and a mean absolute error of at most 0.01; its set has 256 sequences.

    Example:
        >>> task = TwoSequence3a(TwoSequence3a.Options())
        >>> inputs, lengths = np.array([[[-1.0], [-1.0], [-1.0], [0.6], [0.2]]]), np.array([5])
        >>> batch = Batch(inputs, np.array([[0.0]]), last_step_mask(lengths, 5), lengths)
        >>> task.oracle(batch).tolist()
        [[0.0]]
    """

    name = "two_sequence@hs1997_3a"
    solved = Threshold({"error_rate": 0.0, "mae": 0.01})
    published = (
        *(
            Published(
                f"LSTM, 3 cells, 102 weights, learning rate 1.0, {setting}: none misclassified after {first} "
                f"sequences, and mean absolute error below 0.01 after {second} (means of 10 trials)",
                "Hochreiter, Schmidhuber 1997, table 4",
            )
            for setting, first, second in (
                ("T = 100, N = 3", "27,380", "39,850"),
                ("T = 100, N = 1", "58,370", "64,330"),
                ("T = 1000, N = 3", "446,850", "452,460"),
            )
        ),
        Published(
            "guessing weights at random solves it faster than LSTM or any method with published results",
            "Hochreiter, Schmidhuber 1997, section 5.3",
        ),
    )


class TwoSequence3b(AbstractTwoSequence):
    """Tell two classes apart by noisy first elements.

    As two_sequence@hs1997_3a with N(0, variance 0.2) added to the first N elements too.

    The class of some sequences cannot be known. The best output is the probability of class 1 given the sum of the
    first N elements, 1/(1 + exp(-2·Σ/0.2)). Without memory: squared error 1/4.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.3, task 3b and table 5.
    Differs: A linear output; `training: {loss: sigmoid_mse}` is the paper's sigmoid. The rule is the paper's: fewer
        than 6 of 256 misclassified (a share of at most 5/256) and a mean absolute error of at most 0.04. With N = 1 the
        best output in squared error misses the first of the two: it is off by 0.2 or more on 2.7 % of the sequences.
        Sharper outputs meet it.

    Example:
        >>> task = TwoSequence3b(TwoSequence3b.Options())
        >>> inputs, lengths = np.array([[[0.4], [-0.6], [0.4], [0.9], [-0.3]]]), np.array([5])
        >>> batch = Batch(inputs, np.array([[1.0]]), last_step_mask(lengths, 5), lengths)
        >>> task.oracle(batch).round(4).tolist()  # 1/(1 + exp(-2 · 0.2 / 0.2))
        [[0.8808]]
    """

    name = "two_sequence@hs1997_3b"
    noisy_elements = True
    solved = Threshold({"error_rate": 5 / 256, "mae": 0.04})
    published = tuple(
        Published(
            f"LSTM, 3 cells, 102 weights, learning rate 1.0, {setting}: fewer than 6 of 256 misclassified after "
            f"{first} sequences, and mean absolute error below 0.04 after {second}, then {share} of 2,560 "
            "misclassified (means of 10 trials)",
            "Hochreiter, Schmidhuber 1997, table 5",
        )
        for setting, first, second, share in (
            ("T = 100, N = 3", "41,740", "43,250", "0.83 %"),
            ("T = 100, N = 1", "74,950", "78,430", "1.5 %"),
            ("T = 1000, N = 1", "481,060", "485,080", "1.2 %"),
        )
    )


class TwoSequence3c(AbstractTwoSequence):
    """Learn the mean of two classes of noisy targets.

    Inputs as two_sequence@hs1997_3a. Target: 0.2 (class 1) or 0.8 (class 2) plus N(0, variance 0.1), scored at the
    last step only. Misclassified when off the noise-free target by 0.1 or more.

    Without memory: the constant ½, squared error 0.3² + 0.1 = 0.19; the best possible is the noise, 0.1.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.3, task 3c and table 6.
    Differs: A linear output; `training: {loss: sigmoid_mse}` is the paper's sigmoid. The rule is the paper's on the
        validation set: none misclassified (off the noise-free target by 0.1 or more), mean absolute difference from it
        at most 0.015.

    Example:
        >>> task = TwoSequence3c(TwoSequence3c.Options())
        >>> inputs, lengths = np.array([[[-1.0], [-1.0], [-1.0], [0.6], [0.2]]]), np.array([5])
        >>> batch = Batch(inputs, np.array([[0.95]]), last_step_mask(lengths, 5), lengths)
        >>> task.oracle(batch).tolist()
        [[0.8]]
        >>> task.correct(np.array([[0.75]]), batch).tolist()  # near 0.8, the noise-free target
        [True]
    """

    name = "two_sequence@hs1997_3c"
    levels = (0.2, 0.8)
    target_noise = 0.1
    tolerance = 0.1
    solved = Threshold({"error_rate": 0.0, "mae": 0.015})
    published = tuple(
        Published(
            f"LSTM, 3 cells, 102 weights, learning rate 0.1, T = 100, N = {informative}: solved after {sequences} "
            f"sequences, then {share} of 2,560 misclassified, mean difference {difference} (means of 10 trials)",
            "Hochreiter, Schmidhuber 1997, table 6",
        )
        for informative, sequences, share, difference in (
            (3, "269,650", "0.56 %", 0.014),
            (1, "565,640", "0.44 %", 0.012),
        )
    )


TASKS = (TwoSequence3a, TwoSequence3b, TwoSequence3c)
