"""How arrays lie in memory for the compiled steps."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlab.backends.numpy.layer import Tape

Array = NDArray[Any]
_LINE = 64  # bytes of a line of the cache


@final
class Blocks:
    """Arrays by name, one behind the other in a flat one.

    Args:
        shapes: Of each by name.
        item: Numbers for each place of a shape.

    Attributes:
        size: Numbers in all.

    Example:
        >>> blocks = Blocks({"a": (2, 3), "b": (4, 1)})
        >>> blocks.size, [start for _, start, _ in blocks]
        (10, [0, 6])
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]], *, item: int = 1) -> None:
        self._shapes, self._item = shapes, item
        self.size = item * sum(map(prod, shapes.values()))

    def __iter__(self) -> Iterator[tuple[str, int, tuple[int, int]]]:
        """Yield name, start and shape of each."""
        start = 0
        for name, shape in self._shapes.items():
            yield name, start, shape
            start += self._item * prod(shape)

    def parts(self, flat: Array) -> dict[str, Array]:
        """Return each one's part of a flat array."""
        return {name: flat[start : start + self._item * prod(shape)] for name, start, shape in self}


def padded_rows(tape: Tape, name: str, shape: tuple[int, int, int], dtype: DTypeLike) -> Array:
    """Return an array (rows, T, N) of a tape in which a row's length is an odd number of lines of the cache.

    Otherwise the rows of a step, which are read one after the other, would contend for the same places in the cache.
    """
    rows, timesteps, columns = shape
    a_line = _LINE // np.dtype(dtype).itemsize
    length = (-(-timesteps * columns // a_line) | 1) * a_line
    return tape.array(name, (rows, length), dtype)[:, : timesteps * columns].reshape(shape)


def flat_rows(array: Array) -> Array:
    """Return (rows, T·N) of (rows, T, N): a view, whatever the length of a row."""
    rows, timesteps, columns = array.shape
    strides = array.strides[0], array.itemsize
    flat: Array = np.lib.stride_tricks.as_strided(array, (rows, timesteps * columns), strides, writeable=False)
    return flat
