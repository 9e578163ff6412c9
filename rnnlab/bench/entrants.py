"""What can be measured: the table of contenders, and which of them do a given work on this machine."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from rnnlab.backends.keras.engines import ENGINES
from rnnlab.backends.numpy.compiled import COMPILED
from rnnlab.bench.work import Work
from rnnlab.cells import CELLS
from rnnlab.core import activations
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest

if TYPE_CHECKING:
    from rnnlab.bench.contenders.base import AbstractContender

NONE = "none"


@final
@dataclass(frozen=True, slots=True)
class Contender:
    """What is known of a contender without importing its library.

    Attributes:
        name: Its name in tables.
        place: `module:Class` in `rnnlab.bench.contenders`.
        packages: What must be installed, apart from its engine.
        framework: Its name for `--against`; empty for rnnlab's own backends.
        engines: The engines it can run on, an entrant each; an empty name where there is no choice.
        setting: What a config sets to use it; empty for other libraries.
        same_function: Whether it computes the cell's equations; if not, it is shown but not ranked.
        cells: Returns the cells that it computes.
        activations: The activations that it knows.
    """

    name: str
    place: str
    packages: tuple[str, ...]
    framework: str = ""
    engines: tuple[str, ...] = ("",)
    setting: str = ""
    same_function: bool = True
    cells: Callable[[], Sequence[str]] = lambda: ("simple", "carry")
    activations: frozenset[str] = frozenset(activations.names())

    def suits(self, work: Work) -> bool:
        """Return whether it can do this work."""
        used = {work.cell.activation, getattr(work.cell, "recurrent_activation", work.cell.activation)}
        return work.cell.type in self.cells() and used <= self.activations

    def load(self) -> "type[AbstractContender]":
        """Return its class; this imports its library."""
        module, _, name = self.place.partition(":")
        kind: type[AbstractContender] = getattr(importlib.import_module(f"rnnlab.bench.contenders.{module}"), name)
        return kind


_ENGINES = tuple(ENGINES.names())
_INSTALL = {
    "jax": "pip install 'rnnlab[jax]'",
    "keras": "pip install keras",
    "tensorflow": "pip install tensorflow",
    "torch": "pip install 'rnnlab[torch]'",
}
_SIMPLE, _CARRY = (lambda: ("simple",)), (lambda: ("carry",))
_TABLE = (
    Contender("numpy", "numpy:Numpy", ("numpy",), setting="backend numpy", cells=CELLS.names),
    Contender(
        "compiled", "numpy:Compiled", ("numpy", "llvmlite"), cells=COMPILED.names,
        setting="backend numpy, numpy.compiled true,",
    ),
    Contender("keras", "keras:Keras", ("keras",), engines=_ENGINES, setting="backend keras", cells=CELLS.names),
    Contender("fit", "keras:Fit", ("keras",), "keras", engines=_ENGINES),
    Contender(
        "jax_scan", "jax:JaxScan", ("jax",), "jax", activations=frozenset({"tanh", "sigmoid", "relu", "hard_sigmoid"})
    ),
    Contender(
        "tensorflow_loop", "tensorflow:TensorflowLoop", ("tensorflow",), "tensorflow",
        activations=frozenset({"tanh", "sigmoid", "relu", "softsign"}),
    ),
    Contender(
        "torch_loop", "torch:TorchLoop", ("torch",), "torch", cells=_CARRY,
        activations=frozenset({"tanh", "sigmoid", "relu", "softsign", "hard_sigmoid"}),
    ),
    Contender("torch_lstm", "torch:TorchLstm", ("torch",), "torch", cells=_CARRY, same_function=False),
    Contender(
        "torch_rnn", "torch:TorchRnn", ("torch",), "torch", cells=_SIMPLE, activations=frozenset({"tanh", "relu"})
    ),
)  # fmt: skip
CONTENDERS = {contender.name: contender for contender in _TABLE}


@final
@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender on one engine.

    Attributes:
        name: The contender's.
        engine: One of its engines, or empty.
    """

    name: str
    engine: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.engine}" if self.engine else self.name

    @property
    def contender(self) -> Contender:
        """What is known of the contender."""
        return CONTENDERS[self.name]

    @property
    def is_own(self) -> bool:
        """Whether it is one of rnnlab's backends: what a config can choose."""
        return not self.contender.framework

    @property
    def is_installed(self) -> bool:
        """Whether all packages that it needs are installed."""
        return all(map(is_installed, filter(None, (self.engine, *self.contender.packages))))


def is_installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def choose(works: Sequence[Work], against: Sequence[str] | None) -> dict[Work, list[Entrant]]:
    """Return the entrants of each work, rnnlab's own first.

    Args:
        works: What is to be measured.
        against: The other frameworks to measure, or `none` alone; None for all that are installed.

    Raises:
        UsageError: An unknown framework, or one that is not installed.
    """
    frameworks = _frameworks(against)
    entrants = [Entrant(one.name, engine) for one in _TABLE for engine in one.engines]
    wanted = [one for one in entrants if one.is_own or frameworks is None or one.contender.framework in frameworks]
    present = [one for one in wanted if one.is_installed]
    return {work: [one for one in present if one.contender.suits(work)] for work in works}


def _frameworks(against: Sequence[str] | None) -> set[str] | None:
    if against is None:
        return None
    if list(against) == [NONE]:
        return set()
    if NONE in against:
        raise UsageError(
            f"{NONE} cannot be combined with others", where="--against", hint=f"known: {', '.join(_INSTALL)}"
        )
    for framework in against:
        if framework not in _INSTALL:
            raise UsageError(
                f"unknown library {framework[:60]!r}", where="--against", hint=nearest(framework, [*_INSTALL, NONE])
            )
        if not is_installed(framework):
            raise UsageError(f"{framework} is not installed", where="--against", hint=_INSTALL[framework])
    return set(against)
