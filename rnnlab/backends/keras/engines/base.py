"""The engine contract: what TensorFlow, JAX and PyTorch each spell in their own way."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]
Tensor = Any
Tensors = Sequence[Tensor]
# (what flows from step to step, the slices of this step) -> (what flows on, what is kept of this step)
ScanBody = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]
# (values of the parameters, arrays of the batch) -> (loss, outputs)
Loss = Callable[[Tensors, Tensors], tuple[Tensor, Tensor]]
# (values of the parameters, arrays of the batch) -> (loss, outputs, gradients)
Gradients = Callable[[Tensors, Tensors], tuple[Tensor, Tensor, list[Tensor]]]
# (B) -> the rows of each part into which a batch is split
Parts = Callable[[int], list[slice]]
# (arrays of the batch, learning rate) -> (loss, outputs, norm of the gradients); the variables change in place
Step = Callable[[Sequence[Array], float], tuple[float, Array, float]]


class AbstractEngine(ABC):
    """One engine, set up for this process.

    Args:
        cpus: Processors that it may use.
    """

    name: ClassVar[str]

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus

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
        self,
        body: ScanBody,
        initial: list[Tensor],
        sequences: list[Tensor],
        *,
        widths: Sequence[int],
        reverse: bool = False,
    ) -> tuple[list[Tensor], list[Tensor]]:
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
    def with_gradient(
        self,
        forward: Callable[..., tuple[tuple[Tensor, ...], tuple[Tensor, ...]]],
        backward: Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], tuple[Tensor, ...]],
    ) -> Callable[..., tuple[Tensor, ...]]:
        """Return a function of tensors whose gradient is hand-written.

        Args:
            forward: The function: its outputs, and what `backward` needs.
            backward: From that and the outputs' gradients, the gradient of every argument.
        """

    @abstractmethod
    def compile_function(self, function: Callable[..., Any], *, xla: bool) -> Callable[..., Any]:
        """Return a function of tensors, compiled as far as the engine does."""

    @abstractmethod
    def compile_gradients(self, loss: Loss, *, xla: bool) -> Gradients:
        """Return the compiled loss with its gradient by the values."""

    @abstractmethod
    def compile_step(self, loss: Loss, updater: "Updater", *, parts: Parts, xla: bool) -> Step:
        """Return a compiled training step; nothing changes where the loss or the gradient's norm is not finite.

        Args:
            loss: Of a batch, or of a part of one: a part's losses and gradients add up to the batch's.
            updater: Changes the parameters.
            parts: How a batch is split where an engine computes its parts side by side.
            xla: Whether to compile by XLA.
        """


class Updater(Protocol):
    """An optimiser as an engine sees it; all variables are Keras's."""

    @property
    def trained(self) -> list[Any]:
        """The parameters, in their order."""

    @property
    def slots(self) -> list[Any]:
        """What else an update changes."""

    @property
    def rate(self) -> Any:
        """The learning rate of the next update."""

    def clipped(self, gradients: Tensors) -> tuple[list[Tensor], Tensor]:
        """Return the clipped gradients, and their norm before that."""

    def apply(self, gradients: Tensors) -> None:
        """Assign parameters and slots their next values."""


def shards(batch_size: int, *, width: int) -> list[slice]:
    """Return the parts into which a batch is split, to be computed side by side and added up in this order.

    A rule of the shape alone: the number of threads at hand changes no number. Small batches stay whole.

    Args:
        batch_size: B.
        width: Units of all layers together.

    Example:
        >>> shards(64, width=32)
        [slice(0, 32, None), slice(32, 64, None)]
        >>> shards(8, width=32)
        [slice(0, 8, None)]
    """
    count = 2 if batch_size % 2 == 0 and batch_size * width >= 1024 else 1
    size = batch_size // count
    return [slice(n * size, (n + 1) * size) for n in range(count)]
