"""The engine contract: what TensorFlow, JAX and PyTorch each spell in their own way."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from rnnlab.core.batch import Array

if TYPE_CHECKING:
    from rnnlab.backends.keras.optimizer import KerasOptimizer  # which imports Keras

Tensor = Any
Tensors = Sequence[Tensor]
Scanned = tuple[list[Tensor], list[Tensor]]
# (what flows from step to step, the slices of this step) -> (what flows on, what is kept of this step)
ScanBody = Callable[[list[Tensor], list[Tensor]], Scanned]
# (values of the parameters, arrays of the batch) -> (loss, outputs)
Loss = Callable[[Tensors, Tensors], tuple[Tensor, Tensor]]
# (values of the parameters, arrays of the batch) -> (loss, outputs, gradients)
Gradients = Callable[[Tensors, Tensors], tuple[Tensor, Tensor, list[Tensor]]]
# (arguments) -> (outputs, what the backward function needs)
Forward = Callable[..., tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]
# (what the forward function saved, gradients of its outputs) -> gradient of every argument
Backward = Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], tuple[Tensor, ...]]
# (arguments) -> outputs
Function = Callable[..., tuple[Tensor, ...]]
# (arrays of the batch, learning rate) -> (loss, outputs, norm of the gradients); the variables change in place
Step = Callable[[Sequence[Array], float], tuple[float, Array, float]]
# Losses (K,), outputs (K, …) and norms of the gradients (K,), to the first that is not finite.
Results = tuple[Array, Array, Array]


@final
@dataclass(frozen=True, slots=True)
class Lane:
    """A block of updates of one network."""

    updater: "KerasOptimizer"  # changes its variables in place
    arrays: Sequence[Array]  # of the batches, (K, …) each
    rates: Array  # the learning rate of each update, (K,), float64


# (some networks, how many the program is for) -> the results of each
Block = Callable[[Sequence[Lane], int], list[Results]]


class AbstractEngine(ABC):
    """One engine; to make it is to set it up for this process, with so many processors."""

    name: ClassVar[str]

    @abstractmethod
    def __init__(self, cpus: int) -> None: ...

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return version, devices, threads and precision of matrix products, for the provenance."""

    @abstractmethod
    def tensor(self, array: Array) -> Tensor:
        """Return a NumPy array as a tensor of the same dtype on the device that computes."""

    @abstractmethod
    def array(self, tensor: Tensor) -> Array:
        """Return a tensor's values as a NumPy array."""

    @abstractmethod
    def scan(
        self, body: ScanBody, initial: Tensors, sequences: Tensors, *, widths: Sequence[int], reverse: bool = False
    ) -> Scanned:
        """Run `body` step by step.

        Args:
            body: One step.
            initial: What flows into the first step, each (B, width).
            sequences: Read slice by slice, each (T, …).
            widths: Of what each step keeps, (B, width).
            reverse: From the last step to the first; what is kept still lies in the order of the steps.

        Returns:
            What flows out of the last step, and what was kept, each (T, B, width).
        """

    @abstractmethod
    def with_gradient(self, forward: Forward, backward: Backward) -> Function:
        """Return a function of tensors with the gradient that `backward` gives, not one that the engine finds."""

    @abstractmethod
    def compile_function(self, function: Callable[..., Any], *, xla: bool) -> Callable[..., Any]:
        """Return a function of tensors, compiled as far as the engine does."""

    @abstractmethod
    def compile_gradients(self, loss: Loss, *, xla: bool) -> Gradients:
        """Return the compiled loss with its gradient by the values."""

    @abstractmethod
    def compile_block(self, loss: Loss, updater: "KerasOptimizer", *, form: str, width: int, xla: bool) -> Block:
        """Return compiled training; nothing changes where the loss or the gradient's norm is not finite.

        Args:
            loss: Of a batch, or of some of its rows: their losses add up to that of the batch.
            updater: Changes the parameters. An engine that trains networks side by side takes others of the same form.
            form: A text that is the same for all that may share a compiled program.
            width: Units of all layers together, from which an engine may decide whether to split a batch.
            xla: Whether to compile by XLA.
        """


def stepwise(step: Step) -> Block:
    """Return the block of an engine that computes its updates one by one."""

    def block(lanes: Sequence[Lane], _: int) -> list[Results]:
        (lane,), steps = lanes, list[tuple[float, Array, float]]()
        for number, rate in enumerate(lane.rates.tolist()):
            steps.append(step([array[number] for array in lane.arrays], rate))
            if not (math.isfinite(steps[-1][0]) and math.isfinite(steps[-1][2])):
                break
        losses, outputs, norms = zip(*steps, strict=True)
        return [(np.array(losses), np.stack(outputs), np.array(norms))]

    return block
