"""The sLSTM of the xLSTM: exponential gates, and a normaliser that keeps them in bounds."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GateOptions, gate_parameters
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.parameters import Parameter


class SlstmOptions(GateOptions):
    """Options of the sLSTM."""

    type: Literal["slstm"] = "slstm"
    activation: str = Field("tanh", description=f"of the candidate z: {', '.join(activations.names())}")
    recurrent_activation: str = Field("sigmoid", description=f"of the gate o: {', '.join(activations.names())}")
    forget_activation: Literal["sigmoid", "exp"] = Field("sigmoid", description="of the gate f")
    forget_bias: float = Field(0.0, ge=-100, le=100, description="added to the initial bf")


class Slstm(AbstractGatedCell):
    """The scalar memory cell of the xLSTM.

    With h the output, c the carry, n its normaliser and m the stabiliser, all (B, H) and zero at the start of every
    sequence:

        i~_t = input_t·Wi + h_t·Ui + bi,   f~_t = input_t·Wf + h_t·Uf + bf
        z_t = activation(input_t·Wz + h_t·Uz + bz)
        o_t = recurrent_activation(input_t·Wo + h_t·Uo + bo)
        m_{t+1} = max(ln f(f~_t) + m_t, i~_t)
        i_t = exp(i~_t - m_{t+1}),   f_t = exp(ln f(f~_t) + m_t - m_{t+1})
        c_{t+1} = f_t * c_t + i_t * z_t,   n_{t+1} = f_t * n_t + i_t
        output_t = h_{t+1} = o_t * c_{t+1} / n_{t+1}

    W are (I, H), U (H, H), b (H,); f is `forget_activation`. At the first step, where n_t = 0, m_{t+1} is i~_t. The
    output does not depend on m, through which no gradient flows: it keeps exp from overflowing.

    Source: Beck et al. 2024, "xLSTM: extended long short-term memory", equations 8 to 17.
    Differs: The paper's U are block-diagonal, one block for each head; here there is one head. Its code draws U as
        zero, spreads the biases of f over the units from 5 down to -7, clips the recurrent gradient at 10, and adds a
        convolution and a norm.

    Example:
        One unit, weights all 1, biases 0, x = 1 from the zero state, by hand: m = i~ = 1, i = 1, z = tanh(1) = 0.7616,
        c = 0.7616, n = 1, o = sigmoid(1) = 0.7311, h = 0.7311·0.7616 = 0.5568. The second step, x = 0:
        i~ = 0.5568, ln f = ln sigmoid(0.5568) = -0.4530, m = max(-0.4530 + 1, 0.5568) = 0.5568, i = 1,
        f = exp(0.5470 - 0.5568) = 0.9903, z = tanh(0.5568) = 0.5056, c = 0.9903·0.7616 + 0.5056 = 1.2598,
        n = 1.9903, o = sigmoid(0.5568) = 0.6357, h = 0.6357·1.2598/1.9903 = 0.4024.

        >>> import numpy as np
        >>> from rnnlab.core.namespace import NUMPY
        >>> cell = Slstm(SlstmOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(NUMPY, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(NUMPY, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.output, two.state["c"], two.state["n"], two.output)]
        [0.5568, 1.2598, 1.9903, 0.4024]
    """

    name = "slstm"
    Options = SlstmOptions
    options: SlstmOptions
    states = ("h", "c", "n", "m")
    gates: Mapping[str, str] = {
        "f": "forget_activation", "z": "activation", "o": "recurrent_activation",
    }  # fmt: skip
    forget = "f"
    title = "sLSTM (exponential gates)"
    memory = (
        "Its carry c is a weighted mean of all candidates z, and n the sum of the weights. The weight of a candidate "
        "is an exponential, without an upper bound: one step can outweigh, and so revise, all that came before."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        described = gate_parameters("ifzo", input_features=input_features, units=self.options.units)
        return described | {"bf": Parameter((self.options.units,), "bias", self.options.forget_bias)}

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, h, c, n, m = parameters, inputs, state["h"], state["c"], state["n"], state["m"]
        to_i = xp.matmul(x, p["Wi"]) + xp.matmul(h, p["Ui"]) + p["bi"]  # (B, H), as all below
        to_f = xp.matmul(x, p["Wf"]) + xp.matmul(h, p["Uf"]) + p["bf"]
        z = self.activation(xp, xp.matmul(x, p["Wz"]) + xp.matmul(h, p["Uz"]) + p["bz"])
        o = self.recurrent_activation(xp, xp.matmul(x, p["Wo"]) + xp.matmul(h, p["Uo"]) + p["bo"])
        if self.options.forget_activation == "sigmoid":  # its logarithm, in a form that is exact wherever it is
            to_f = xp.minimum(to_f, 0.0) - xp.log(1 + xp.exp(-xp.abs(to_f)))
        kept = xp.where(n > 0, to_f + m, to_i)  # at the first step there is nothing to keep, and i is 1
        m = xp.stop_gradient(xp.maximum(kept, to_i))
        i, f = xp.exp(to_i - m), xp.exp(kept - m)
        c, n = f * c + i * z, f * n + i
        h = o * c / n
        return Step(output=h, state={"h": h, "c": c, "n": n, "m": m}, saved={"f": xp.exp(to_f), "z": z, "o": o})


CELL = Slstm
