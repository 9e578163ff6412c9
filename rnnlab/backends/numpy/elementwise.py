"""Activations and their slopes written into buffers that exist already.

The definitions are those of `rnnlab.core.activations`; tanh and sigmoid, which nearly every network uses, avoid the
temporaries that a general expression makes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.activations import AbstractActivation, Sigmoid, Tanh

Array = NDArray[Any]


def writer(activation: AbstractActivation) -> Callable[[Array, Array], Any]:
    """Return the function of (x, out) that writes f(x) to `out`, which may be `x` itself."""
    if isinstance(activation, Tanh):
        return np.tanh

    def write(x: Array, out: Array) -> None:
        out[...] = activation(np, x)

    return write


def write_slope(activation: AbstractActivation, y: Array, out: Array) -> None:
    """Write f' to `out`, given y = f(x); `out` must not be `y`."""
    if isinstance(activation, Tanh):
        np.multiply(y, y, out=out)
        np.subtract(1, out, out=out)
    elif isinstance(activation, Sigmoid):
        np.subtract(1, y, out=out)
        out *= y
    else:
        out[...] = activation.slope(np, y)
