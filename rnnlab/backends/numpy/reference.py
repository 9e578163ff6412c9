"""The readable layer: a plain loop over the cell's own `step` and `step_vjp`, for any cell; the fast are held to it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State
from rnnlab.cells.base import Step

Array = NDArray[Any]


class ReferenceLayer(AbstractLayer):
    """Back-propagation through time exactly as the cell's file spells it."""

    _steps: list[Step]

    def forward(self, inputs: Array, state: State) -> tuple[Array, State]:
        self._steps = []
        for x in inputs:
            self._steps.append(self.cell.step(np, self.parameters, x, state))
            state = self._steps[-1].state
        return np.stack([step.output for step in self._steps]), state  # (T, B, H)

    def states(self) -> State:
        return {name: np.stack([step.state[name] for step in self._steps]) for name in self.cell.states}

    def backward(self, output_gradients: OutputGradients, *, need_inputs: bool) -> Array | None:
        last = self._steps[-1]
        state_gradient = {name: np.zeros_like(last.state[name]) for name in self.cell.states}
        input_gradients = []
        for step, from_above in zip(reversed(self._steps), reversed(output_gradients), strict=True):
            gradient = np.zeros_like(step.output) if from_above is None else from_above
            back = self.cell.step_vjp(
                np, self.parameters, step.saved, output_gradient=gradient, state_gradient=state_gradient
            )
            for name, value in back.parameters.items():
                self.gradients[name][...] += value
            input_gradients.append(back.inputs)
            state_gradient = back.state
        return np.stack(input_gradients[::-1]) if need_inputs else None
