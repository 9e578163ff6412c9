"""The readable layer, for any cell: a loop over its own `step`, with which the engines are compared."""

from typing import Any

import numpy as np

from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape
from rnnlab.cells.base import AbstractCell, AbstractDerivedByHand, Arrays, Step, StepGradients
from rnnlab.core.batch import Array
from rnnlab.core.namespace import NUMPY
from rnnlab.equations.evaluate import pull_back
from rnnlab.equations.plan import plan_of


class ReferenceLayer(AbstractLayer):
    """Back-propagation through time exactly as in the cell's file."""

    def begin(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    def finish(self) -> None:
        """Nothing: each step adds its own."""

    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        tape.kept = kept = []
        for x in inputs.astype(self._dtype):
            step = self.cell.step(NUMPY, self.parameters, x, state)
            kept.append((x, state, step))
            state = step.state
        return np.stack([step.output for _, _, step in kept]), state  # (T, B, H)

    def states(self, tape: Tape) -> State:
        return {name: np.stack([step.state[name] for _, _, step in tape.kept]) for name in self.cell.states}

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        input_gradients = []
        for (x, state, step), from_above in zip(reversed(tape.kept), reversed(output_gradients), strict=True):
            gradient = np.zeros_like(step.output) if from_above is None else from_above
            back = step_gradients(
                self.cell,
                self.parameters,
                inputs=x,
                state=state,
                step=step,
                output_gradient=gradient,
                state_gradient=state_gradient,
            )
            for name, value in back.parameters.items():
                self.gradients[name][...] += value
            input_gradients.append(back.inputs)
            state_gradient = back.state
        return (np.stack(input_gradients[::-1]) if need_inputs else None), state_gradient

    def chunk_rows(self) -> int:
        return 1024


def step_gradients(
    cell: AbstractCell,
    parameters: Arrays,
    *,
    inputs: Array,
    state: Arrays,
    step: Step,
    output_gradient: Array,
    state_gradient: Arrays,
) -> StepGradients:
    """Return the gradients of one step: by the cell's own derivative if it has one, else by the derived one.

    `state` is that before the step; the other arrays are those of `AbstractDerivedByHand.step_vjp`.
    """
    flowing: dict[str, Any] = {"output_gradient": output_gradient, "state_gradient": state_gradient}
    if isinstance(cell, AbstractDerivedByHand):
        return cell.step_vjp(NUMPY, parameters, step.saved, **flowing)
    return pull_back(plan_of(cell, inputs.shape[1]), NUMPY, parameters, inputs=inputs, state=state, **flowing)
