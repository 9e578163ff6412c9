"""What a config may say of the Keras backend, and the rule for what it leaves open."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from rnnlab.backends.keras.handwritten import HANDWRITTEN
from rnnlab.cells.base import AbstractCell
from rnnlab.core.options import Options

Path = Literal["loop", "unrolled", "handwritten"]


class KerasOptions(Options):
    """How Keras computes; with `backend: numpy` it has no part."""

    path: Literal["auto", "loop", "unrolled", "handwritten"] = Field(
        "auto",
        description="loop: stock layers and automatic gradients; unrolled: the same, step after step laid out; "
        "handwritten: the whole sequence with a gradient of its own; auto: handwritten where there is one",
    )
    xla: bool | None = Field(None, description="compile by XLA; null: with the handwritten path, and always on JAX")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is computed how: chosen by a rule of config and engine alone, so that a run repeats to the bit."""

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
