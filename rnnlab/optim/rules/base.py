"""What every update rule is: options, named slots, and one in-place update of one flat vector.

All parameters of a network lie in one contiguous vector of P numbers, and so do their gradients: a step is a dozen
array operations at most, whatever the number of layers.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar, final

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from rnnlab.core.options import Options

Vector = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Slots = dict[str, NDArray[Any]]


class OptimizerOptions(Options):
    """The `training.optimizer` block; each rule adds its own numbers, named as Keras names them."""

    type: str
    learning_rate: float = Field(gt=0, le=1e3, description="step size; a schedule multiplies it")


OptionsT = TypeVar("OptionsT", bound=OptimizerOptions)


class AbstractOptimizer(ABC, Generic[OptionsT]):
    """An update rule: moves the parameters against the gradients, in place.

    The rule keeps no memory of its own but a scratch vector: all that a later step depends on is in the slots, so to
    save the slots is to save the optimiser. One instance serves one thread.

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
        self._scratch: Vector = np.empty(0)

    @abstractmethod
    def slot_names(self) -> tuple[str, ...]:
        """Return the names of the vectors kept between steps, those of Keras's optimiser variables."""

    @abstractmethod
    def _move(
        self, parameters: Vector, gradients: Vector, slots: Slots, *, scratch: Vector, learning_rate: float
    ) -> None:
        """Apply the equation; `slots["step"]` already counts this step, `scratch` is a spare (P,) vector."""

    def _decay(self, parameters: Vector, decays: Mask | None, *, scratch: Vector, learning_rate: float) -> None:
        """Shrink the parameters before they are moved; most rules do not.

        Args:
            parameters: (P,).
            decays: As `update` has it.
            scratch: A spare (P,) vector.
            learning_rate: The rate of this step.
        """

    @final
    def initial_slots(self, size: int, dtype: DTypeLike) -> Slots:
        """Return the slots before the first step, all zero.

        Args:
            size: P, the number of parameters.
            dtype: That of the parameters, float32 or float64.

        Returns:
            One (P,) vector of `dtype` for each of `slot_names()`, and `step`: (1,) int64, the number of updates done.
        """
        vectors = {name: np.zeros(size, dtype) for name in self.slot_names()}
        return {"step": np.zeros(1, np.int64), **vectors}

    @final
    def update(
        self,
        parameters: Vector,
        gradients: Vector,
        slots: Slots,
        *,
        learning_rate: float,
        decays: Mask | None = None,
    ) -> None:
        """Do one step: change `parameters` and `slots` in place, leave `gradients` as they are.

        Args:
            parameters: (P,) float32 or float64. Every operation runs in this dtype.
            gradients: (P,) of the same dtype, clipped already if they are to be.
            slots: From `initial_slots`, or a copy of them saved earlier.
            learning_rate: The rate of this step: base rate times the schedule's factor, 0 or greater.
            decays: (P,), which parameters a rule with weight decay shrinks; None for all.

        Raises:
            ValueError: Parameters and gradients differ in shape or dtype (a bug of the caller, never of a config).
        """
        if gradients.dtype != parameters.dtype or gradients.shape != parameters.shape:
            raise ValueError(
                f"gradients are {gradients.dtype} {gradients.shape}, parameters {parameters.dtype} {parameters.shape}; "
                "expected the same dtype and shape"
            )
        slots["step"] += 1
        # A NumPy float64 scalar would lift float32 arithmetic to float64; a Python number does not.
        rate, scratch = float(learning_rate), self._scratch_like(parameters)
        self._decay(parameters, decays, scratch=scratch, learning_rate=rate)
        self._move(parameters, gradients, slots, scratch=scratch, learning_rate=rate)

    def _scratch_like(self, parameters: Vector) -> Vector:
        if self._scratch.shape != parameters.shape or self._scratch.dtype != parameters.dtype:
            self._scratch = np.empty_like(parameters)
        return self._scratch
