"""The minimal GRU: gate and candidate read the input alone."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GateOptions
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.activations import Sigmoid
from rnnlab.core.parameters import Parameter


class MingruOptions(GateOptions):
    """Options of the minimal GRU."""

    type: Literal["mingru"] = "mingru"
    activation: str = Field(
        "linear", description=f"of the candidate k: {', '.join(activations.names())}; linear in the paper"
    )
    positive: bool = Field(
        True, description="whether the candidate passes through g and is positive: the log-space version of the paper"
    )


class Mingru(AbstractGatedCell):
    """The minimal GRU: a linear recurrence whose gate does not see the state.

    With h the state, (B, H) and zero at the start of every sequence:

        f_t = 1 - recurrent_activation(input_t·Wz + bz)
        k_t = g(activation(input_t·Wk + bk))
        g(v) = v + 1/2 where v >= 0, else sigmoid(v)
        output_t = h_{t+1} = f_t * h_t + (1 - f_t) * k_t

    W are (I, H), b (H,). With `positive: false` g is left out.

    Source: Feng et al. 2024, "Were RNNs all we needed?", its code with `positive`, else its section 3.1.
    Differs: The paper writes z = 1 - f. Its layer ends with a linear projection, and its blocks have a norm and a
        residual path; here the output layer and `layers` stand for them. The first state is not learned.

    Example:
        One unit, weights all 1, biases 0, x = 1 from the zero state, by hand: f = 1 - sigmoid(1) = 0.2689,
        k = 1 + 1/2 = 1.5, h = 0.7311·1.5 = 1.0966. The second step, x = 0: f = 1/2, k = 1/2,
        h = 0.5483 + 0.25 = 0.7983.

        >>> import numpy as np
        >>> cell = Mingru(MingruOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.output, two.output)]
        [1.0966, 0.7983]
    """

    name = "mingru"
    Options = MingruOptions
    options: MingruOptions
    states = ("h",)
    gates: Mapping[str, str] = {"f": "recurrent_activation"}
    forget = "f"
    title = "minGRU (gate sees no state)"
    memory = (
        "Its output is a running mean of candidates, in which the input alone sets how much is kept. One layer cannot "
        "act by what it remembers; a second one can, on what the first one gives."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        units = self.options.units
        described: dict[str, Parameter] = {}
        for gate in "zk":
            described[f"W{gate}"] = Parameter((input_features, units), "kernel")
            described[f"b{gate}"] = Parameter((units,), "bias")
        return described

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, h = parameters, inputs, state["h"]
        z = self.recurrent_activation(xp, xp.matmul(x, p["Wz"]) + p["bz"])  # (B, H), as all below
        k = self.activation(xp, xp.matmul(x, p["Wk"]) + p["bk"])
        if self.options.positive:
            k = xp.where(k >= 0, k + 0.5, Sigmoid()(xp, k))
        f = 1 - z
        h = f * h + z * k
        return Step(output=h, state={"h": h}, saved={"f": f})


CELL = Mingru
