"""Remember one symbol over a noise-free lag of unknown length: task 2c of 1997, of `noise_free_lag`."""

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, last_step_mask
from rnnlab.core.losses import LOSSES
from rnnlab.core.symbols import Symbols
from rnnlab.tasks._within import AbstractWithinTolerance
from rnnlab.tasks.base import CERTAIN, Card, Published, Reference, Streak, TaskOptions, always, too_short

# Extra distractors of task 2c at the default lengths: one sequence in 10 million has more.
_MOST_EXTRA = 150


class DistractorsOptions(TaskOptions):
    """The number of distractors, and how many follow the symbol to remember in any case."""

    symbols: int = Field(default=50, ge=1, le=10_000, description="p: the distractors are a1 … ap")
    lag: int = Field(default=50, ge=1, le=100_000, description="q: the least number of distractors in a sequence")


class NoiseFreeLag2c(AbstractWithinTolerance):
    """b, then x or y, q random distractors a1 … ap or more, then e: which of x and y was it?

    After the q distractors each step is one more with the probability 9/10, else e, the last of T steps. Only the
    answer at e is scored: without memory ln 2. There are T = q + 3 steps or more, q + 12 in the mean. Input features
    in the order a1 … ap, b, e, x, y; classes x, y.

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
    card = Card(
        title="Remember one symbol over a lag of unknown length",
        definition="Inputs: p + 4 one-hot symbols; b, x or y, q random ones of a1 … ap, one more at each step with the "
        "probability 9/10, then e. Target: the x or y, scored at e only. A sequence is right when both outputs are "
        "within 0.2.",
        published=tuple(
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
        ),
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
