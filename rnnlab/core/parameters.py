"""What a layer's parameters are called, their shapes, and how they are first drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlab.core.initializers import Initializer
from rnnlab.core.streams import stream

Role = Literal["kernel", "recurrent_kernel", "bias"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a layer.

    Attributes:
        shape: `(in, out)` for a matrix, as Keras stores it; `(out,)` for a bias.
        role: Which initialiser draws it.
        offset: A constant added after drawing, e.g. the forget bias.
    """

    shape: tuple[int, ...]
    role: Role
    offset: float = 0.0

    @property
    def size(self) -> int:
        """The number of values."""
        return int(np.prod(self.shape))


def draw_parameters(
    parameters: Mapping[str, Parameter], *, initializers: Mapping[str, Initializer], seed: int, dtype: DTypeLike
) -> dict[str, NDArray[Any]]:
    """Draw every parameter from its own stream `init/<name>`, so that adding one moves no other.

    Args:
        parameters: Full name (`layers.0.U`) to description.
        initializers: The initialiser of each role.
        seed: The run's seed.
        dtype: float32 or float64; drawn in float64 and rounded, so both precisions start at the same point.

    Example:
        >>> from rnnlab.core.initializers import Zeros
        >>> draw_parameters({"b": Parameter((2,), "bias", 1.0)}, initializers={"bias": Zeros()}, seed=0, dtype="f4")
        {'b': array([1., 1.], dtype=float32)}
    """
    return {
        name: (initializers[p.role].draw(stream(seed, f"init/{name}"), p.shape) + p.offset).astype(dtype)
        for name, p in parameters.items()
    }
