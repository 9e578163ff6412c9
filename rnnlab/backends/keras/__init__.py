"""The Keras backend: TensorFlow, JAX and PyTorch, with the parameters, batches and numbers of the NumPy backend.

Every cell of the registry is a Keras layer by itself, and a Keras cell: `Carry(64)(x)` is
`keras.layers.RNN(CarryCell(64))(x)`, and so for `Lstm` and the others. `EquationRNN` and `EquationCell` are those of a
cell whose name is given: `EquationRNN("carry", 64)`, `EquationRNN("./my_cell.py:MyCell", 64)`. They are imported, and
Keras with them, when first used; the rest is light to import.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, final

from numpy.typing import NDArray
from pydantic import Field

from rnnlab.backends.base import AbstractBackend, AbstractModel, BlockResult, Network, Training
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, running_engine, start, usual_engine
from rnnlab.cells import CELLS
from rnnlab.core.batch import Batch
from rnnlab.core.errors import UsageError
from rnnlab.core.options import Options

__all__ = ["BACKEND", "KerasBackend", "KerasOptions", "Way", "way"]
Path = Literal["loop", "unrolled", "derived"]
# By measurement on a CPU at T=100: eight networks of up to so many numbers, parameters times sequences of a batch, take
# as long together as a step alone took that Python called, and eight programs for one 4 to 5 times as long.
_LANES, _SMALL = 8, 500


class KerasOptions(Options):
    """How Keras computes; not used with `backend: numpy`."""

    path: Literal["auto", "loop", "unrolled", "derived"] = Field(
        "auto",
        description="derived, as auto: the whole sequence with the gradient that is derived from the cell's equation; "
        "loop: Keras's layers and automatic gradients; unrolled: the same without a loop",
    )
    xla: bool | None = Field(None, description="compile by XLA; null: with the derived path, and always on JAX")
    lanes: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="on JAX, number of networks of a sweep that one program trains side by side; one alone takes as "
        "long as all; it decides the last bits; null: 8 for the smallest networks with the smallest batches, else 1",
    )


@dataclass(frozen=True, slots=True)
class Way:
    """How a network is computed: chosen by config and engine alone, so that a run repeats bit-identically."""

    path: Path
    xla: bool


def way(options: KerasOptions, *, engine: str) -> Way:
    """Return the path and whether XLA compiles it.

    Measured on TensorFlow and two CPU cores, the derived path under XLA was the fastest at every shape tried; XLA made
    the automatic gradient of a loop slower, up to six times. On PyTorch there is no XLA.
    """
    path: Path = "derived" if options.path == "auto" else options.path
    xla = path == "derived" if options.xla is None else options.xla
    return Way(path, xla=engine == "jax" or (xla and engine == "tensorflow"))


@final
class KerasBackend(AbstractBackend):
    """Builds Keras models.

    Args:
        engine: `tensorflow`, `jax` or `torch`.
        options: The block `keras` of a config.
    """

    name = "keras"

    def __init__(self, *, engine: str = DEFAULT_ENGINE, options: KerasOptions | None = None) -> None:
        self.engine, self.options = engine, options or KerasOptions()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set nothing: an engine has its own threads."""
        yield

    def facts(self, network: Network, training: Training | None = None, *, batch_size: int = 1) -> dict[str, Any]:
        chosen = way(self.options, engine=self.engine)
        facts = {"name": self.name, **start(self.engine).facts(), "path": chosen.path, "xla": chosen.xla}
        return facts | ({"lanes": self._lanes(network, batch_size)} if training and self.engine == "jax" else {})

    def train_blocks(
        self, models: Sequence[AbstractModel], batches: Sequence[Batch], *, updates: int
    ) -> list[BlockResult]:
        from rnnlab.backends.keras.model import KerasModel, train_together

        return train_together([one for one in models if isinstance(one, KerasModel)], batches, updates)

    def why_apart(self, one: AbstractModel, other: AbstractModel) -> str:
        from rnnlab.backends.keras.model import KerasModel

        if not (isinstance(one, KerasModel) and isinstance(other, KerasModel)):
            return "another backend"
        return one.form.why_apart(other.form)

    def population(self, network: Network, training: Training, *, batch_size: int) -> int:
        return self._lanes(network, batch_size)

    def _lanes(self, network: Network, batch_size: int) -> int:
        """Return how many networks a program trains that trains this one: by config and engine alone."""
        if self.options.lanes is not None or self.engine != "jax":
            return self.options.lanes or 1
        numbers = batch_size * network.parameter_count
        return _LANES if numbers <= _SMALL and way(self.options, engine=self.engine).path == "derived" else 1

    def build(
        self, network: Network, *, parameters: Mapping[str, NDArray[Any]], training: Training | None = None
    ) -> AbstractModel:
        if (self.options.lanes or 1) > 1 and self.engine != "jax":
            problem = f"keras.lanes is {self.options.lanes} on engine {self.engine}, which trains networks one by one"
            raise UsageError(problem, hint="leave lanes out, or set engine: jax")
        if network.precision == "float64" and self.engine != "tensorflow":
            raise UsageError(
                f"precision float64 on engine {self.engine}: Keras computes there in float32",
                hint="set precision: float32, or engine: tensorflow",
            )
        engine = start(self.engine)
        from rnnlab.backends.keras.model import KerasModel

        chosen = way(self.options, engine=self.engine)
        lanes = partial(self._lanes, network)
        return KerasModel(network, training, parameters=parameters, engine=engine, way=chosen, lanes=lanes)


BACKEND = KerasBackend


def __getattr__(name: str) -> Any:
    """Return the layer or the cell of this name."""
    cells = {"".join(part.capitalize() for part in cell.split("_")): cell for cell in CELLS.names()}
    cell = cells.get(name.removesuffix("Cell"), "")
    if not cell and name not in {"EquationCell", "EquationRNN"}:
        raise AttributeError(f"module 'rnnlab.backends.keras' has no attribute {name!r}")
    start(running_engine() or os.environ.get("KERAS_BACKEND") or usual_engine())
    from rnnlab.backends.keras import layers

    if not cell:
        return getattr(layers, name)
    return partial(layers.EquationCell if name.endswith("Cell") else layers.EquationRNN, cell)
