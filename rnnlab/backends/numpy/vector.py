"""Arrays in memory that forked processes share; and many named arrays in one flat vector."""

import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


def shared(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return zeros that processes forked from now on see and change too.

    Args:
        shape: Any, also of no numbers.
        dtype: Any of a fixed size.
    """
    count, item = int(np.prod(shape)), np.dtype(dtype)
    return np.frombuffer(mmap.mmap(-1, max(1, count * item.itemsize)), item, count).reshape(shape)


class NamedVector:
    """A flat shared vector and named views into it: clipping and updating are a few operations whatever the network.

    Attributes:
        flat: (P,) contiguous; P is the number of values in all arrays.
        views: Name to a view of the array's own shape. Writing to a view writes to `flat`.

    Example:
        >>> vector = NamedVector({"W": (2, 2), "b": (2,)}, "f8")
        >>> vector.views["b"][:] = 7
        >>> vector.flat.tolist()
        [0.0, 0.0, 0.0, 0.0, 7.0, 7.0]
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: DTypeLike) -> None:
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        self.flat: Array = shared((sum(sizes),), dtype)
        parts = np.split(self.flat, np.cumsum(sizes)[:-1])
        self.views: dict[str, Array] = {
            name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def fill_from(self, arrays: Mapping[str, Array]) -> None:
        """Copy every named array in; names and shapes must be exactly these."""
        if set(arrays) != set(self.views):
            raise ValueError(f"names differ: {sorted(set(arrays) ^ set(self.views))}")
        for name, view in self.views.items():
            if arrays[name].shape != view.shape:
                raise ValueError(f"{name}: got shape {arrays[name].shape}, expected {view.shape}")
            view[...] = arrays[name]

    def copies(self) -> dict[str, Array]:
        """Return a copy of every array by name."""
        return {name: view.copy() for name, view in self.views.items()}
