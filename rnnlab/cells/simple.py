"""The simple recurrent cell: a tanh of the input and of the last output."""

from collections.abc import Mapping
from typing import Any, Literal

from rnnlab.cells.base import AbstractDerivedByHand, Array, Arrays, CellOptions, Step, StepGradients
from rnnlab.core.parameters import Parameter


class SimpleOptions(CellOptions):
    """Options of the simple cell: those of every cell."""

    type: Literal["simple"] = "simple"


class Simple(AbstractDerivedByHand):
    """The simple recurrent cell.

        output_t = activation(input_t·W + state_t·U + b)
        state_{t+1} = output_t

    W is (I, H), U (H, H), b (H,); the state `h` is (B, H) and zero at the start of every sequence.

    Source: Elman 1990, "Finding structure in time"; as Keras's `SimpleRNN` computes it.

    Example:
        Two units, one input; by hand: tanh(0.5·1 + 0) = 0.4621 and tanh(0 - 1·1 + 1) = 0.

        >>> import numpy as np
        >>> cell = Simple(SimpleOptions(units=2))
        >>> p = {"W": np.array([[0.5, -1.0]]), "U": np.zeros((2, 2)), "b": np.array([0.0, 1.0])}
        >>> cell.step(np, p, np.array([[1.0]]), {"h": np.zeros((1, 2))}).output.round(4).tolist()
        [[0.4621, 0.0]]
    """

    name = "simple"
    Options = SimpleOptions
    states = ("h",)
    gates: Mapping[str, str] = {"h": "activation"}
    title = "Simple cell (a tanh RNN)"
    memory = (
        "Its only memory is its last output, which is computed anew at every step: multiplied by U and passed through "
        "the activation. What it remembers, and the gradient by which it learns to remember, shrink or grow by a "
        "factor at every step."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        units = self.options.units
        return {
            "W": Parameter((input_features, units), "kernel"),
            "U": Parameter((units, units), "recurrent_kernel"),
            "b": Parameter((units,), "bias"),
        }

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p = parameters
        h = self.activation(xp, xp.matmul(inputs, p["W"]) + xp.matmul(state["h"], p["U"]) + p["b"])  # (B, H)
        return Step(output=h, state={"h": h}, saved={"x": inputs, "h_before": state["h"], "h": h})

    def step_vjp(
        self, xp: Any, parameters: Arrays, saved: Arrays, *, output_gradient: Array, state_gradient: Arrays
    ) -> StepGradients:
        p, s = parameters, saved
        da = (output_gradient + state_gradient["h"]) * self.activation.slope(xp, s["h"])  # (B, H)
        return StepGradients(
            parameters={
                "W": xp.matmul(xp.transpose(s["x"]), da),
                "U": xp.matmul(xp.transpose(s["h_before"]), da),
                "b": xp.sum(da, axis=0),
            },
            inputs=xp.matmul(da, xp.transpose(p["W"])),
            state={"h": xp.matmul(da, xp.transpose(p["U"]))},
        )


CELL = Simple
