"""Activation functions, each with its derivative written in terms of its own output.

Back-propagation through time stores the outputs and not the arguments, so the slope of every activation here is a
function of its output; the NumPy kernels can then overwrite their buffers in place. `xp` is the array namespace
(`numpy`, or `keras.ops` on the Keras backend).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest

Array = Any


class AbstractActivation(ABC):
    """y = f(x), applied to each element; `slope(y)` is dy/dx."""

    name: ClassVar[str]

    def __call__(self, xp: Any, x: Array) -> Array:
        """Return f(x), the shape and dtype of `x`; a namespace that records equations records it as one operation."""
        activate = getattr(xp, "activate", None)
        return activate(self, x) if activate else self.value(xp, x)

    @abstractmethod
    def value(self, xp: Any, x: Array) -> Array:
        """Return f(x), spelled in functions of `xp`."""

    @abstractmethod
    def slope(self, xp: Any, y: Array) -> Array:
        """Return f'(x) given y = f(x), the shape and dtype of `y`."""


class AbstractScaledTanh(AbstractActivation):
    """y = gain·tanh(x·inner) + shift: tanh itself and the functions that are a scaled tanh.

    A kernel can multiply `inner` into the weights and compute several such gates by one call of tanh.
    """

    inner: ClassVar[float]
    gain: ClassVar[float]
    shift: ClassVar[float]


@dataclass(frozen=True)
class Tanh(AbstractScaledTanh):
    """y = tanh(x), range (-1, 1); y' = 1 - y²."""

    name = "tanh"
    inner, gain, shift = 1.0, 1.0, 0.0

    def value(self, xp: Any, x: Array) -> Array:
        return xp.tanh(x)

    def slope(self, xp: Any, y: Array) -> Array:
        return 1 - y * y


@dataclass(frozen=True)
class Sigmoid(AbstractScaledTanh):
    """y = 1/(1 + e⁻ˣ) = ½·tanh(x/2) + ½, range (0, 1); y' = y·(1 - y). The tanh form never overflows."""

    name = "sigmoid"
    inner, gain, shift = 0.5, 0.5, 0.5

    def value(self, xp: Any, x: Array) -> Array:
        return 0.5 * xp.tanh(0.5 * x) + 0.5

    def slope(self, xp: Any, y: Array) -> Array:
        return y * (1 - y)


@dataclass(frozen=True)
class HardSigmoid(AbstractActivation):
    """y = clip(x/6 + ½, 0, 1), as in Keras 3; y' = 1/6 inside, 0 where y is 0 or 1."""

    name = "hard_sigmoid"

    def value(self, xp: Any, x: Array) -> Array:
        return xp.clip(x / 6 + 0.5, 0.0, 1.0)

    def slope(self, xp: Any, y: Array) -> Array:
        return xp.where((y > 0) & (y < 1), xp.ones_like(y) / 6, xp.zeros_like(y))


@dataclass(frozen=True)
class Relu(AbstractActivation):
    """y = max(x, 0); y' = 1 where y > 0, else 0."""

    name = "relu"

    def value(self, xp: Any, x: Array) -> Array:
        return xp.maximum(x, 0.0)

    def slope(self, xp: Any, y: Array) -> Array:
        return xp.where(y > 0, xp.ones_like(y), xp.zeros_like(y))


@dataclass(frozen=True)
class Softsign(AbstractActivation):
    """y = x/(1 + |x|), range (-1, 1); y' = (1 - |y|)²."""

    name = "softsign"

    def value(self, xp: Any, x: Array) -> Array:
        return x / (1 + xp.abs(x))

    def slope(self, xp: Any, y: Array) -> Array:
        return (1 - xp.abs(y)) ** 2


@dataclass(frozen=True)
class Linear(AbstractActivation):
    """y = x; y' = 1."""

    name = "linear"

    def value(self, xp: Any, x: Array) -> Array:
        return x

    def slope(self, xp: Any, y: Array) -> Array:
        return xp.ones_like(y)


_ALL: dict[str, AbstractActivation] = {
    kind.name: kind() for kind in (Tanh, Sigmoid, HardSigmoid, Relu, Softsign, Linear)
}


def names() -> list[str]:
    """Return the known activations, sorted."""
    return sorted(_ALL)


def get(name: str) -> AbstractActivation:
    """Return the activation called `name`, the same name as in Keras.

    Raises:
        UsageError: There is no such activation; the hint names the nearest.

    Example:
        >>> import numpy
        >>> get("sigmoid")(numpy, numpy.array([0.0, 2.0])).round(4).tolist()
        [0.5, 0.8808]
    """
    if name not in _ALL:
        raise UsageError(f"unknown activation {name!r}", hint=nearest(name, _ALL))
    return _ALL[name]
