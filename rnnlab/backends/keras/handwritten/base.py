"""The contract of a layer with a hand-written gradient: forward over all steps, and back through them.

Automatic differentiation of a loop adds up every weight's gradient step by step. Here the loop only passes the
gradient back; all weight gradients are one product each after it, which is several times faster on small networks.

Inside, arrays are time-major: (T, B, feature). All is written against `keras.ops` and the engine's own loop, so that
the mathematics is written once for TensorFlow, JAX and PyTorch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from rnnlab.backends.keras.engines.base import AbstractEngine
from rnnlab.cells.base import AbstractCell

Tensor = Any
Tensors = tuple[Tensor, ...]
ops = keras.ops


class AbstractHandwritten(ABC):
    """One recurrent layer on an engine.

    Args:
        engine: Runs the loop, and takes the gradient given here for its own.
        cell: The configured cell.
        input_features: I of this layer.
    """

    def __init__(self, engine: AbstractEngine, cell: AbstractCell, *, input_features: int) -> None:
        self.engine, self.cell = engine, cell
        self.units, self.names = cell.options.units, list(cell.parameters(input_features))

    def __call__(
        self,
        parameters: Sequence[Tensor],
        inputs: Tensor,
        state: Sequence[Tensor],
        *,
        every_step: bool,
        flows: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run all steps.

        Args:
            parameters: This layer's, in the order of the cell's own.
            inputs: (T, B, I).
            state: Each array of the state, (B, H); no gradient flows into it.
            every_step: Whether to give the outputs of all steps or of the last alone.
            flows: Of each step, 1 where its gradient flows to the step before and 0 where it is cut: (T, B, 1), or
                (T, 1, 1) for the whole batch; None where it always does.

        Returns:
            The outputs, (T, B, H) or (B, H), and the state after the last step, through which no gradient flows.
        """
        count, cuts = len(self.names), [] if flows is None else [flows]
        arguments = [*parameters, inputs, *state, *cuts]

        def forward(*given: Tensor) -> tuple[Tensors, Tensors]:
            named = dict(zip(self.names, given[:count], strict=True))
            outputs, after, saved = self.forward(named, given[count], given[count + 1 : count + 1 + len(state)])
            return (outputs if every_step else outputs[-1], *after), (*given, *saved)

        def backward(kept: Tensors, gradients: Tensors) -> Tensors:
            given, saved = kept[: len(arguments)], kept[len(arguments) :]
            named, others = dict(zip(self.names, given[:count], strict=True)), given[count + 1 :]
            found, of_inputs = self.backward(
                named, given[count], saved, gradient=gradients[0], every_step=every_step, cuts=others[len(state) :]
            )
            return (*(found[name] for name in self.names), of_inputs, *(ops.zeros_like(array) for array in others))

        outputs, *after = self.engine.with_gradient(forward, backward)(*arguments)
        return outputs, after

    @abstractmethod
    def forward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, state: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensors]:
        """Return outputs (T, B, H), the last state and what `backward` needs."""

    @abstractmethod
    def backward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        saved: Tensors,
        *,
        gradient: Tensor,
        every_step: bool,
        cuts: Sequence[Tensor],
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradient of every parameter and of the inputs.

        Args:
            parameters: By the cell's names.
            inputs: (T, B, I).
            saved: What `forward` gave.
            gradient: dL/d outputs, (T, B, H), or dL/d last output, (B, H).
            every_step: Which of the two.
            cuts: One array by which the states' gradients are multiplied, step by step, or none.
        """


def summed_product(left: Tensor, right: Tensor) -> Tensor:
    """Return Σ over steps and batch of leftᵀ·right, (M, N), from (T, B, M) and (T, B, N)."""
    rows = left.shape[0] * left.shape[1]
    return ops.matmul(ops.transpose(ops.reshape(left, (rows, left.shape[2]))), ops.reshape(right, (rows, -1)))


def projected(inputs: Tensor, kernel: Tensor) -> Tensor:
    """Return all steps' products in one: (T, B, N) from (T, B, M) and (M, N)."""
    timesteps, batch_size, features = inputs.shape
    rows = ops.reshape(inputs, (timesteps * batch_size, features))
    return ops.reshape(ops.matmul(rows, kernel), (timesteps, batch_size, kernel.shape[1]))
