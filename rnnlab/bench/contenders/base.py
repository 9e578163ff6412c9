"""The contender contract: the same work, in a library's own words.

A contender is one file in this folder that exports `CONTENDER`. The class is light: its library is imported by
`build`, in a process of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from numpy.typing import NDArray

from rnnlab.bench.checking import Figures
from rnnlab.bench.work import Work

Array = NDArray[Any]


class AbstractContender(ABC):
    """Somebody who does the work.

    Attributes:
        framework: What `--against` calls it; empty for rnnlab's own backends.
        packages: What must be installed beside its engine.
        install: The command that installs them.
        engines: What it can run on, one contender each; an empty name where there is no choice.
        same_function: Whether it computes the cell's equations; if not, it is shown and not ranked.
        calls: Training steps that one `step` does.
        setting: What a config says to have it; empty for peers.

    Args:
        work: What to do.
        engine: One of `engines`.
        threads: How many it may use.
    """

    framework: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    install: ClassVar[str]
    engines: ClassVar[tuple[str, ...]] = ("",)
    same_function: ClassVar[bool] = True
    calls: ClassVar[int] = 1
    setting: ClassVar[str] = ""

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        self.work, self.engine, self.threads = work, engine, threads

    @classmethod
    @abstractmethod
    def suits(cls, work: Work) -> bool:
        """Return whether it can do this work."""

    @abstractmethod
    def build(self) -> None:
        """Make the network anew from the work's parameters, and put the batch where it computes."""

    @abstractmethod
    def step(self) -> None:
        """Train once on the batch, and return when that is done."""

    @abstractmethod
    def figures(self) -> Figures | None:
        """Return loss and gradients at the work's parameters, or None if it is another function; call `build` first."""

    @abstractmethod
    def product(self, matrix: Array) -> Callable[[], object]:
        """Return a function that multiplies this matrix with itself in the contender's library, and waits for it."""

    def running(self) -> AbstractContextManager[None]:
        """Return the context in which it trains."""
        return nullcontext()

    def kernels(self) -> str:
        """Return what its library says of the code it runs on this processor; empty where it says nothing."""
        return ""


def knows(work: Work, activations: frozenset[str]) -> bool:
    """Return whether the work's cell is one of rnnlab's two, with no activation but these."""
    options = work.cell
    asked = {options.activation, getattr(options, "recurrent_activation", options.activation)}
    return options.type in {"simple", "carry"} and asked <= activations
