"""The update gate RNN: the simplest cell with a gate."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GatedOptions, gate_parameters
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.parameters import Parameter


class UgrnnOptions(GatedOptions):
    """Options of the update gate RNN."""

    type: Literal["ugrnn"] = "ugrnn"
    activation: str = Field("tanh", description=f"of the candidate c: {', '.join(activations.names())}")


class Ugrnn(AbstractGatedCell):
    """The update gate RNN: a gate between the old state and a candidate.

    With h the state, (B, H) and zero at the start of every sequence:

        c_t = activation(input_t·Wc + h_t·Uc + bc)
        g_t = recurrent_activation(input_t·Wg + h_t·Ug + bg)
        output_t = h_{t+1} = g_t * h_t + (1 - g_t) * c_t

    W are (I, H), U (H, H), b (H,).

    Source: Collins, Sohl-Dickstein, Sussillo 2017, "Capacity and trainability in recurrent neural networks".
    Differs: The paper learns the first state, and adds the forget bias at each step; here it is part of bg.

    Example:
        One unit, weights all 1, biases 0, x = 1 from the zero state, by hand: c = tanh(1) = 0.7616,
        g = sigmoid(1) = 0.7311, h = (1 - g)·c = 0.2048. The second step, x = 0: c = tanh(0.2048) = 0.2020,
        g = sigmoid(0.2048) = 0.5510, h = 0.5510·0.2048 + 0.4490·0.2020 = 0.2036.

        >>> import numpy as np
        >>> cell = Ugrnn(UgrnnOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.output, two.output)]
        [0.2048, 0.2036]
    """

    name = "ugrnn"
    Options = UgrnnOptions
    options: UgrnnOptions
    states = ("h",)
    gates: Mapping[str, str] = {"c": "activation", "g": "recurrent_activation"}
    forget = "g"
    title = "UGRNN (update gate RNN)"
    memory = (
        "Its output is its memory: at every step g sets how much of it is kept, and the rest comes from the candidate "
        "c. Where g is near 1, the output hardly changes, and neither does the gradient through it."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        described = gate_parameters("cg", input_features=input_features, units=self.options.units)
        return described | {"bg": self.options.keeping_bias()}

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, h = parameters, inputs, state["h"]
        c = self.activation(xp, xp.matmul(x, p["Wc"]) + xp.matmul(h, p["Uc"]) + p["bc"])  # (B, H), as all below
        g = self.recurrent_activation(xp, xp.matmul(x, p["Wg"]) + xp.matmul(h, p["Ug"]) + p["bg"])
        h = g * h + (1 - g) * c
        return Step(output=h, state={"h": h}, saved={"c": c, "g": g})


CELL = Ugrnn
