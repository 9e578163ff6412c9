"""The layer whose loops over time are machine code, made by LLVM for this processor; it executes the plan of any cell.

NumPy does a step of a small network in a dozen calls, which take longer than the work. Here a loop over time is one
call. Its products are made for the few columns that a batch has, with weights packed once per training step, and the
elementwise equations are those of `rnnlab.core.activations`, spelled once. The contract is that of every layer.

Whole updates of many networks, one in each lane of a vector, are made of the same parts: `docs/explanation/lanes.md`
has the files of this folder in the order in which to read them.
"""

from typing import TYPE_CHECKING, Any

from rnnlab.core.packages import is_installed, missing_package

if TYPE_CHECKING:
    from rnnlab.backends.numpy.layer import AbstractLayer


def compiled_layer() -> "type[AbstractLayer]":
    """Return the layer of any cell.

    Raises:
        EnvironmentFault: What compiles it is not installed.
    """
    require_compiler()
    from rnnlab.backends.numpy.compiled._layer import CompiledLayer

    return CompiledLayer


def require_compiler() -> None:
    """Pass if machine code can be made.

    Raises:
        EnvironmentFault: What compiles it is not installed.
    """
    if not is_installed("llvmlite"):
        problem = "llvmlite is not installed, which makes machine code"
        raise missing_package(problem, extra="compiled", where="numpy.compiled", instead="leave it out")


def describe_compiler() -> dict[str, Any]:
    """Return what compiles and for which processor: together they decide the last bits."""
    from rnnlab.backends.numpy.compiled._machine import describe

    return describe()
