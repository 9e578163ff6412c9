"""The readable layer, for any cell: a loop over its own `step` and `step_vjp`, with which fast kernels are compared."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape

Array = NDArray[Any]


class ReferenceLayer(AbstractLayer):
    """Back-propagation through time exactly as in the cell's file."""

    def begin(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    def finish(self) -> None:
        """Nothing: each step adds its own."""

    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        tape.kept = steps = []
        for x in inputs.astype(self._dtype):
            steps.append(self.cell.step(np, self.parameters, x, state))
            state = steps[-1].state
        return np.stack([step.output for step in steps]), state  # (T, B, H)

    def states(self, tape: Tape) -> State:
        return {name: np.stack([step.state[name] for step in tape.kept]) for name in self.cell.states}

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        input_gradients = []
        for step, from_above in zip(reversed(tape.kept), reversed(output_gradients), strict=True):
            gradient = np.zeros_like(step.output) if from_above is None else from_above
            back = self.cell.step_vjp(
                np, self.parameters, step.saved, output_gradient=gradient, state_gradient=state_gradient
            )
            for name, value in back.parameters.items():
                self.gradients[name][...] += value
            input_gradients.append(back.inputs)
            state_gradient = back.state
        return (np.stack(input_gradients[::-1]) if need_inputs else None), state_gradient

    def chunk_rows(self) -> int:
        return 1024
