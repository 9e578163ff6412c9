"""A batch of sequences: drawn by a task, used to train and to validate a network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.errors import UsageError
from rnnlab.core.symbols import Symbols

Array = NDArray[Any]
Lengths = tuple[int, int]
_NUMBERS = 1 << 16  # of inputs in a unit, about: enough that a call of the task costs little per sequence
_MOST_BATCHES = 1024


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """B sequences of up to T steps; all beyond a sequence's own length is zero and not scored.

    Attributes:
        given: The inputs: (B, T, I), float64, or the symbols that they are.
        targets: Real (B, O), or integer classes (B,), if one step per sequence is scored; real (B, T, O), or integer
            (B, T), if all steps may be scored.
        mask: (B, T), bool: the steps that are scored. Last-step tasks have one True per row, at `lengths - 1`.
        lengths: (B,), int: the steps of each sequence, 1 … T.
    """

    given: Array | Symbols
    targets: Array
    mask: Array
    lengths: Array

    def __repr__(self) -> str:
        scored = f"{int(self.mask.sum()):,} steps scored"
        return f"<Batch: inputs {self.shape}, targets {self.targets.shape}, {scored}>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the inputs: (B, T, I)."""
        size, timesteps = self.mask.shape
        return size, timesteps, self.given.features if isinstance(self.given, Symbols) else self.given.shape[-1]

    @property
    def inputs(self) -> Array:
        """The inputs as numbers, (B, T, I), float64; of symbols they are made at each call."""
        return self.given.dense() if isinstance(self.given, Symbols) else self.given

    @property
    def size(self) -> int:
        """The number of sequences, B."""
        return len(self.given)

    def rows(self, start: int, stop: int) -> "Batch":
        """Return the sequences from `start` up to `stop`, as views.

        Example:
            >>> some = Batch(np.ones((4, 2, 1)), np.arange(4), np.ones((4, 2), bool), np.full(4, 2))
            >>> some.rows(1, 3).targets.tolist()
            [1, 2]
        """
        part = slice(start, stop)
        return Batch(self.given[part], self.targets[part], self.mask[part], self.lengths[part])

    def padded(self, timesteps: int) -> "Batch":
        """Return the same sequences in arrays of so many steps; the batch itself where it has them.

        Example:
            >>> some = Batch(np.ones((1, 2, 3)), np.array([4]), np.array([[False, True]]), np.array([2]))
            >>> some.padded(3).mask.tolist(), some.padded(3).targets.tolist()
            ([[False, True, False]], [4])
        """
        more = timesteps - self.mask.shape[1]
        if not more:
            return self

        def longer(array: Array) -> Array:
            return np.pad(array, [(0, 0), (0, more)] + [(0, 0)] * (array.ndim - 2))

        of_each_step = self.targets.ndim == (3 if self.targets.dtype.kind == "f" else 2)
        targets = longer(self.targets) if of_each_step else self.targets
        given = self.given.padded(more) if isinstance(self.given, Symbols) else longer(self.given)
        return Batch(given, targets, longer(self.mask), self.lengths)


def batches_per_unit(numbers: int) -> int:
    """Return how many batches are drawn by one call of the task, from how many numbers the inputs of one have.

    Example:
        >>> [batches_per_unit(numbers) for numbers in (1, 200, 64 * 100 * 2, 10**6)]
        [1024, 327, 5, 1]
    """
    return max(1, min(_MOST_BATCHES, _NUMBERS // numbers))


def range_text(timesteps: Lengths) -> str:
    """Return the shortest and the longest length as a text.

    Example:
        >>> range_text((7, 7)), range_text((50, 2000))
        ('7', '50…2,000')
    """
    return "…".join(dict.fromkeys(f"{length:,}" for length in timesteps))


def draw_lengths(rng: np.random.Generator, batch_size: int, timesteps: Lengths) -> Array:
    """Return (B,) lengths, uniform in the closed range `timesteps`."""
    return rng.integers(timesteps[0], timesteps[1] + 1, size=batch_size)


def last_step_mask(lengths: Array, timesteps: int) -> Array:
    """Return the (B, T) mask that is True at each sequence's last step only.

    Example:
        >>> last_step_mask(np.array([1, 3]), 3).astype(int).tolist()
        [[1, 0, 0], [0, 0, 1]]
    """
    return np.asarray(np.arange(timesteps) == lengths[:, None] - 1)


def within_lengths(lengths: Array, timesteps: int) -> Array:
    """Return the (B, T) mask that is True on every step of each sequence.

    Example:
        >>> within_lengths(np.array([1, 3]), 3).astype(int).tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    return np.asarray(np.arange(timesteps) < lengths[:, None])


def checked_inputs(inputs: Array, features: int) -> Array:
    """Return inputs of a network that reads so many features as an array, (B, T, I).

    Raises:
        UsageError: They are no such numbers, or none.

    Example:
        >>> checked_inputs([[[1, 2]]], 2).shape
        (1, 1, 2)
    """
    array = np.asarray(inputs)
    if array.dtype.kind not in "biuf" or array.ndim != 3 or array.shape[2] != features or not array.size:
        given, wanted = f"{array.dtype} with the shape {array.shape}", f"(sequences, steps, {features})"
        raise UsageError(f"got an array of {given}, expected numbers, {wanted}, at least one", where="inputs")
    return array
