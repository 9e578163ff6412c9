"""The LSTM with peepholes: its gates see the carry."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GatedOptions
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.options import Short
from rnnlab.core.parameters import Parameter, Uniform, VectorInitializer


class PeepholeOptions(GatedOptions):
    """Options of the LSTM with peepholes."""

    type: Literal["lstm_peephole"] = "lstm_peephole"
    activation: str = Field(
        "tanh",
        description=f"of the candidate g, and of the carry in the output: {', '.join(activations.names())}; "
        "linear in the paper",
    )
    input_gate_bias: float = Field(0.0, ge=-100, le=100, description="added to the initial bi")
    output_gate_bias: float = Field(0.0, ge=-100, le=100, description="added to the initial bo")
    peephole_initializer: Annotated[VectorInitializer, Short("type")] = Field(
        Uniform(scale=0.1), description="pi, pf, po: from the carry"
    )
    peephole_gradient: bool = Field(
        True, description="whether the gradient flows back through the peepholes; false in the paper"
    )
    truncate: bool = Field(
        False, description="whether no gradient flows back through h, as in the paper; false: through everything"
    )


class LstmPeephole(AbstractGatedCell):
    """The long short-term memory whose gates see the carry of their own unit: i and f the old one, o the new one.

    With h the output and c the carry, both (B, H) and zero at the start of every sequence:

        i_t = recurrent_activation(input_t·Wi + h_t·Ui + pi * c_t + bi)
        f_t = recurrent_activation(input_t·Wf + h_t·Uf + pf * c_t + bf)
        g_t = activation(input_t·Wg + h_t·Ug + bg)
        c_{t+1} = f_t * c_t + i_t * g_t
        o_t = recurrent_activation(input_t·Wo + h_t·Uo + po * c_{t+1} + bo)
        output_t = h_{t+1} = o_t * activation(c_{t+1})

    W are (I, H), U (H, H), p and b (H,). With `truncate` no gradient flows back through h_t.

    Source: Gers, Schraudolph, Schmidhuber 2002, "Learning precise timing with LSTM recurrent networks".
    Differs: The defaults are today's: a tanh twice, and the full gradient. The paper has `activation: linear`,
        `peephole_gradient: false` and `truncate: true`, biases -2, 0 and 2 of the gates f, i and o, and an update at
        every step.

    Example:
        One unit, weights and peepholes all 1, biases 0, x = 1 from the zero state, by hand: i = sigmoid(1) = 0.7311,
        g = tanh(1) = 0.7616, c = i·g = 0.5568, o = sigmoid(1 + 0.5568) = 0.8259, h = o·tanh(0.5568) = 0.4176.
        The second step, x = 0: i = f = sigmoid(0.4176 + 0.5568) = 0.7260, g = tanh(0.4176) = 0.3949,
        c = 0.7260·(0.5568 + 0.3949) = 0.6909, o = sigmoid(0.4176 + 0.6909) = 0.7518, h = 0.7518·0.5985 = 0.4500.

        >>> import numpy as np
        >>> cell = LstmPeephole(PeepholeOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.state["c"], one.output, two.state["c"], two.output)]
        [0.5568, 0.4176, 0.6909, 0.45]
    """

    name = "lstm_peephole"
    Options = PeepholeOptions
    options: PeepholeOptions
    states = ("h", "c")
    gates: Mapping[str, str] = {
        "i": "recurrent_activation", "f": "recurrent_activation", "g": "activation", "o": "recurrent_activation",
    }  # fmt: skip
    forget = "f"
    title = "LSTM with peepholes"
    memory = (
        "As an LSTM it has a carry that passes through no matrix. Its gates see the carry even while o hides it, so "
        "that they can act when it reaches a value: that is how it counts and measures time."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        units, own = self.options.units, self.options
        described: dict[str, Parameter] = {}
        for gate in "ifgo":
            described[f"W{gate}"] = Parameter((input_features, units), "kernel")
            described[f"U{gate}"] = Parameter((units, units), "recurrent_kernel")
            if gate != "g":
                described[f"p{gate}"] = Parameter((units,), "recurrent_kernel", initializer=own.peephole_initializer)
            described[f"b{gate}"] = Parameter((units,), "bias", own.output_gate_bias if gate == "o" else 0.0)
        return described | {"bi": own.input_bias("bf", own.input_gate_bias), "bf": own.keeping_bias()}

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, c = parameters, inputs, state["c"]
        h = xp.stop_gradient(state["h"]) if self.options.truncate else state["h"]
        gate = self.recurrent_activation
        seen = c if self.options.peephole_gradient else xp.stop_gradient(c)
        i = gate(xp, xp.matmul(x, p["Wi"]) + xp.matmul(h, p["Ui"]) + p["pi"] * seen + p["bi"])  # (B, H), as all
        f = gate(xp, xp.matmul(x, p["Wf"]) + xp.matmul(h, p["Uf"]) + p["pf"] * seen + p["bf"])
        g = self.activation(xp, xp.matmul(x, p["Wg"]) + xp.matmul(h, p["Ug"]) + p["bg"])
        c = f * c + i * g
        seen = c if self.options.peephole_gradient else xp.stop_gradient(c)
        o = gate(xp, xp.matmul(x, p["Wo"]) + xp.matmul(h, p["Uo"]) + p["po"] * seen + p["bo"])
        h = o * self.activation(xp, c)
        return Step(output=h, state={"h": h, "c": c}, saved={"i": i, "f": f, "g": g, "o": o})


CELL = LstmPeephole
