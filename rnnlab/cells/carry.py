"""The carry cell: a simplified LSTM with a carry track that runs beside the output."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GateOptions
from rnnlab.cells.base import AbstractDerivedByHand, Array, Arrays, Step, StepGradients
from rnnlab.core.parameters import Parameter


class CarryOptions(GateOptions):
    """Options of the carry cell."""

    type: Literal["carry"] = "carry"
    forget_bias: float = Field(
        1.0, ge=-100, le=100, description="added to the initial bf; 1 keeps the carry longer when f is a sigmoid"
    )


class Carry(AbstractGatedCell, AbstractDerivedByHand):
    """A simplified LSTM whose output reads the carry through a full matrix.

    With the state h and the carry c, both (B, H) and zero at the start of every sequence:

        output_t = activation(state_t·Uo + input_t·Wo + c_t·Vo + bo)
        i_t = recurrent_activation(state_t·Ui + input_t·Wi + bi)
        f_t = recurrent_activation(state_t·Uf + input_t·Wf + bf)
        k_t = activation(state_t·Uk + input_t·Wk + bk)
        c_{t+1} = i_t * k_t + c_t * f_t,   state_{t+1} = output_t

    W are (I, H), U and Vo (H, H), b (H,).

    Source: Chollet 2018, "Deep learning with Python", section 6.2.2 (the LSTM in pseudocode).
    Differs: Not an LSTM: the output reads the old carry, through Vo, and there is no o·tanh(c). The book writes one
        `activation` for all four; that literal form is `recurrent_activation: tanh`. With a sigmoid on i and f the
        cell can keep a value for a hundred steps.

    Example:
        One unit, weights all 1, biases 0, sigmoid gates, x = 1 from the zero state, by hand:
        output = tanh(1) = 0.7616, i = sigmoid(1) = 0.7311, k = tanh(1) = 0.7616, c = i·k = 0.5568.
        The second step, x = 0: output = tanh(0.7616 + 0.5568) = 0.8664, k = tanh(0.7616) = 0.6420,
        i = f = sigmoid(0.7616) = 0.6817, c = 0.6817·0.6420 + 0.5568·0.6817 = 0.8172.

        >>> import numpy as np
        >>> cell = Carry(CarryOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.output, one.state["c"], two.output, two.state["c"])]
        [0.7616, 0.5568, 0.8664, 0.8172]
    """

    name = "carry"
    Options = CarryOptions
    options: CarryOptions
    states = ("h", "c")
    gates: Mapping[str, str] = {
        "i": "recurrent_activation", "f": "recurrent_activation", "k": "activation", "o": "activation",
    }  # fmt: skip
    forget = "f"
    title = "Carry cell (a simplified LSTM)"
    memory = (
        "Besides its last output it has a carry c, which passes through no matrix and no activation: at every step f "
        "sets how much of c is kept, and i how much of k is added. Where f is near 1, the carry hardly changes, and "
        "neither does the gradient through it."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        units = self.options.units
        described: dict[str, Parameter] = {}
        for gate in "ifko":
            described[f"W{gate}"] = Parameter((input_features, units), "kernel")
            described[f"U{gate}"] = Parameter((units, units), "recurrent_kernel")
            if gate == "o":
                described["Vo"] = Parameter((units, units), "recurrent_kernel")
            described[f"b{gate}"] = Parameter((units,), "bias", self.options.forget_bias if gate == "f" else 0.0)
        return described

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, h, c = parameters, inputs, state["h"], state["c"]
        o = self.activation(
            xp, xp.matmul(h, p["Uo"]) + xp.matmul(x, p["Wo"]) + xp.matmul(c, p["Vo"]) + p["bo"]
        )  # (B, H), as are all below
        i = self.recurrent_activation(xp, xp.matmul(h, p["Ui"]) + xp.matmul(x, p["Wi"]) + p["bi"])
        f = self.recurrent_activation(xp, xp.matmul(h, p["Uf"]) + xp.matmul(x, p["Wf"]) + p["bf"])
        k = self.activation(xp, xp.matmul(h, p["Uk"]) + xp.matmul(x, p["Wk"]) + p["bk"])
        saved = {"x": x, "h_before": h, "c_before": c, "i": i, "f": f, "k": k, "o": o}
        return Step(output=o, state={"h": o, "c": i * k + c * f}, saved=saved)

    def step_vjp(
        self, xp: Any, parameters: Arrays, saved: Arrays, *, output_gradient: Array, state_gradient: Arrays
    ) -> StepGradients:
        p, s, dc = parameters, saved, state_gradient["c"]
        da = {
            "o": (output_gradient + state_gradient["h"]) * self.activation.slope(xp, s["o"]),
            "i": dc * s["k"] * self.recurrent_activation.slope(xp, s["i"]),
            "f": dc * s["c_before"] * self.recurrent_activation.slope(xp, s["f"]),
            "k": dc * s["i"] * self.activation.slope(xp, s["k"]),
        }  # gradients of the four arguments, (B, H) each
        gradients = {"Vo": xp.matmul(xp.transpose(s["c_before"]), da["o"])}
        for gate, d in da.items():
            gradients[f"W{gate}"] = xp.matmul(xp.transpose(s["x"]), d)
            gradients[f"U{gate}"] = xp.matmul(xp.transpose(s["h_before"]), d)
            gradients[f"b{gate}"] = xp.sum(d, axis=0)
        return StepGradients(
            parameters=gradients,
            inputs=sum(xp.matmul(d, xp.transpose(p[f"W{gate}"])) for gate, d in da.items()),
            state={
                "h": sum(xp.matmul(d, xp.transpose(p[f"U{gate}"])) for gate, d in da.items()),
                "c": dc * s["f"] + xp.matmul(da["o"], xp.transpose(p["Vo"])),
            },
        )


CELL = Carry
