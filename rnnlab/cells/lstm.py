"""The LSTM: a carry behind three gates, in the form that all frameworks have."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GatedOptions, gate_parameters
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.parameters import Parameter


class LstmOptions(GatedOptions):
    """Options of the LSTM."""

    type: Literal["lstm"] = "lstm"
    activation: str = Field(
        "tanh", description=f"of the candidate g, and of the carry in the output: {', '.join(activations.names())}"
    )


class Lstm(AbstractGatedCell):
    """The long short-term memory with a forget gate and without peepholes.

    With h the output and c the carry, both (B, H) and zero at the start of every sequence:

        i_t = recurrent_activation(input_t·Wi + h_t·Ui + bi)
        f_t = recurrent_activation(input_t·Wf + h_t·Uf + bf)
        g_t = activation(input_t·Wg + h_t·Ug + bg)
        o_t = recurrent_activation(input_t·Wo + h_t·Uo + bo)
        c_{t+1} = f_t * c_t + i_t * g_t
        output_t = h_{t+1} = o_t * activation(c_{t+1})

    W are (I, H), U (H, H), b (H,).

    Source: Gers, Schmidhuber, Cummins 2000, "Learning to forget", with the tanh of Keras and PyTorch. `chrono` is
        Tallec, Ollivier 2018, "Can recurrent neural networks warp time?".
    Differs: Keras sets bf to 1 and does not draw it; here 1 is added to what `initializers.bias` draws, zero by
        default. PyTorch has two biases of each gate, whose sum is one here, and no forget bias.

    Example:
        One unit, weights all 1, biases 0, x = 1 from the zero state, by hand: i = f = o = sigmoid(1) = 0.7311,
        g = tanh(1) = 0.7616, c = i·g = 0.5568, h = o·tanh(0.5568) = 0.7311·0.5056 = 0.3696.
        The second step, x = 0: i = f = o = sigmoid(0.3696) = 0.5914, g = tanh(0.3696) = 0.3536,
        c = 0.5914·(0.5568 + 0.3536) = 0.5384, h = 0.5914·tanh(0.5384) = 0.5914·0.4918 = 0.2908.

        >>> import numpy as np
        >>> cell = Lstm(LstmOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.state["c"], one.output, two.state["c"], two.output)]
        [0.5568, 0.3696, 0.5384, 0.2908]
    """

    name = "lstm"
    Options = LstmOptions
    options: LstmOptions
    states = ("h", "c")
    gates: Mapping[str, str] = {
        "i": "recurrent_activation", "f": "recurrent_activation", "g": "activation", "o": "recurrent_activation",
    }  # fmt: skip
    forget = "f"
    title = "LSTM"
    memory = (
        "Its carry c passes through no matrix: at every step f sets how much of it is kept, i how much of the "
        "candidate g is added, and o how much of it is shown. Where f is near 1, the carry hardly changes, and neither "
        "does the gradient through it."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        described = gate_parameters("ifgo", input_features=input_features, units=self.options.units)
        return described | {"bi": self.options.input_bias("bf"), "bf": self.options.keeping_bias()}

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, h, c = parameters, inputs, state["h"], state["c"]
        i = self.recurrent_activation(xp, xp.matmul(x, p["Wi"]) + xp.matmul(h, p["Ui"]) + p["bi"])  # (B, H), as all
        f = self.recurrent_activation(xp, xp.matmul(x, p["Wf"]) + xp.matmul(h, p["Uf"]) + p["bf"])
        g = self.activation(xp, xp.matmul(x, p["Wg"]) + xp.matmul(h, p["Ug"]) + p["bg"])
        o = self.recurrent_activation(xp, xp.matmul(x, p["Wo"]) + xp.matmul(h, p["Uo"]) + p["bo"])
        c = f * c + i * g
        h = o * self.activation(xp, c)
        return Step(output=h, state={"h": h, "c": c}, saved={"i": i, "f": f, "g": g, "o": o})


CELL = Lstm
