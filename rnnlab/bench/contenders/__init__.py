"""The contenders, one file per library: what each one is, and which of them do a given work on this machine.

The library of a contender is imported in its own process only.
"""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from rnnlab.backends.keras.engines import ENGINES
from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.devices import Device
from rnnlab.bench.work import Work
from rnnlab.core.errors import UsageError
from rnnlab.core.packages import is_installed, missing_package
from rnnlab.core.registry import nearest


@final
@dataclass(frozen=True, slots=True)
class Contender:
    """What is known of a contender without importing its library.

    Attributes:
        name: Its name in tables, to which the engine of Keras is added, if it has one.
        place: `module:Class` in `rnnlab.bench.contenders`.
        packages: What must be installed, its engine included.
        framework: Its name for `--against`; empty for rnnlab's own backends.
        setting: What a config sets to use it; empty for other libraries.
        only: The values of the cell's options that it computes; an option that is not named may have any.
        gpu: Whether it computes on a GPU too.
    """

    name: str
    place: str
    packages: tuple[str, ...]
    framework: str = ""
    engine: str = ""
    setting: str = ""
    only: Mapping[str, Sequence[object]] = field(default_factory=dict, hash=False)
    gpu: bool = False

    def __str__(self) -> str:
        return f"{self.name}/{self.engine}" if self.engine else self.name

    @property
    def is_own(self) -> bool:
        """Whether it is one of rnnlab's backends: what a config can choose."""
        return not self.framework

    def suits(self, work: Work) -> bool:
        """Return whether it can do this work."""
        return all(getattr(work.cell, name, None) in values for name, values in self.only.items())

    def load(self) -> type[AbstractContender]:
        """Return its class; this imports its library."""
        module, _, name = self.place.partition(":")
        kind: type[AbstractContender] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return kind


def _on_engines(contender: Contender) -> list[Contender]:
    """Return the contender on each engine of Keras."""
    names = ENGINES.names()
    return [replace(contender, engine=name, packages=(*contender.packages, name)) for name in names]


_GATED = {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)}
_TABLE = (
    Contender("numpy", "base:Numpy", ("numpy",), setting="backend numpy"),
    Contender("compiled", "base:Compiled", ("numpy", "llvmlite"), setting="backend numpy, numpy.compiled true,"),
    *_on_engines(Contender("keras", "keras:Keras", ("keras",), setting="backend keras", gpu=True)),
    *_on_engines(Contender("fit", "keras:Fit", ("keras",), "keras")),
    Contender("jax_scan", "jax:JaxScan", ("jax",), "jax"),
    Contender("tensorflow_loop", "tensorflow:TensorflowLoop", ("tensorflow",), "tensorflow"),
    Contender("torch_gru", "torch:TorchGru", ("torch",), "torch", only={
        "type": ("gru",), "reset_after": (True,), **_GATED,
    }, gpu=True),
    Contender("torch_loop", "torch:TorchLoop", ("torch",), "torch", gpu=True),
    Contender("torch_lstm", "torch:TorchLstm", ("torch",), "torch", only={"type": ("lstm",), **_GATED}, gpu=True),
    Contender("torch_rnn", "torch:TorchRnn", ("torch",), "torch", only={
        "type": ("simple",), "activation": ("tanh", "relu"),
    }, gpu=True),
)  # fmt: skip
CONTENDERS = {str(contender): contender for contender in _TABLE}

_NONE = "none"
_EXTRAS = {"jax": "jax", "keras": "tensorflow", "tensorflow": "tensorflow", "torch": "torch"}


def with_peers() -> list[str]:
    """Return the cells that another library has a layer for."""
    return sorted({str(cell) for one in _TABLE for cell in one.only.get("type", ())})


def choose(
    works: Sequence[Work], against: Sequence[str] | None, *, device: Device = "cpu"
) -> dict[Work, list[Contender]]:
    """Return the contenders of each work, rnnlab's own first.

    Of other frameworks, those named in `against`, `none` alone for none; None for all that are installed.

    Raises:
        UsageError: An unknown framework, or one that is not measured on this device.
        EnvironmentFault: One that is not installed, or there is none at all.
    """
    table = [one for one in _TABLE if one.gpu or device == "cpu"]
    for framework in against or ():
        if framework in _EXTRAS and framework not in {one.framework for one in table}:
            problem = f"{framework} is measured on the CPU only"
            raise UsageError(problem, where="--against", hint="with --device gpu: torch, or none")
    wanted = {"", *_EXTRAS} if against is None else {"", *_checked(against)}
    chosen = [one for one in table if one.framework in wanted and all(map(is_installed, one.packages))]
    if not chosen:
        raise missing_package("Keras is not installed, with any engine", extra="torch")
    return {work: [one for one in chosen if one.suits(work)] for work in works}


def _checked(frameworks: Sequence[str]) -> Sequence[str]:
    where = "--against"
    if list(frameworks) == [_NONE]:
        return ()
    if _NONE in frameworks:
        raise UsageError(f"{_NONE} cannot be combined with others", where=where, hint=f"known: {', '.join(_EXTRAS)}")
    for framework in frameworks:
        if framework not in _EXTRAS:
            hint = nearest(framework, [*_EXTRAS, _NONE])
            raise UsageError(f"unknown library {framework[:60]!r}", where=where, hint=hint)
        if not is_installed(framework):
            raise missing_package(f"{framework} is not installed", where=where, extra=_EXTRAS[framework])
    return frameworks
