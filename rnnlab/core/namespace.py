"""NumPy as the array namespace `xp` of an equation: with the functions of `keras.ops` that NumPy does not have."""

from typing import Any, final

import numpy as np

from rnnlab.core.activations import Relu, Sigmoid, Softsign
from rnnlab.core.batch import Array


@final
class NumpyNamespace:
    """Every function of NumPy, and those of `keras.ops` that equations use besides."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def sigmoid(self, x: Array) -> Array:
        """Return 1/(1 + e⁻ˣ)."""
        return np.asarray(Sigmoid().value(np, x))

    def relu(self, x: Array) -> Array:
        """Return max(x, 0)."""
        return np.asarray(Relu().value(np, x))

    def softsign(self, x: Array) -> Array:
        """Return x/(1 + |x|)."""
        return np.asarray(Softsign().value(np, x))

    def stop_gradient(self, x: Array) -> Array:
        """Return the value itself: a gradient is derived elsewhere."""
        return x


NUMPY = NumpyNamespace()


@final
class FrozenNamespace:
    """NUMPY for central differences: what `stop_gradient` is given does not move with the parameters.

    The values of a first run are recorded in order; after `again` the same calls return them.
    """

    def __init__(self) -> None:
        self._first, self._next = list[Array](), -1

    def again(self) -> "FrozenNamespace":
        """Begin once more, with the values of the first run."""
        self._next = 0
        return self

    def stop_gradient(self, x: Array) -> Array:
        """Return the value of the first run."""
        if self._next < 0:
            self._first.append(np.array(x))
            return x
        self._next += 1
        return self._first[self._next - 1]

    def __getattr__(self, name: str) -> Any:
        return getattr(NUMPY, name)
