"""The independently recurrent network: each unit sees its own last output and no other's."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rnnlab.cells.base import AbstractCell, Array, Arrays, CellOptions, Step
from rnnlab.core import activations
from rnnlab.core.options import Short
from rnnlab.core.parameters import Parameter, UniformBetween, VectorInitializer


class IndrnnOptions(CellOptions):
    """Options of the independently recurrent network."""

    type: Literal["indrnn"] = "indrnn"
    activation: str = Field("relu", description=f"of the output: {', '.join(activations.names())}")
    recurrent_initializer: Annotated[VectorInitializer, Short("type")] = Field(
        UniformBetween(), description="u: the weight of each unit's own last output"
    )
    recurrent_min: float = Field(0.0, ge=0, le=100, description="least size of u at each step")
    recurrent_max: float | None = Field(
        None, gt=0, le=100, description="greatest size of u at each step, 2^(1/T) in the paper; null: none"
    )

    @model_validator(mode="after")
    def _ascending(self) -> "IndrnnOptions":
        if self.recurrent_max is not None and self.recurrent_min > self.recurrent_max:
            raise ValueError(f"expected recurrent_min of at most recurrent_max, {self.recurrent_max:g}")
        return self


class Indrnn(AbstractCell):
    """The independently recurrent network.

        output_t = activation(input_t·W + u * h_t + b)
        h_{t+1} = output_t

    W is (I, H), u and b (H,); the state `h` is (B, H) and zero at the start of every sequence. With `recurrent_min` or
    `recurrent_max` the size of u is clipped at each step, its sign kept.

    Source: Li et al. 2018, "Independently recurrent neural network (IndRNN): building a longer and deeper RNN".
    Differs: The paper draws u of the last layer near its greatest size; here `recurrent_initializer` is that of all.

    Example:
        Two units, one input of 1 from the state 2, by hand: 0.5 + 0.9·2 + 0.1 = 2.4, and relu(-0.5 - 2) = 0.

        >>> import numpy as np
        >>> cell = Indrnn(IndrnnOptions(units=2))
        >>> p = {"W": np.array([[0.5, -0.5]]), "u": np.array([0.9, -1.0]), "b": np.array([0.1, 0.0])}
        >>> cell.step(np, p, np.array([[1.0]]), {"h": np.full((1, 2), 2.0)}).output.round(4).tolist()
        [[2.4, 0.0]]
    """

    name = "indrnn"
    Options = IndrnnOptions
    options: IndrnnOptions
    states = ("h",)
    gates: Mapping[str, str] = {"h": "activation"}
    title = "IndRNN (independent units)"
    memory = (
        "Each unit multiplies its last output by one number u. With the relu a positive value fades or grows as u^t: "
        "with u near 1 it lasts. Units meet in the next layer only."
    )

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        units = self.options.units
        return {
            "W": Parameter((input_features, units), "kernel"),
            "u": Parameter((units,), "recurrent_kernel", initializer=self.options.recurrent_initializer),
            "b": Parameter((units,), "bias"),
        }

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, u = parameters, parameters["u"]
        low, high = self.options.recurrent_min, self.options.recurrent_max
        if low or high is not None:
            size = xp.maximum(xp.abs(u), low)
            size = size if high is None else xp.minimum(size, high)
            u = xp.where(u < 0, -size, size)
        h = self.activation(xp, xp.matmul(inputs, p["W"]) + u * state["h"] + p["b"])  # (B, H)
        return Step(output=h, state={"h": h}, saved={"h": h})


CELL = Indrnn
