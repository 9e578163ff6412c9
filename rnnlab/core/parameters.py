"""The parameters of a layer and how they are initialised: one definition for every backend, in float64 NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field, model_validator

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


class UniformBetween(Options):
    """U[low, high]."""

    type: Literal["uniform_between"] = "uniform_between"
    low: float = Field(0.0, ge=-100, le=100, description="lower end of the interval")
    high: float = Field(1.0, ge=-100, le=100, description="upper end of the interval")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape."""
        return rng.uniform(self.low, self.high, shape)

    @model_validator(mode="after")
    def _ascending(self) -> "UniformBetween":
        if self.low >= self.high:
            raise ValueError(f"expected low < high, got {self.low:g} and {self.high:g}")
        return self


class Chrono(Options):
    """ln U[1, longest - 1], the bias of a gate that keeps: each unit then forgets at a time scale of its own.

    Source: Tallec, Ollivier 2018, equation 16.
    """

    type: Literal["chrono"] = "chrono"
    longest: int = Field(100, ge=3, le=10_000_000, description="Tmax, steps that the longest dependency spans")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape."""
        return np.log(rng.uniform(1, self.longest - 1, shape))


class Sparse(Options):
    """N(0, 1) at `nonzeros` places of each row, all else 0, then scaled to a spectral radius.

    Source: Pascanu, Mikolov, Bengio 2013, "smart tanh", and its code: 15 a row, radius 0.95.
    """

    type: Literal["sparse"] = "sparse"
    nonzeros: int = Field(15, ge=1, le=65_536, description="places of each row that are not 0; at most all of them")
    radius: float = Field(0.95, gt=0, le=100, description="spectral radius: the largest modulus of an eigenvalue")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return a square array of this shape; one that is not square is scaled by its largest singular value."""
        drawn = np.where(rng.random(shape).argsort(axis=1).argsort(axis=1) < self.nonzeros, rng.normal(size=shape), 0.0)
        is_square = shape[0] == shape[1]
        size = np.abs(np.linalg.eigvals(drawn)).max() if is_square else np.linalg.norm(drawn, 2)
        return np.asarray(self.radius * drawn / size)


class Zeros(Options):
    """All zero."""

    type: Literal["zeros"] = "zeros"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape; `rng` is not used."""
        return np.zeros(shape)


# A bias is a vector: it cannot be orthogonal or the identity.
VectorInitializer = Annotated[GlorotUniform | Uniform | UniformBetween | Normal | Zeros, Field(discriminator="type")]
Initializer = Annotated[
    GlorotUniform | Orthogonal | Identity | Uniform | UniformBetween | Normal | Sparse | Zeros,
    Field(discriminator="type"),
]
_OF_VECTORS: Mapping[str, VectorInitializer] = {"kernel": GlorotUniform(), "recurrent_kernel": Uniform(scale=1.0)}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a layer.

    Attributes:
        shape: `(in, out)` for a matrix, as Keras stores it; `(out,)` for a bias.
        role: The initialiser that draws it, unless it has one of its own. A vector cannot be orthogonal or an
            identity: as `recurrent_kernel` it is drawn from U[-1, 1], as `kernel` by `glorot_uniform`.
        offset: Added after drawing, e.g. the forget bias; a vector where it differs between units.
        initializer: Its own.
        opposite: Another parameter of the layer, as whose negative it begins; it is not drawn itself.

    Raises:
        ValueError: The shape or the role is none.
    """

    shape: tuple[int, ...]
    role: Role
    offset: float | tuple[float, ...] = 0.0
    initializer: Initializer | VectorInitializer | Chrono | None = None
    opposite: str = ""

    def __post_init__(self) -> None:
        shape: object = self.shape
        sizes = shape if isinstance(shape, tuple) else ()
        if len(sizes) not in {1, 2} or not all(isinstance(one, Integral) and int(one) > 0 for one in sizes):
            raise ValueError(f"expected (in, out) or (out,) as shape, whole numbers of at least 1; got {shape!r}")
        if self.role not in get_args(Role):
            raise ValueError(f"expected a role of {', '.join(get_args(Role))}; got {self.role!r}")
        if len(sizes) == 1 and self.initializer is None:
            object.__setattr__(self, "initializer", _OF_VECTORS.get(self.role))

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

    def drawn(name: str) -> Array:
        one = parameters[name]
        if one.opposite:
            return np.asarray(one.offset - drawn(".".join([*name.split(".")[:-1], one.opposite])))
        initializer = one.initializer or initializers[one.role]
        return initializer.draw(stream(seed, f"init/{name}"), one.shape) + one.offset

    return {name: drawn(name).astype(dtype) for name in parameters}
