"""The backend contract: one description of a network and its training, several engines that compute it.

A backend is a folder or file in `rnnlab/backends` that exports `BACKEND`. Parameters are drawn by `rnnlab.core` and
handed in; weights and optimiser slots go in and out as plain NumPy arrays, so that files are the same everywhere.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rnnlab.cells.base import AbstractCell
from rnnlab.core.batch import Batch
from rnnlab.core.losses import LOSSES, AbstractLoss
from rnnlab.core.parameters import Parameter, draw_parameters
from rnnlab.optim.rules.base import AbstractOptimizer
from rnnlab.optim.schedules.base import AbstractSchedule

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Network:
    """Stacked recurrent layers and a linear output layer: all that defines the function computed.

    Attributes:
        cell: The cell of every layer, configured.
        input_features: I.
        output_features: O.
        return_sequences: Whether the output layer reads every step or only each sequence's last.
        loss: Key of `rnnlab.core.losses.LOSSES`.
        precision: `float32` or `float64`.
    """

    cell: AbstractCell
    input_features: int
    output_features: int
    return_sequences: bool
    loss: str
    precision: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of parameters, states and outputs."""
        return np.dtype(self.precision)

    @property
    def loss_function(self) -> AbstractLoss:
        """The loss itself."""
        return LOSSES[self.loss]

    def layer_features(self, layer: int) -> int:
        """Return how many features a layer reads; the first layer reads the inputs."""
        return self.input_features if layer == 0 else self.cell.options.units

    def layer_parameters(self, layer: int) -> dict[str, Parameter]:
        """Return one layer's parameters by the cell's own names."""
        return self.cell.parameters(self.layer_features(layer))

    def parameters(self) -> dict[str, Parameter]:
        """Return all parameters by full name, `layers.0.W` … `head.b`, in their fixed order."""
        described = {
            f"layers.{layer}.{name}": parameter
            for layer in range(self.cell.options.layers)
            for name, parameter in self.layer_parameters(layer).items()
        }
        described["head.W"] = Parameter((self.cell.options.units, self.output_features), "kernel")
        described["head.b"] = Parameter((self.output_features,), "bias")
        return described

    def shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Return shape and dtype of each parameter by full name."""
        return {name: (parameter.shape, self.dtype) for name, parameter in self.parameters().items()}

    def in_matrices(self) -> NDArray[np.bool_]:
        """Return of every value of all parameters, in their order, whether it is of a matrix and not a bias, (P,)."""
        described = self.parameters().values()
        return np.repeat([len(one.shape) > 1 for one in described], [one.size for one in described])

    def empty_outputs(self, batch_size: int, timesteps: int) -> Array:
        """Return zeros for the raw outputs of a batch: (B, O), or (B, T, O) for sequences."""
        steps = (timesteps,) if self.return_sequences else ()
        return np.zeros((batch_size, *steps, self.output_features), self.dtype)

    def describe(self) -> dict[str, Any]:
        """Return all that defines the function, as plain data: stored with weights and compared on load."""
        return {
            "cell": self.cell.name,
            "cell_version": self.cell.version,
            "cell_options": self.cell.options.model_dump(exclude={"type", "initializers"}),
            "input_features": self.input_features,
            "output_features": self.output_features,
            "return_sequences": self.return_sequences,
            "loss": self.loss,
            "precision": self.precision,
        }

    def draw(self, seed: int) -> dict[str, Array]:
        """Draw the initial parameters of a run with this seed."""
        initializers = self.cell.options.initializers
        roles = {role: getattr(initializers, role) for role in ("kernel", "recurrent_kernel", "bias")}
        return draw_parameters(self.parameters(), initializers=roles, seed=seed, dtype=self.dtype)


@dataclass(frozen=True, slots=True)
class Training:
    """How parameters are updated.

    Attributes:
        optimizer: The update rule, configured.
        learning_rate: The base rate, > 0.
        schedule: Multiplies the base rate; a function of the updates done and, for `plateau`, of the evaluations.
        clip_norm: Bound on the global norm of all gradients together, or None.
        clip_value: Bound on each gradient's absolute value, or None.
        bptt_steps: k of truncated back-propagation through time: gradients flow back within windows of k steps, counted
            from the end of each sequence. So a loss at the last step teaches exactly k steps, and the loss of one step
            among many 1 to k. None for no windows. It is TBPTT(k1 = k, k2 = k) of Sutskever 2013, "Training recurrent
            neural networks", and BPTT(h = k; h' = k) of Williams and Peng 1990, Neural Computation 2:490, but for two
            things: all windows of a batch make one update, and it is the first window, not the last, that is shorter
            where T is no multiple of k.
        longest: Steps of the longest sequence to come, where that is known: an engine may lay out its buffers for it.
        recompute: Whether to keep states only now and then and go forward twice: memory grows as √T and not as T, for
            a third more time and the same numbers. `auto`: where the memory would be large. NumPy alone can.
    """

    optimizer: AbstractOptimizer[Any]
    learning_rate: float
    schedule: AbstractSchedule[Any]
    clip_norm: float | None = None
    clip_value: float | None = None
    bptt_steps: int | None = None
    longest: int | None = None
    recompute: Literal["auto", "off", "sqrt"] = "auto"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a training step reports.

    Attributes:
        loss: Mean loss over the batch's scored steps, before the update.
        outputs: Raw outputs before the update, (B, O), or (B, T, O) for sequences; zero at steps that are not scored.
        gradient_norm: Global norm of the gradient before clipping.
        learning_rate: The rate this update used.
    """

    loss: float
    outputs: Array
    gradient_norm: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network gives for inputs.

    Attributes:
        outputs: Raw outputs: (B, O), or (B, T, O) for sequences.
        states: On request, every state after every step: `layers.0.h` … each (B, T, H); else empty.
    """

    outputs: Array
    states: dict[str, Array]


def nothing() -> None:
    """Do nothing."""


class AbstractModel(ABC):
    """A network built on an engine, with its parameters and optimiser slots."""

    def __init__(self, network: Network, training: Training | None) -> None:
        self.network = network
        self.training = training

    @abstractmethod
    def train_step(self, batch: Batch, *, meanwhile: Callable[[], None] = nothing) -> StepResult:
        """Run forward, backward, clip and update once; no update where the loss or the gradient is not finite.

        Args:
            batch: What to learn from.
            meanwhile: Called once, when others are at work on the step where there are others.
        """

    @abstractmethod
    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        """Return the batch's loss and the gradient of every parameter, unclipped; nothing is updated."""

    @abstractmethod
    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        """Return outputs, and states on request, for inputs (B, T, I) of any T.

        What it gives for steps after a sequence's end means nothing.

        Args:
            inputs: (B, T, I).
            lengths: Steps of each sequence, (B,); None when all are T.
            states: Whether to return every state after every step.
        """

    @abstractmethod
    def parameters(self) -> dict[str, Array]:
        """Return copies of all parameters by full name."""

    @abstractmethod
    def state_dict(self) -> dict[str, Array]:
        """Return copies of everything an update changes: `parameters/…` and `optimizer/…`."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take back what `state_dict` gave."""


class AbstractBackend(ABC):
    """An engine that builds models."""

    name: ClassVar[str]

    @abstractmethod
    def facts(self, network: Network) -> dict[str, Any]:
        """Return what computes this network and how, for the provenance."""

    @abstractmethod
    def running(self) -> AbstractContextManager[None]:
        """Return the context in which this engine's models run: threads set, and set back at the end."""

    @abstractmethod
    def build(
        self, network: Network, *, parameters: Mapping[str, Array], training: Training | None = None
    ) -> AbstractModel:
        """Return a model with these parameters; without `training` it can only predict.

        Raises:
            EnvironmentFault: The engine is not installed.
        """


def allotted_cpus() -> int:
    """Return the processors allotted to this process, at least 1.

    `SLURM_CPUS_PER_TASK` if a job sets it, and never more than the affinity allows.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(int(asked), allowed) if asked.isdecimal() and int(asked) > 0 else allowed
