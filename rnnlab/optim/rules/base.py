"""What every update rule is: options, named slots, and one equation for a parameter.

All parameters of a network lie in one contiguous vector of P numbers, and so do their gradients: a step is a dozen
array operations at most, whatever the number of layers. The equation is written once, against an array namespace `xp`
as that of a cell is: NumPy's calls and machine code are made of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, final

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from rnnlab.core.options import Options

Vector = NDArray[np.floating[Any]]
Slots = dict[str, NDArray[Any]]
Arrays = Mapping[str, Any]


class OptimizerOptions(Options):
    """The `training.optimizer` block; each rule adds its own numbers, named as Keras names them."""

    type: str
    learning_rate: float = Field(gt=0, le=1e3, description="step size; a schedule multiplies it")


OptionsT = TypeVar("OptionsT", bound=OptimizerOptions)


class AbstractOptimizer(ABC, Generic[OptionsT]):
    """An update rule: moves the parameters against the gradients.

    The rule keeps no memory of its own: all that a later step depends on is in the slots, so to save the slots is to
    save the optimiser.

    Args:
        options: The rule's numbers. The learning rate in them is the base rate; each step is given its own.

    Attributes:
        keras_name: The class in `keras.optimizers` with the same equation, options and slots; None if there is none,
            and then the rule runs on the backend numpy alone.
    """

    name: ClassVar[str]
    keras_name: ClassVar[str | None] = None
    Options: type[OptionsT]

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    @abstractmethod
    def slot_names(self) -> tuple[str, ...]:
        """Return the names of the vectors kept between steps, those of Keras's optimiser variables."""

    @abstractmethod
    def numbers(self, step: Any, learning_rate: Any) -> dict[str, Any]:
        """Return the numbers of the equation at a step, by name, in double precision.

        Args:
            step: Which step this is, from 1; or an array of steps, for which numbers may be arrays.
            learning_rate: The rate of this step, or of each.
        """

    @abstractmethod
    def move(self, xp: Any, at: Arrays, numbers: Arrays) -> dict[str, Any]:
        """Return `parameters` and the slots after a step, by name.

        Args:
            xp: The array namespace.
            at: By name `parameters`, `gradients`, `decays` (whether a parameter decays) and the slots, all of one size.
            numbers: What `numbers` returned.
        """

    @final
    def initial_slots(self, size: int, dtype: DTypeLike) -> Slots:
        """Return the slots before the first step, all zero, for P parameters.

        They are one (P,) vector for each of `slot_names()`, and `step`, (1,) int64, the number of updates done.
        """
        vectors = {name: np.zeros(size, dtype) for name in self.slot_names()}
        return {"step": np.zeros(1, np.int64), **vectors}
