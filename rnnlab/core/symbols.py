"""Inputs that are symbols: which of I features is 1 at a step takes the place of I numbers."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Symbols:
    """Sequences of symbols, of which a network reads one-hot vectors.

    Raises:
        ValueError: The codes are not such numbers: machine code takes them for rows of a matrix as they are.

    Example:
        >>> Symbols(np.array([[2, 0, -1]]), features=3).dense().tolist()
        [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
    """

    codes: Array  # (B, T), whole numbers: which feature is 1; -1 where none is
    features: int  # I

    def __post_init__(self) -> None:
        codes = self.codes
        if not isinstance(codes, np.ndarray) or codes.ndim != 2 or codes.dtype.kind != "i":
            given = f"{codes.dtype} {codes.shape}" if isinstance(codes, np.ndarray) else type(codes).__name__
            raise ValueError(f"codes are {given}, expected an array of signed integers, (B, T)")
        if codes.size and not -1 <= codes.min() <= codes.max() < self.features:
            problem = f"codes are {codes.min()} to {codes.max()}, expected 0 to {self.features - 1}, or -1 for none"
            raise ValueError(problem)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice) -> "Symbols":
        return Symbols(self.codes[rows], self.features)

    def dense(self) -> Array:
        """Return the vectors, (B, T, I), float64."""
        vectors = np.zeros((*self.codes.shape, self.features))
        row, step = np.nonzero(self.codes >= 0)
        vectors[row, step, self.codes[row, step]] = 1.0
        return vectors

    def padded(self, more: int) -> "Symbols":
        """Return the same sequences with so many more steps at which all features are 0."""
        return Symbols(np.pad(self.codes, [(0, 0), (0, more)], constant_values=-1), self.features)
