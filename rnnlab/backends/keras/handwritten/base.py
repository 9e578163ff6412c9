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
        bptt_steps: Gradients are cut at every multiple of this many steps, or None.
    """

    def __init__(
        self, engine: AbstractEngine, cell: AbstractCell, *, input_features: int, bptt_steps: int | None
    ) -> None:
        self.engine, self.cell, self.bptt_steps = engine, cell, bptt_steps
        self.units, self.names = cell.options.units, list(cell.parameters(input_features))

    def __call__(
        self, parameters: Sequence[Tensor], inputs: Tensor, state: Sequence[Tensor], *, every_step: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Run all steps.

        Args:
            parameters: This layer's, in the order of the cell's own.
            inputs: (T, B, I).
            state: Each array of the state, (B, H); no gradient flows into it.
            every_step: Whether to give the outputs of all steps or of the last alone.

        Returns:
            The outputs, (T, B, H) or (B, H), and the state after the last step, through which no gradient flows.
        """
        count = len(self.names)

        def forward(*given: Tensor) -> tuple[Tensors, Tensors]:
            named = dict(zip(self.names, given[:count], strict=True))
            outputs, after, saved = self.forward(named, given[count], given[count + 1 :])
            return (outputs if every_step else outputs[-1], *after), (*given, *saved)

        def backward(kept: Tensors, gradients: Tensors) -> Tensors:
            given, saved = kept[: count + 1 + len(state)], kept[count + 1 + len(state) :]
            named = dict(zip(self.names, given[:count], strict=True))
            found, of_inputs = self.backward(named, given[count], saved, gradient=gradients[0], every_step=every_step)
            return (*(found[name] for name in self.names), of_inputs, *(ops.zeros_like(array) for array in state))

        outputs, *after = self.engine.with_gradient(forward, backward)(*parameters, inputs, *state)
        return outputs, after

    @abstractmethod
    def forward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, state: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensors]:
        """Return outputs (T, B, H), the last state and what `backward` needs."""

    @abstractmethod
    def backward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, saved: Tensors, *, gradient: Tensor, every_step: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradient of every parameter and of the inputs.

        Args:
            parameters: By the cell's names.
            inputs: (T, B, I).
            saved: What `forward` gave.
            gradient: dL/d outputs, (T, B, H), or dL/d last output, (B, H).
            every_step: Which of the two.
        """

    def cuts(self, inputs: Tensor) -> list[Tensor]:
        """Return, where gradients are cut, for each step whether its gradient flows to the one before: (T, 1, 1)."""
        if self.bptt_steps is None:
            return []
        flows = [[[float(step % self.bptt_steps != 0)]] for step in range(inputs.shape[0])]
        return [ops.convert_to_tensor(flows, inputs.dtype)]


def summed_product(left: Tensor, right: Tensor) -> Tensor:
    """Return Σ over steps and batch of leftᵀ·right, (M, N), from (T, B, M) and (T, B, N)."""
    rows = left.shape[0] * left.shape[1]
    return ops.matmul(ops.transpose(ops.reshape(left, (rows, left.shape[2]))), ops.reshape(right, (rows, -1)))


def projected(inputs: Tensor, kernel: Tensor) -> Tensor:
    """Return all steps' products in one: (T, B, N) from (T, B, M) and (M, N)."""
    timesteps, batch_size, features = inputs.shape
    rows = ops.reshape(inputs, (timesteps * batch_size, features))
    return ops.reshape(ops.matmul(rows, kernel), (timesteps, batch_size, kernel.shape[1]))
