"""What a diagnosis is, and what it gets to look at: a trained network and fresh sequences."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.unrolled import Layer, Unrolled, unroll
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch
from rnnlab.core.figure import Figure
from rnnlab.core.streams import stream
from rnnlab.core.table import Table
from rnnlab.runs.run import Run
from rnnlab.tasks.base import AbstractTask

Array = NDArray[Any]
Numbers = NDArray[np.float64]
Found = TypeVar("Found")


@final
@dataclass(frozen=True)
class Inspected:
    """A trained network and the sequences that it is inspected on.

    Attributes:
        run: Its run.
        experiment: How it was trained, with the length of the sequences.
        task, network: Of the experiment.
        arrays: All parameters by full name.
        batch: The sequences.
        layers: The recurrent layers, in float64.
    """

    run: Run
    experiment: Experiment
    task: AbstractTask
    network: Network
    arrays: Mapping[str, Array]
    batch: Batch
    layers: tuple[Layer, ...]

    @cached_property
    def unrolled(self) -> Unrolled:
        """Every step of the network on the sequences."""
        return unroll(self.layers, self.batch.inputs, self.batch.lengths)

    def stream(self, number: int) -> np.random.Generator:
        """Return random numbers for a diagnosis; each use has a number of its own, from 1."""
        return stream(self.experiment.seed, "diagnosis", number)

    def visited(self, count: int, *, before_end: int) -> Array:
        """Return sequence and step, (N, 2), of `count` visited states drawn at random, at most.

        Args:
            count: How many.
            before_end: How many steps before the end of their sequence they are, at least.
        """
        inside = np.arange(len(self.unrolled.steps[0])) <= self.unrolled.lengths[:, None] - before_end
        found = np.argwhere(inside)
        chosen = self.stream(2).permutation(len(found))[:count]
        return np.asarray(found[np.sort(chosen)])


class AbstractDiagnosis(ABC, Generic[Found]):
    """A diagnosis: arrays in, numbers out; its words, its table and its figure are derived from the numbers.

    A subclass is one file in this folder that exports an instance as `DIAGNOSIS`; the file's stem is its name. In the
    numbers a state is called by its layer and its name in the cell's equation, `layers.0.h`; a gate likewise,
    `layers.0.f`; a matrix by its parameter, `layers.0.U`.
    """

    position: ClassVar[int] = 100  # among the others, ascending
    is_default: ClassVar[bool] = True  # False where it is slow, or needs what few runs have
    is_in_report: ClassVar[bool] = False
    is_plotted_in_terminal: ClassVar[bool] = False

    @property
    def has_figure(self) -> bool:
        """Whether it describes a figure."""
        return type(self).figure is not AbstractDiagnosis.figure

    @abstractmethod
    def compute(self, inspected: Inspected) -> Found | None:
        """Return the result, a frozen dataclass or a mapping of names to such; None where there is none.

        Raises:
            UsageError: The run lacks what is needed.
        """

    def sentences(self, _: Found, /) -> list[str]:
        """Return what the result shows, in words."""
        return []

    def conclusion(self, _: Found, /) -> list[str]:
        """Return the sentences with which a report begins, if any."""
        return []

    def table(self, _: Found, /) -> Table | None:
        """Return the result in figures, if it has a table."""
        return None

    def figure(self, _: Mapping[str, Found], /) -> Figure | None:
        """Return the figure of the results of some networks, by their headings; None where it has no figure."""
        return None


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return full name -> name for a reader: without the layer, where there is only one.

    Example:
        >>> short_names(["layers.0.h", "layers.0.c"]), short_names(["layers.0.h", "layers.1.h"])
        ({'layers.0.h': 'h', 'layers.0.c': 'c'}, {'layers.0.h': 'layers.0.h', 'layers.1.h': 'layers.1.h'})
    """
    known = list(names)
    is_single = all(name.startswith("layers.0.") for name in known)
    return {name: name.removeprefix("layers.0.") if is_single else name for name in known}
