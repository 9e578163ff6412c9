"""The backend contract: one description of a network and its training, several engines that compute it.

A backend is a folder or file in `rnnlab/backends` that exports `BACKEND`. Parameters are drawn by `rnnlab.core` and
handed in; weights and optimiser slots go in and out as plain NumPy arrays, so that files are the same everywhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends._network import Network
from rnnlab.backends._recipe import Training
from rnnlab.core.batch import Array, Batch
from rnnlab.core.symbols import Symbols

__all__ = [
    "AbstractBackend",
    "AbstractModel",
    "Array",
    "BlockResult",
    "Network",
    "Prediction",
    "StepResult",
    "Training",
    "nothing",
]

_MOST_NUMBERS = 4_000_000  # of one-hot vectors at a time


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
class BlockResult:
    """What a block of K updates reports, in order; each number is what `StepResult` has of one update.

    It ends early, after the first update whose loss or gradient norm is not finite; that update changed no weights. It
    ends early too with the streams that `Training.stream` names.

    Attributes:
        losses, gradient_norms, learning_rates: (K,), float64.
        outputs: Raw outputs of each sequence before the update that learnt from it, (K*B, O) or (K*B, T, O).
    """

    losses: NDArray[np.float64]
    gradient_norms: NDArray[np.float64]
    learning_rates: NDArray[np.float64]
    outputs: Array

    @classmethod
    def of(cls, steps: Sequence[StepResult]) -> Self:
        """Return the results of single updates, one or more, as those of a block."""
        numbers = np.array([(step.loss, step.gradient_norm, step.learning_rate) for step in steps], np.float64)
        outputs = steps[0].outputs if len(steps) == 1 else np.concatenate([step.outputs for step in steps])
        return cls(numbers[:, 0], numbers[:, 1], numbers[:, 2], outputs)


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

    @property
    def streams(self) -> int:
        """How many streams have ended; 0 where updates are not made along streams."""
        return 0

    @final
    def train_step(self, batch: Batch) -> StepResult:
        """Run one update: a block of one."""
        one = self.train_block(batch, updates=1)
        return StepResult(float(one.losses[0]), one.outputs, float(one.gradient_norms[0]), float(one.learning_rates[0]))

    @abstractmethod
    def train_block(self, batch: Batch, *, updates: int, meanwhile: Callable[[], None] = nothing) -> BlockResult:
        """Run so many updates; the results are the same however many a block has.

        An update is forward, backward, clipping and the update rule; none where the loss or the gradient is not finite.

        Args:
            batch: `updates` times B sequences: update k, from 0, learns from rows k*B up to (k+1)*B.
            updates: How many, 1 or more.
            meanwhile: Called once, when others are at work where there are others.
        """

    @abstractmethod
    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        """Return the batch's loss and the gradient of every parameter, unclipped; nothing is updated."""

    @abstractmethod
    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        """Return outputs, and states on request, for inputs (B, T, I) of any T.

        `lengths` are the steps of each sequence, (B,); None when all are T. What it gives for later steps means
        nothing.
        """

    def outputs(self, batch: Batch) -> Array:
        """Return the raw outputs for a batch; one of symbols is divided, so that their vectors take little memory."""
        most = batch.size
        if isinstance(batch.given, Symbols):
            most = max(1, _MOST_NUMBERS // (batch.shape[1] * batch.shape[2]))
        parts = [batch.rows(start, start + most) for start in range(0, batch.size, most)]
        found = [self.predict(part.inputs, part.lengths).outputs for part in parts]
        return found[0] if len(found) == 1 else np.concatenate(found)

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
    def facts(self, network: Network, training: Training | None = None, *, batch_size: int = 1) -> dict[str, Any]:
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

    def train_blocks(
        self, models: Sequence[AbstractModel], batches: Sequence[Batch], *, updates: int
    ) -> list[BlockResult]:
        """Run a block of so many updates in each of these models, each with its own batch of the same shape.

        One call can compute all of them: `why_apart` of each two is empty. The numbers of a model do not depend on the
        others: they are those of `train_block`.
        """
        return [model.train_block(batch, updates=updates) for model, batch in zip(models, batches, strict=True)]

    def why_apart(self, one: AbstractModel, other: AbstractModel) -> str:
        """Return why one call of `train_blocks` cannot compute both models; empty where it can."""
        return ""

    def population(self, network: Network, training: Training, *, batch_size: int) -> int:
        """Return how many networks like this are trained fastest in one call of `train_blocks`; 1: it gains nothing."""
        return 1
