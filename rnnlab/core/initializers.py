"""How initial parameters are drawn: one definition for every backend, in NumPy, in float64, from named streams."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rnnlab.core.options import Options

Array = NDArray[Any]


class GlorotUniform(Options):
    """U[-a, a] with a = scale·√(6/(rows + columns)); keeps variances level through a layer.

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
        """Return an array of this shape; rows or columns are orthonormal, whichever are fewer."""
        tall = max(shape), min(shape)
        q, r = np.linalg.qr(rng.standard_normal(tall))
        q *= np.sign(np.diag(r))
        return np.ascontiguousarray(self.scale * (q if shape[0] >= shape[1] else q.T))


class Identity(Options):
    """scale·I (rectangular: ones on the main diagonal): the state is kept as it is.

    Source: Le, Jaitly, Hinton 2015 (IRNN).
    """

    type: Literal["identity"] = "identity"
    scale: float = Field(1.0, gt=0, le=100, description="value on the diagonal")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape; nothing is drawn from `rng`."""
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
        """Return an array of this shape; nothing is drawn from `rng`."""
        return np.zeros(shape)


# A bias is a vector: it cannot be orthogonal or the identity.
VectorInitializer = Annotated[GlorotUniform | Uniform | Normal | Zeros, Field(discriminator="type")]
Initializer = Annotated[
    GlorotUniform | Orthogonal | Identity | Uniform | Normal | Zeros,
    Field(discriminator="type"),
]
