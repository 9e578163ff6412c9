"""The Keras backend: real Keras models on TensorFlow, with the parameters, batches and numbers of the NumPy backend.

`CarryCell` and `Carry` are Keras layers of their own: `keras.layers.RNN(CarryCell(64))(x)`. They are imported, and
Keras with them, when first used; the rest is light to import.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from numpy.typing import NDArray
from pydantic import Field

from rnnlab.backends.base import AbstractBackend, AbstractModel, Network, Training
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, running_engine, start
from rnnlab.backends.keras.handwritten import HANDWRITTEN
from rnnlab.cells.base import AbstractCell
from rnnlab.core.errors import UsageError
from rnnlab.core.options import Options

if TYPE_CHECKING:
    from rnnlab.backends.keras.layers import Carry as Carry
    from rnnlab.backends.keras.layers import CarryCell as CarryCell

__all__ = ["BACKEND", "Carry", "CarryCell", "KerasBackend", "KerasOptions", "Plan", "plan"]
Path = Literal["loop", "unrolled", "handwritten"]


class KerasOptions(Options):
    """How Keras computes; not used with `backend: numpy`."""

    path: Literal["auto", "loop", "unrolled", "handwritten"] = Field(
        "auto",
        description="loop: stock layers and automatic gradients; unrolled: the same without a loop; "
        "handwritten: the whole sequence with a gradient of its own; auto: handwritten where there is one",
    )
    xla: bool | None = Field(None, description="compile by XLA; null: with the handwritten path, and always on JAX")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a network is computed: chosen by config and engine alone, so that a run repeats bit-identically."""

    path: Path
    xla: bool


def plan(options: KerasOptions, cell: AbstractCell, *, engine: str) -> Plan:
    """Return the path and whether XLA compiles it.

    Measured on TensorFlow and two CPU cores, the handwritten path under XLA was the fastest at every shape tried; XLA
    made the automatic gradient of a loop slower, up to six times. On PyTorch there is no XLA.
    """
    has_own = cell.name in HANDWRITTEN.names()
    path: Path = ("handwritten" if has_own else "loop") if options.path == "auto" else options.path
    xla = path == "handwritten" if options.xla is None else options.xla
    return Plan(path, xla=engine == "jax" or (xla and engine == "tensorflow"))


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

    def facts(self, network: Network) -> dict[str, Any]:
        chosen = plan(self.options, network.cell, engine=self.engine)
        return {"name": self.name, **start(self.engine).facts(), "path": chosen.path, "xla": chosen.xla}

    def build(
        self, network: Network, *, parameters: Mapping[str, NDArray[Any]], training: Training | None = None
    ) -> AbstractModel:
        if network.precision == "float64" and self.engine != "tensorflow":
            raise UsageError(
                f"precision float64 on engine {self.engine}: Keras computes there in float32",
                hint="set precision: float32, or engine: tensorflow",
            )
        engine = start(self.engine)
        from rnnlab.backends.keras.model import KerasModel

        chosen = plan(self.options, network.cell, engine=self.engine)
        return KerasModel(network, training, parameters=parameters, engine=engine, plan=chosen)


BACKEND = KerasBackend


def __getattr__(name: str) -> Any:
    if name in {"Carry", "CarryCell"}:
        start(running_engine() or os.environ.get("KERAS_BACKEND", DEFAULT_ENGINE))
        from rnnlab.backends.keras import layers

        return getattr(layers, name)
    raise AttributeError(f"module 'rnnlab.backends.keras' has no attribute {name!r}")
