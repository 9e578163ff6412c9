"""NumPy as the array namespace `xp` of an equation: with the functions of `keras.ops` that NumPy does not have."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.activations import Relu, Sigmoid, Softsign

Array = NDArray[Any]


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
