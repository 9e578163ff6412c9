"""The parameters of a layer and how they are initialised: one definition for every backend, in float64 NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.core.batch import Array
from rnnlab.core.options import Options
from rnnlab.core.streams import stream

Role = Literal["kernel", "recurrent_kernel", "bias"]


class GlorotUniform(Options):
    """U[-a, a] with a = scale·√(6/(rows + columns)); keeps variances equal through a layer.

    Source: Glorot, Bengio 2010, equation 16. Keras's default kernel.
    """

    type: Literal["glorot_uniform"] = "glorot_uniform"
    scale: float = Field(1.0, gt=0, le=100, description="factor on the bound")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape."""
        bound = self.scale * np.sqrt(6 / (shape[0] + shape[-1]))
        return rng.uniform(-bound, bound, shape)


class Orthogonal(Options):
    """scale·Q, Q orthogonal and uniform: every singular value of the recurrent matrix is `scale`.

    Source: Saxe, McClelland, Ganguli 2014; the sign fix of Mezzadri 2007 makes Q uniform. Keras's recurrent default.
    """

    type: Literal["orthogonal"] = "orthogonal"
    scale: float = Field(1.0, gt=0, le=100, description="every singular value")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape; its rows or columns, whichever are fewer, are orthonormal."""
        tall = max(shape), min(shape)
        q, r = np.linalg.qr(rng.standard_normal(tall))
        q *= np.sign(np.diag(r))
        return np.ascontiguousarray(self.scale * (q if shape[0] >= shape[1] else q.T))


class Identity(Options):
    """scale·I (rectangular: ones on the main diagonal): the state stays as it is.

    Source: Le, Jaitly, Hinton 2015 (IRNN).
    """

    type: Literal["identity"] = "identity"
    scale: float = Field(1.0, gt=0, le=100, description="value on the diagonal")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape; `rng` is not used."""
        return np.asarray(self.scale * np.eye(shape[0], shape[-1]))


class Uniform(Options):
    """U[-scale, scale]."""

    type: Literal["uniform"] = "uniform"
    scale: float = Field(0.05, gt=0, le=100, description="bound of the interval; Keras's default is 0.05")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape."""
        return rng.uniform(-self.scale, self.scale, shape)


class Normal(Options):
    """N(0, scale²): `scale` is the standard deviation."""

    type: Literal["normal"] = "normal"
    scale: float = Field(0.05, gt=0, le=100, description="standard deviation; Keras's default is 0.05")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape."""
        return rng.normal(0.0, self.scale, shape)


class Zeros(Options):
    """All zero."""

    type: Literal["zeros"] = "zeros"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape; `rng` is not used."""
        return np.zeros(shape)


# A bias is a vector: it cannot be orthogonal or the identity.
VectorInitializer = Annotated[GlorotUniform | Uniform | Normal | Zeros, Field(discriminator="type")]
Initializer = Annotated[
    GlorotUniform | Orthogonal | Identity | Uniform | Normal | Zeros,
    Field(discriminator="type"),
]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a layer.

    Attributes:
        shape: `(in, out)` for a matrix, as Keras stores it; `(out,)` for a bias.
        role: The initialiser that draws it.
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
) -> dict[str, Array]:
    """Draw every parameter from its own stream `init/<name>`, so that adding one does not change the others.

    Args:
        parameters: Full name (`layers.0.U`) to description.
        initializers: The initialiser of each role.
        seed: The run's seed.
        dtype: float32 or float64; drawn in float64 and rounded, so that both precisions start at the same point.

    Example:
        >>> draw_parameters({"b": Parameter((2,), "bias", 1.0)}, initializers={"bias": Zeros()}, seed=0, dtype="f4")
        {'b': array([1., 1.], dtype=float32)}
    """
    return {
        name: (initializers[p.role].draw(stream(seed, f"init/{name}"), p.shape) + p.offset).astype(dtype)
        for name, p in parameters.items()
    }
