"""What a diagnosis is, and what it gets to look at: a trained network and fresh sequences."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.unrolled import Layer, Unrolled, unroll
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch
from rnnlab.core.figure import Panel
from rnnlab.core.streams import stream
from rnnlab.core.table import Table
from rnnlab.runs.run import Run
from rnnlab.runs.unchanged import require_same_data
from rnnlab.tasks.base import AbstractTask

Array = NDArray[Any]
Numbers = NDArray[np.float64]
Found = TypeVar("Found")
T = TypeVar("T")


@final
@dataclass(frozen=True)
class Inspected:
    """A trained network and the sequences that it is inspected on.

    Attributes:
        run: Its run.
        experiment: How it was trained, with the length of the sequences.
        network: Of the experiment.
        arrays: All parameters by full name.
        layers: The recurrent layers, in float64.
        sequences: How many sequences.
    """

    run: Run
    experiment: Experiment
    network: Network
    arrays: Mapping[str, Array]
    layers: tuple[Layer, ...]
    sequences: int

    @cached_property
    def task(self) -> AbstractTask:
        """The task.

        Raises:
            UsageError, VerificationError: A file that it reads is not there, or is not that of the training.
        """
        task = self.experiment.build_task()
        require_same_data(self.run, task)
        return task

    @cached_property
    def batch(self) -> Batch:
        """The sequences."""
        rng, source = stream(self.experiment.seed, "diagnosis"), self.task.part("validation")
        return source.sample(rng, batch_size=self.sequences, timesteps=self.experiment.timesteps)

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
    lacks: ClassVar[str] = ""  # why there is no result, where `compute` returns None
    is_default: ClassVar[bool] = True  # False where it is slow, or needs what few runs have
    needs_sequences: ClassVar[bool] = True  # False where the weights, or the record of the training, are enough
    is_in_report: ClassVar[bool] = False
    is_plotted_in_terminal: ClassVar[bool] = False
    measures: ClassVar[tuple[str, ...]] = ()  # names of its `figures`
    title: ClassVar[str] = ""  # of its figure; empty where it has none
    caption: ClassVar[str] = ""  # of its figure: what a reader who has never seen one should look for

    @abstractmethod
    def compute(self, inspected: Inspected) -> Found | None:
        """Return the result, a frozen dataclass or a mapping of names to such; None where there is none.

        Raises:
            UsageError: The run lacks what is needed.
        """

    def for_figure(self, found: Found, _: Inspected, /) -> Found:
        """Return the result with what its figure alone needs, where that takes long."""
        return found

    def sentences(self, _: Found, /) -> list[str]:
        """Return what the result shows, in words."""
        return []

    def conclusion(self, _: Found, /) -> list[str]:
        """Return the sentences with which a report begins, if any."""
        return []

    def figures(self, _: Found, /) -> dict[str, float]:
        """Return numbers of the result by name, by which a row of `rnnlab reproduce` can be judged."""
        return {}

    def table(self, _: Found, /) -> Table | None:
        """Return the result in figures, if it has a table."""
        return None

    def panels(self, _: Mapping[str, Found], /) -> list[Panel]:
        """Return the panels of the figure of the results of some networks, by their headings."""
        return []


def shortened(found: Mapping[str, T]) -> dict[str, T]:
    """Return what has full names by names for a reader: without the layer, where there is only one.

    Example:
        >>> shortened({"layers.0.h": 1, "layers.0.c": 2}), shortened({"layers.0.h": 1, "layers.1.h": 2})
        ({'h': 1, 'c': 2}, {'layers.0.h': 1, 'layers.1.h': 2})
    """
    is_single = all(name.startswith("layers.0.") for name in found)
    return {name.removeprefix("layers.0.") if is_single else name: one for name, one in found.items()}
