"""Copying ten symbols over a long blank: the standard test of remembering many things at once."""

from functools import partial
from typing import ClassVar

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.tasks.base import AbstractTask, Published, Reference, TaskOptions, Threshold, too_short


class CopyMemoryOptions(TaskOptions):
    """The number of symbols, and how many kinds there are."""

    symbols: int = Field(10, ge=1, le=1000, description="how many symbols are to be copied")
    alphabet: int = Field(8, ge=2, le=1000, description="how many different symbols there are")


class CopyMemory(AbstractTask):
    """Copy ten symbols over a delay.

    Ten symbols out of eight, T - 1 blanks, a delimiter, ten blanks; timesteps = T + 20. Target: blank for T + 10
    steps, then the ten symbols. Cross-entropy over all steps.

    With T the delay that the paper varies, K = 10 and A = 8:

        step      0 … K-1    K … K+T-2   K+T-1       K+T … T+2K-1
        input     symbols    blank       delimiter   blank
        target    blank      blank       blank       the symbols, in order

    Inputs are one-hot, (B, timesteps, A + 2): 0 blank, 1 … A symbols, A + 1 delimiter. Targets are classes 0 blank, 1 …
    A. The loss of counting the steps without remembering a symbol, which the paper calls its baseline, is K·ln A /
    timesteps; each symbol remembered reduces it by ln A / timesteps. A predictor without memory cannot count: of the n
    = timesteps - K - 1 blanks it does not know which K are to be answered by a symbol, and its loss, the baseline here,
    is higher by n·H(K/n) / timesteps, H the entropy of a coin in nats.

    Source: Arjovsky, Shah, Bengio 2016, "Unitary evolution recurrent neural networks", section 5.1 and its code.
    Differs: The paper gives no success rule; all symbols right in 99 % of the sequences is ours. The code draws its
        100,000 training sequences once; here every batch is new.

    Example:
        >>> task = CopyMemory(CopyMemoryOptions(symbols=2, alphabet=3))
        >>> inputs = np.eye(5)[[[3, 1, 0, 4, 0, 0]]]  # symbols 3 1, one blank, the delimiter, two blanks
        >>> targets = np.array([[0, 0, 0, 0, 3, 1]])
        >>> batch = Batch(inputs, targets, np.ones((1, 6), dtype=bool), np.array([6]))
        >>> task.oracle(batch).argmax(axis=-1).tolist()
        [[0, 0, 0, 0, 3, 1]]
        >>> [round(one.loss, 4) for one in task.references((6, 6))]  # 2·ln 3/6 + 3·H(2/3)/6, 2·ln 3/6, ln 3/6
        [0.6845, 0.3662, 0.1831]
    """

    name = "copy_memory@urnn"
    Options = CopyMemoryOptions
    loss = "cross_entropy"
    follows_loss = True
    return_sequences = True
    maximised = frozenset({"recall_accuracy"})
    solved = Threshold({"error_rate": 0.01})
    published = (
        Published(
            "baseline 10·ln 8/(T + 20), which counts the steps: 0.1733 at T=100, 0.0204 at T=1000",
            "entropy of ten symbols",
        ),
        Published(
            "set-up: 100,000 sequences, batch 20, RMSprop 1e-3, LSTM and tanh RNN clipped at 1, 20,000 iterations",
            "code of Arjovsky et al. 2016",
        ),
    )
    # A logit so low that its softmax is exactly zero, in float32 too.
    impossible: ClassVar[float] = -1000.0

    def __init__(self, options: CopyMemoryOptions) -> None:
        super().__init__(options)
        self.symbols, self.alphabet = options.symbols, options.alphabet
        self.input_features, self.output_features = self.alphabet + 2, self.alphabet + 1
        self.output_names = ("blank", *map(str, range(1, self.alphabet + 1)))
        self.input_names = (*self.output_names, "delimiter")
        self.default_timesteps = (100 + 2 * self.symbols,) * 2

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        parts = f"{self.symbols} symbols, the delimiter, {self.symbols} to recall them"
        return too_short(timesteps, 2 * self.symbols + 1, parts)

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest = timesteps[1]
        lengths = draw_lengths(rng, batch_size, timesteps)
        symbols = rng.integers(1, self.alphabet + 1, size=(batch_size, self.symbols))
        classes, targets = np.zeros((2, batch_size, longest), dtype=np.int64)
        classes[:, : self.symbols] = symbols
        rows = np.arange(batch_size)[:, None]
        classes[rows, self._recall_steps(lengths)[:, :1] - 1] = self.alphabet + 1
        targets[rows, self._recall_steps(lengths)] = symbols
        mask = within_lengths(lengths, longest)
        inputs = np.eye(self.input_features)[classes]  # (B, T, A + 2)
        return Batch(inputs * mask[:, :, None], targets, mask, lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        steps = float(np.mean(timesteps))
        blanks = steps - self.symbols - 1
        shares = np.array([1 - self.symbols / blanks, *[self.symbols / blanks / self.alphabet] * self.alphabet])
        logits = np.log(shares, out=np.full(shares.shape, self.impossible), where=shares > 0)
        least = LOSSES[self.loss].least
        memoryless = blanks * float(least(shares)) / steps
        known = sorted({0, self.symbols // 2, self.symbols - 1})
        names = [
            "counts the steps, guesses the symbols",
            *(f"counts the steps, remembers {k} symbols" for k in known[1:]),
        ]
        per_symbol = float(least(np.array([0.0, *[1 / self.alphabet] * self.alphabet]))) / steps
        counting = tuple(
            Reference(name, (self.symbols - k) * per_symbol, partial(self._logits, known=k), needs_memory=True)
            for name, k in zip(names, known, strict=True)
        )
        name = "memoryless: at a blank, how often each answer is right"
        return (Reference(name, memoryless, partial(self._by_input, logits)), *counting)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        recall = np.arange(batch.size)[:, None], self._recall_steps(batch.lengths)
        accuracy = (outputs[recall].argmax(axis=-1) == batch.targets[recall]).mean()
        return super().metrics(outputs, batch) | {"recall_accuracy": float(accuracy)}

    def oracle(self, batch: Batch) -> Array:
        return self._logits(batch, known=self.symbols)

    def _by_input(self, logits: Array, batch: Batch) -> Array:
        """Return `logits` where the input is blank, and a blank elsewhere."""
        blank = np.full(self.output_features, self.impossible)
        blank[0] = 0.0
        return np.where(batch.inputs[:, :, :1] == 1, logits, blank)

    def _recall_steps(self, lengths: Array) -> Array:
        return np.asarray(lengths[:, None] - self.symbols + np.arange(self.symbols))  # (B, K)

    def _logits(self, batch: Batch, *, known: int) -> Array:
        """Return the logits of a predictor that remembers the first `known` symbols and guesses the others."""
        logits = np.full((*batch.mask.shape, self.output_features), self.impossible)
        logits[:, :, 0] = 0.0
        recall = np.zeros((batch.size, self.symbols, self.output_features))
        recall[:, :, 0] = self.impossible
        recall[:, :known] = np.where(batch.inputs[:, :known, :-1] == 1, 0.0, self.impossible)
        logits[np.arange(batch.size)[:, None], self._recall_steps(batch.lengths)] = recall
        return logits


TASKS = (CopyMemory,)
