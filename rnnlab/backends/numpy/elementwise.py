"""Activations and their slopes written into buffers that exist already.

The definitions are those of `rnnlab.core.activations`; tanh and sigmoid, which nearly every network uses, avoid the
temporaries that a general expression makes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.activations import AbstractActivation, Sigmoid, Tanh

Array = NDArray[Any]


def activate(activation: AbstractActivation, x: Array, out: Array) -> None:
    """Write f(x) to `out`, which may be `x` itself."""
    if isinstance(activation, Tanh):
        np.tanh(x, out=out)
    else:
        out[...] = activation(np, x)


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
