"""A layer over a whole sequence with the gradient that is derived from its cell's equation.

Automatic differentiation of a loop adds up every weight's gradient step by step. Here the loop only passes the
gradient back; all weight gradients are one product for each operand after it, which is several times faster on small
networks. In the loop, too, each operand is multiplied once, by its matrices side by side.

Inside, arrays are time-major: (T, B, feature).
"""

from collections.abc import Sequence
from typing import Any, final

import keras

from rnnlab.backends.keras.derived.backward import BackwardPass
from rnnlab.backends.keras.derived.forward import ForwardPass
from rnnlab.backends.keras.engines.base import AbstractEngine
from rnnlab.cells.base import AbstractCell
from rnnlab.equations.plan import plan_of

Tensor = Any
Tensors = tuple[Tensor, ...]
ops = keras.ops


@final
class DerivedLayer:
    """One recurrent layer on an engine."""

    def __init__(self, engine: AbstractEngine, cell: AbstractCell, *, input_features: int) -> None:
        self.names, plan = list(cell.parameters(input_features)), plan_of(cell, input_features)
        self._engine, self._forward = engine, ForwardPass(plan, engine)
        self._backward = BackwardPass(self._forward, engine)

    def __call__(
        self,
        parameters: Sequence[Tensor],
        inputs: Tensor,
        state: Sequence[Tensor],
        *,
        every_step: bool,
        flows: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the outputs of inputs (T, B, I), and the state after them.

        The parameters are in the order of the cell's own. The outputs are those of all steps, (T, B, H), or, unless
        `every_step`, of the last, (B, H). No gradient flows into the state before, nor through that after. `flows` has
        of each step 1 where its gradient flows to the step before and 0 where it is cut: (T, B, 1), or (T, 1, 1) for
        the whole batch; None where it always does.
        """
        count, cuts = len(self.names), [] if flows is None else [flows]
        arguments = [*parameters, inputs, *state, *cuts]

        def forward(*given: Tensor) -> tuple[Tensors, Tensors]:
            named = dict(zip(self.names, given[:count], strict=True))
            outputs, after, kept = self._forward.run(named, given[count], given[count + 1 : count + 1 + len(state)])
            return (outputs if every_step else outputs[-1], *after), (*given, *kept)

        def backward(saved: Tensors, gradients: Tensors) -> Tensors:
            given, kept = saved[: len(arguments)], saved[len(arguments) :]
            named, others = dict(zip(self.names, given[:count], strict=True)), given[count + 1 :]
            found, of_inputs = self._backward.run(
                named, given[count], kept, gradient=gradients[0], every_step=every_step, cuts=others[len(state) :]
            )
            return (*(found[name] for name in self.names), of_inputs, *(ops.zeros_like(array) for array in others))

        outputs, *after = self._engine.with_gradient(forward, backward)(*arguments)
        return outputs, after
