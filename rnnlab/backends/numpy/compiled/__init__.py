"""Layers whose loops over time are machine code, made by LLVM for this processor; one file per cell, found by its name.

NumPy does a step of a small network in a dozen calls, which take longer than the work. Here a loop over time is one
call. Its products are made for the few columns that a batch has, with weights packed once per training step, and the
elementwise equations are those of `rnnlab.core.activations`, spelled once. The contract is that of every layer.
"""

import importlib.util
from typing import TYPE_CHECKING, Any

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import Registry

if TYPE_CHECKING:
    from rnnlab.backends.numpy.layer import AbstractLayer

COMPILED = Registry("rnnlab.backends.numpy.compiled", "LAYER", "compiled layer")
_WHERE = "numpy.compiled"


def compiled_layer(cell: str) -> "type[AbstractLayer]":
    """Return the layer of the cell of this name.

    Raises:
        UsageError: There is none, or what compiles it is not installed.
    """
    if importlib.util.find_spec("llvmlite") is None:
        problem = "llvmlite is not installed, which makes machine code"
        raise UsageError(problem, where=_WHERE, hint="pip install 'rnnlab[compiled]', or leave it out")
    if cell not in COMPILED.names():
        problem = f"the cell {cell!r} has no compiled layer"
        raise UsageError(problem, where=_WHERE, hint=f"leave it out; known: {', '.join(COMPILED.names())}")
    layer: type[AbstractLayer] = COMPILED.get(cell)
    return layer


def describe_compiler() -> dict[str, Any]:
    """Return what compiles and for which processor: together they decide the last bits."""
    from rnnlab.backends.numpy.compiled._machine import describe

    return describe()
