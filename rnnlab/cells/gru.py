"""The gated recurrent unit: one state, which a gate moves towards a candidate."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rnnlab.cells._gated import AbstractGatedCell, GatedOptions, gate_parameters
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.parameters import Parameter


class GruOptions(GatedOptions):
    """Options of the GRU."""

    type: Literal["gru"] = "gru"
    activation: str = Field("tanh", description=f"of the candidate n: {', '.join(activations.names())}")
    forget_bias: float = Field(0.0, ge=-100, le=100, description="added to the initial bz; not used with chrono")
    reset_after: bool = Field(
        True, description="whether r multiplies h·Un, as in Keras, PyTorch and cuDNN, or h before its product with Un"
    )


class Gru(AbstractGatedCell):
    """The gated recurrent unit.

    With h the state, (B, H) and zero at the start of every sequence:

        z_t = recurrent_activation(input_t·Wz + h_t·Uz + bz)
        r_t = recurrent_activation(input_t·Wr + h_t·Ur + br)
        n_t = activation(input_t·Wn + bn + r_t * (h_t·Un + bhn)), if reset_after
        n_t = activation(input_t·Wn + bn + (r_t * h_t)·Un),        if not
        output_t = h_{t+1} = z_t * h_t + (1 - z_t) * n_t

    W are (I, H), U (H, H), b (H,).

    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder"; `reset_after` is its first
        version on arXiv, and what cuDNN computes.
    Differs: PyTorch and Keras with `reset_after` have two biases of z and of r as well, whose sum is one here.

    Example:
        One unit, weights all 1, biases 0, x = 1 from the zero state, by hand: z = r = sigmoid(1) = 0.7311,
        n = tanh(1) = 0.7616, h = (1 - z)·n = 0.2048. The second step, x = 0: z = r = sigmoid(0.2048) = 0.5510,
        n = tanh(0.5510·0.2048) = 0.1124, h = 0.5510·0.2048 + 0.4490·0.1124 = 0.1633.

        >>> import numpy as np
        >>> cell = Gru(GruOptions(units=1))
        >>> p = {name: np.ones(shape.shape) * (name[0] != "b") for name, shape in cell.parameters(1).items()}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.output, two.output)]
        [0.2048, 0.1633]
    """

    name = "gru"
    Options = GruOptions
    options: GruOptions
    states = ("h",)
    gates: Mapping[str, str] = {
        "z": "recurrent_activation", "r": "recurrent_activation", "n": "activation",
    }  # fmt: skip
    forget = "z"
    title = "GRU (gated recurrent unit)"
    memory = (
        "Its output is its memory: at every step z sets how much of it is kept, and the rest comes from the candidate "
        "n, for which r sets how much of the old output is read. Where z is near 1, the output hardly changes."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        described = gate_parameters("zrn", input_features=input_features, units=self.options.units)
        described["bz"] = self.options.keeping_bias()
        return described | ({"bhn": Parameter((self.options.units,), "bias")} if self.options.reset_after else {})

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, x, h = parameters, inputs, state["h"]
        z = self.recurrent_activation(xp, xp.matmul(x, p["Wz"]) + xp.matmul(h, p["Uz"]) + p["bz"])  # (B, H), as all
        r = self.recurrent_activation(xp, xp.matmul(x, p["Wr"]) + xp.matmul(h, p["Ur"]) + p["br"])
        recurrent = r * (xp.matmul(h, p["Un"]) + p["bhn"]) if self.options.reset_after else xp.matmul(r * h, p["Un"])
        n = self.activation(xp, xp.matmul(x, p["Wn"]) + p["bn"] + recurrent)
        h = z * h + (1 - z) * n
        return Step(output=h, state={"h": h}, saved={"z": z, "r": r, "n": n})


CELL = Gru
