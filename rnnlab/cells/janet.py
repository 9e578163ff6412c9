"""JANET: an LSTM with the forget gate alone."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GatedOptions, gate_parameters
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.parameters import Parameter


class JanetOptions(GatedOptions):
    """Options of JANET."""

    type: Literal["janet"] = "janet"
    activation: str = Field("tanh", description=f"of the candidate j: {', '.join(activations.names())}")
    beta: float = Field(
        1.0, ge=-100, le=100, description="taken from the argument of the gate before it lets the candidate in"
    )


class Janet(AbstractGatedCell):
    """Just another network: of the LSTM's gates it has the forget gate alone.

    With h the state, (B, H) and zero at the start of every sequence:

        a_t = input_t·Wf + h_t·Uf + bf,   f_t = recurrent_activation(a_t)
        j_t = activation(input_t·Wj + h_t·Uj + bj)
        e_t = 1 - recurrent_activation(a_t - beta)
        output_t = h_{t+1} = f_t * h_t + e_t * j_t

    W are (I, H), U (H, H), b (H,).

    Source: Van der Westhuizen, Lasenby 2018, "The unreasonable effectiveness of the forget gate".
    Differs: `chrono` draws from ln U[1, Tmax - 1] as Tallec, Ollivier 2018 print it, the authors' code from
        ln U[1, Tmax].

    Example:
        One unit, weights all 1, biases 0, x = 1 from the zero state, by hand: a = 1, j = tanh(1) = 0.7616,
        h = (1 - sigmoid(1 - 1))·j = 0.3808. The second step, x = 0: a = 0.3808, f = sigmoid(0.3808) = 0.5941,
        j = tanh(0.3808) = 0.3634, h = 0.5941·0.3808 + (1 - sigmoid(-0.6192))·0.3634 = 0.2262 + 0.2362 = 0.4624.

        >>> import numpy as np
        >>> cell = Janet(JanetOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.output, two.output)]
        [0.3808, 0.4624]
    """

    name = "janet"
    Options = JanetOptions
    options: JanetOptions
    states = ("h",)
    gates: Mapping[str, str] = {"f": "recurrent_activation", "j": "activation"}
    forget = "f"
    title = "JANET (a forget gate alone)"
    memory = (
        "Its output is its memory: at every step f sets how much of it is kept. With beta above 0 more of the "
        "candidate is let in than is forgotten, so that values can add up."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        described = gate_parameters("fj", input_features=input_features, units=self.options.units)
        return described | {"bf": self.options.keeping_bias()}

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, h = parameters, inputs, state["h"]
        a = xp.matmul(x, p["Wf"]) + xp.matmul(h, p["Uf"]) + p["bf"]  # (B, H), as all below
        f, closed = self.recurrent_activation(xp, a), self.recurrent_activation(xp, a - self.options.beta)
        j = self.activation(xp, xp.matmul(x, p["Wj"]) + xp.matmul(h, p["Uj"]) + p["bj"])
        h = f * h + (1 - closed) * j
        return Step(output=h, state={"h": h}, saved={"f": f, "j": j})


CELL = Janet
