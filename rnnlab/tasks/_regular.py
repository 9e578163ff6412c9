"""What the regular tasks of Delétang et al. 2023 share: a string of symbols, then an empty one, at which is asked."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.tasks.base import CERTAIN, AbstractTask, Published, Reference, Threshold, always, too_short

PUBLISHED = (
    Published(
        "RNN and LSTM, 256 units, 1,000,000 updates on lengths 1-40: 90 % right or more at 41-500, all seeds",
        "Delétang et al. 2023",
    ),
)


class AbstractRegular(AbstractTask):
    """n symbols, then an empty one, one-hot; the class is asked for at the last step. `timesteps` is n + 1."""

    symbols: ClassVar[str]  # names of the symbols but the empty one
    loss = "cross_entropy"
    follows_loss = True
    default_timesteps = (2, 41)
    solved = Threshold({"error_rate": 0.1})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.input_features, cls.input_names = len(cls.symbols) + 1, (*cls.symbols, "empty")

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, 2, "a symbol, and the empty one")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest = timesteps[1]
        lengths = self._lengths(rng, batch_size, timesteps)
        codes = self._codes(rng, (batch_size, longest))
        targets = self._answers(codes, lengths - 1)
        codes[np.arange(batch_size), lengths - 1] = len(self.symbols)
        inputs = np.eye(self.input_features)[codes] * within_lengths(lengths, longest)[:, :, None]  # (B, T, I)
        return Batch(inputs, targets, last_step_mask(lengths, longest), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        shares = self._shares(timesteps)
        logits = np.log(shares, out=np.full(shares.shape, -CERTAIN), where=shares > 0)
        loss = float(LOSSES[self.loss].least(shares))
        return (Reference("constant: how often each answer is right", loss, always(*logits)),)

    def oracle(self, batch: Batch) -> Array:
        answers = self._answers(batch.inputs.argmax(axis=2), batch.lengths - 1)
        return CERTAIN * np.eye(self.output_features)[answers]

    def _lengths(self, rng: np.random.Generator, batch_size: int, timesteps: Lengths) -> Array:
        return draw_lengths(rng, batch_size, timesteps)

    def _codes(self, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        return rng.integers(0, len(self.symbols), size=shape)

    @abstractmethod
    def _answers(self, codes: Array, n: Array) -> Array:
        """Return the class of each string, (B,): of its first n (B,) symbols, of (B, T)."""

    @abstractmethod
    def _shares(self, timesteps: Lengths) -> Array:
        """Return how often each class is right at these lengths, (O,)."""
