"""Predict every next symbol; the last repeats the first: a long time lag without noise."""

from abc import abstractmethod
from functools import partial

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, last_step_mask
from rnnlab.core.losses import LOSSES
from rnnlab.core.symbols import Symbols
from rnnlab.tasks._within import AbstractWithinTolerance
from rnnlab.tasks.base import CERTAIN, Published, Reference, Streak, TaskOptions, always, too_short

# The smallest probability, so that its logarithm is finite; in a softmax it is 0 to 300 digits.
TINY = 1e-300
# Extra distractors of task 2c at the default lengths: one sequence in 10 million has more.
_MOST_EXTRA = 150


class NoiseFreeLagOptions(TaskOptions):
    """The size of the alphabet."""

    symbols: int = Field(
        default=100, ge=3, le=10_000, description="p: the alphabet is a1 … a(p-1), x, y; the paper's length is p steps"
    )


class AbstractNoiseFreeLag(AbstractWithinTolerance):
    """The string z m₁ … m_{T-1} z with z = x or y, equally likely: T symbols are read, each time the next is predicted.

    Input features, and classes, in the order a1 … a(p-1), x, y.
    """

    Options = NoiseFreeLagOptions
    options: NoiseFreeLagOptions
    tolerance = 0.25
    return_sequences = True
    solved = Streak(10_000)

    def __init__(self, options: NoiseFreeLagOptions) -> None:
        super().__init__(options)
        self.input_features = self.output_features = options.symbols + 1
        self.input_names = self.output_names = (*(f"a{n}" for n in range(1, options.symbols)), "x", "y")
        self.default_timesteps = (options.symbols, options.symbols)

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        several = "needs a single number of steps: all strings have the same length"
        fault = too_short(timesteps, 3, "the symbol to remember and two between")
        return fault or (several if timesteps[0] < timesteps[1] else None)

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        steps, features = timesteps[1], self.input_features
        kept = features - 2 + rng.integers(0, 2, size=(batch_size, 1))
        string = np.concatenate([kept, self._middle(rng, (batch_size, steps - 1)), kept], axis=1)
        inputs = np.zeros((batch_size, steps, features))
        inputs.reshape(-1)[np.arange(0, inputs.size, features) + string[:, :-1].reshape(-1)] = 1.0
        mask = np.ones((batch_size, steps), dtype=bool)
        return Batch(inputs, string[:, 1:], mask, np.full(batch_size, steps))

    def oracle(self, batch: Batch) -> Array:
        return self._predict(batch, knows_first=True, counts=True)

    def _least(self, *, middle: float = 0.0, ends: tuple[float, float] = (0.0, 0.0)) -> float:
        """Return the least loss of a step where the next is one of a1 … a(p-1), equally likely, or x, or y."""
        p = self.options.symbols
        return float(LOSSES[self.loss].least(np.array([*[middle / (p - 1)] * (p - 1), *ends])))

    def _predict(self, batch: Batch, *, knows_first: bool, counts: bool) -> Array:
        """Return the best logits, (B, T, p + 1), if the first symbol is remembered, the steps are counted, or both."""
        steps = batch.inputs.shape[1]
        step = np.broadcast_to(np.arange(steps), batch.mask.shape) if counts else self._step(batch.inputs)
        ending = np.append(np.eye(steps)[-1], 1 / (steps - 1))[step]  # (B, T)
        last = batch.inputs[:, 0, -2:] if knows_first else np.full((batch.size, 2), 0.5)
        chances = np.empty((batch.size, steps, self.output_features))
        chances[:, :, :-2] = (1 - ending)[:, :, None] * self._middle_chances(step)
        chances[:, :, -2:] = ending[:, :, None] * last[:, None]
        return np.asarray(np.log(np.maximum(chances, TINY)))

    @abstractmethod
    def _middle(self, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        """Draw the symbols between the first and the last, classes 0 … p - 2."""

    @abstractmethod
    def _step(self, inputs: Array) -> Array:
        """Return the step at which each symbol, (B, T, p + 1), stands, (B, T); -1 where it can be any but the first."""

    @abstractmethod
    def _middle_chances(self, step: Array) -> Array:
        """Return the chance of each of a1 … a(p-1) to follow each step, (B, T, p - 1), unless the string ends."""


class NoiseFreeLag2a(AbstractNoiseFreeLag):
    """Remember one symbol over a counted lag.

    Inputs: p + 1 one-hot symbols a1 … a(p-1), x, y; the string x a1 … a(p-1) x or y a1 … a(p-1) y. Target: the next
    symbol, scored at every step. A string is right when every output is within 0.25.

    Every symbol but the last follows from the one before it: without memory only the last of the T steps is uncertain,
    ln 2/T.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.2, task 2a and table 2.
    Differs: Cross-entropy over a softmax, to which the paper's limit of 0.25 on every output applies; `training: {loss:
        sigmoid_mse}` is the paper's squared error over sigmoids. Strings shorter than p leave the last of the a's
        unused.

    Example:
        >>> task = NoiseFreeLag2a(NoiseFreeLag2a.Options(symbols=3))  # features and classes: a1 a2 x y
        >>> batch = task.sample(np.random.default_rng(0), batch_size=1, timesteps=(3, 3))
        >>> batch.inputs[0].argmax(axis=-1).tolist(), batch.targets[0].tolist()  # y a1 a2 → a1 a2 y
        ([3, 0, 1], [0, 1, 3])
        >>> task.oracle(batch)[0].argmax(axis=-1).tolist()
        [0, 1, 3]
    """

    name = "noise_free_lag@hs1997_2a"
    published = tuple(
        Published(result, "Hochreiter, Schmidhuber 1997, table 2")
        for result in (
            "LSTM, p = 100, 1 cell, learning rate 1.0: 100 % of 18 trials solved, mean after 5,040 sequences",
            "sequence chunker, p = 100: 33 % of 18 trials solved, mean after 32,400 sequences",
            "RTRL, p = 4: 78 % of 18 trials solved, mean after 1,043,000 sequences; p = 10: none in 5,000,000",
            "back-propagation through time, p = 100: none of 18 trials solved in 5,000,000 sequences",
        )
    )

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        fault, most = super().timesteps_fault(timesteps), self.options.symbols
        too_long = f"needs at most {most} steps, as many as the option symbols: the middle is a1 … a{most - 1}"
        return fault or (too_long if timesteps[1] > most else None)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        predict = partial(self._predict, knows_first=False, counts=False)
        return (Reference("memoryless: guesses the last symbol", self._least(ends=(0.5, 0.5)) / timesteps[1], predict),)

    def _middle(self, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        return np.broadcast_to(np.arange(shape[1]), shape)

    def _step(self, inputs: Array) -> Array:
        # Each symbol has its own place in the string; x and y, the last two, have the first.
        return np.asarray((inputs.argmax(axis=-1) + 1) * (inputs[:, :, -2:].sum(axis=-1) == 0))

    def _middle_chances(self, step: Array) -> Array:
        return np.eye(self.options.symbols, self.options.symbols - 1)[step]


class NoiseFreeLag2b(AbstractNoiseFreeLag):
    """Remember one symbol over a random lag.

    As noise_free_lag@hs1997_2a with p - 1 random symbols of a1 … a(p-1) in the middle. A string is right when every
    output at its last step is within 0.25.

    Only the last symbol can be predicted, from the first. With q = 1/(T - 1) and H(q) the entropy of a coin, the mean
    losses times T are: without memory (T - 1)·ln(p - 1) + ln 2 + (T - 1)·H(q); remembering the first symbol takes off
    ln 2, counting the steps (T - 1)·H(q), and both leave (T - 1)·ln(p - 1), which cannot be predicted.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.2, task 2b and the text around table 2.
    Differs: Cross-entropy over a softmax, to which the paper's limit of 0.25 on every output at the end of the string
        applies; `training: {loss: sigmoid_mse}` is the paper's squared error over sigmoids. The length may differ from
        p.

    Example:
        >>> task = NoiseFreeLag2b(NoiseFreeLag2b.Options(symbols=3))  # features and classes: a1 a2 x y
        >>> string = np.array([[2, 1, 1, 2]])  # x a2 a2 x
        >>> batch = Batch(np.eye(4)[string[:, :-1]], string[:, 1:], np.ones((1, 3), dtype=bool), np.array([3]))
        >>> np.exp(task.oracle(batch)[0]).round(3).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """

    name = "noise_free_lag@hs1997_2b"
    judged = slice(-1, None)
    published = (
        Published(
            "LSTM, p = 100, 1 cell, learning rate 1.0: 100 % of 18 trials solved, mean after 5,680 sequences; "
            "back-propagation through time, RTRL and the sequence chunker never",
            "Hochreiter, Schmidhuber 1997, section 5.2",
        ),
    )

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        steps, q = timesteps[1], 1 / (timesteps[1] - 1)
        # Only at the first step it is certain, without a count, that the string does not end.
        first_step, of_middle = self._least(middle=1.0), self.oracle_loss(timesteps)
        of_neither, of_first = (self._least(middle=1 - q, ends=ends) for ends in ((q / 2, q / 2), (q, 0.0)))
        neither = partial(self._predict, knows_first=False, counts=False)
        first = partial(self._predict, knows_first=True, counts=False)
        place = partial(self._predict, knows_first=False, counts=True)
        return (
            Reference("memoryless", (first_step + (steps - 1) * of_neither) / steps, neither),
            Reference("remembers the first symbol", (first_step + (steps - 1) * of_first) / steps, first, True),
            Reference("counts the steps", of_middle + self._least(ends=(0.5, 0.5)) / steps, place, True),
        )

    def oracle_loss(self, timesteps: Lengths) -> float:
        return self._least(middle=1.0) * (timesteps[1] - 1) / timesteps[1]

    def _middle(self, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        return rng.integers(0, self.options.symbols - 1, size=shape)

    def _step(self, inputs: Array) -> Array:
        return np.where(inputs[:, :, -2:].sum(axis=-1) > 0, 0, -1)

    def _middle_chances(self, step: Array) -> Array:
        return np.full((1, 1, self.options.symbols - 1), 1 / (self.options.symbols - 1))


class DistractorsOptions(TaskOptions):
    """The number of distractors, and how many follow the symbol to remember in any case."""

    symbols: int = Field(default=50, ge=1, le=10_000, description="p: the distractors are a1 … ap")
    lag: int = Field(default=50, ge=1, le=100_000, description="q: the least number of distractors in a sequence")


class NoiseFreeLag2c(AbstractWithinTolerance):
    """Remember one symbol over a lag of unknown length.

    Inputs: p + 4 one-hot symbols; b, x or y, q random ones of a1 … ap, one more at each step with the probability
    9/10, then e. Target: the x or y, scored at e only. A sequence is right when both outputs are within 0.2.

    Without memory the loss is ln 2. There are T = q + 3 steps or more, q + 12 in the mean. Input features in the order
    a1 … ap, b, e, x, y; classes x, y.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.2, task 2c and table 3.
    Differs: Cross-entropy over a softmax, to which the paper's limit of 0.2 on every output applies; `training: {loss:
        sigmoid_mse}` is the paper's squared error over sigmoids. The longest sequences are left out: `timesteps`
        selects lengths, by default those with at most 150 further distractors, all but one in 10 million. The steps do
        not count the answer, which is the last symbol of the paper's string.

    Example:
        >>> task = NoiseFreeLag2c(NoiseFreeLag2c.Options(symbols=2, lag=3))  # features: a1 a2 b e x y
        >>> word = np.eye(6)[[2, 5, 0, 1, 1, 0, 3]]  # b y a1 a2 a2 a1 e: one distractor more than three
        >>> batch = Batch(word[None], np.array([1]), last_step_mask(np.array([7]), 7), np.array([7]))
        >>> task.oracle(batch).argmax(axis=-1).tolist()
        [1]
    """

    name = "noise_free_lag@hs1997_2c"
    Options = DistractorsOptions
    options: DistractorsOptions
    tolerance = 0.2
    one_hot = True
    output_features = 2
    output_names = ("x", "y")
    solved = Streak(10_000)
    published = tuple(
        Published(
            f"LSTM, 2 blocks of 1 cell, {weights:,} weights, learning rate 0.01, q = {q}, p = {p}: solved after "
            f"{sequences} sequences (mean of 20 trials)",
            "Hochreiter, Schmidhuber 1997, table 3",
        )
        for q, p, weights, sequences in (
            (50, 50, 364, "30,000"),
            (100, 100, 664, "31,000"),
            (200, 200, 1264, "33,000"),
            (500, 500, 3064, "38,000"),
            (1000, 1000, 6064, "49,000"),
            (1000, 500, 3064, "49,000"),
            (1000, 200, 1264, "75,000"),
            (1000, 100, 664, "135,000"),
            (1000, 50, 364, "203,000"),
        )
    )

    def __init__(self, options: DistractorsOptions) -> None:
        super().__init__(options)
        self.input_features = options.symbols + 4
        self.input_names = (*(f"a{n}" for n in range(1, options.symbols + 1)), *"bexy")
        self.default_timesteps = (options.lag + 3, options.lag + 3 + _MOST_EXTRA)

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, self.options.lag + 3, f"b, x or y, the lag of {self.options.lag}, e")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        (shortest, longest), p, rows = timesteps, self.options.symbols, np.arange(batch_size)
        # The inverse of the distribution of the extra distractors, cut at the longest sequence.
        share = rng.random(batch_size) * -np.expm1((longest - shortest + 1) * np.log(0.9))
        extra = (np.log1p(-share) / np.log(0.9)).astype(np.int64)
        lengths = shortest + np.minimum(extra, longest - shortest)
        codes = rng.integers(0, p, size=(batch_size, longest), dtype=np.int16)
        answer = rng.integers(0, 2, size=batch_size)
        codes[:, 0], codes[:, 1], codes[rows, lengths - 1] = p, p + 2 + answer, p + 1
        codes[np.arange(longest) >= lengths[:, None]] = -1
        return Batch(Symbols(codes, self.input_features), answer, last_step_mask(lengths, longest), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        loss = float(LOSSES[self.loss].least(np.array([0.5, 0.5])))
        return (Reference("memoryless: both equally likely", loss, always(0.0, 0.0)),)

    def oracle(self, batch: Batch) -> Array:
        return np.asarray(CERTAIN * batch.inputs[:, 1, -2:])


TASKS = (NoiseFreeLag2a, NoiseFreeLag2b, NoiseFreeLag2c)
