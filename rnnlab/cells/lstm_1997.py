"""The LSTM as first published: blocks of memory cells that never forget, unless they have the gates of 2000."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from rnnlab.cells._gated import AbstractGatedCell, GateOptions
from rnnlab.cells.base import Array, Arrays, Step
from rnnlab.core import activations
from rnnlab.core.parameters import Parameter, Zeros

_BIASES = "of the blocks' {} gates at the start, one number for each block; null: drawn like the others"


class Lstm1997Options(GateOptions):
    """Options of the LSTM of 1997."""

    type: Literal["lstm_1997"] = "lstm_1997"
    units: int = Field(32, ge=1, le=65_536, description="H, memory cells of each layer, in all blocks together")
    cells_per_block: int = Field(1, ge=1, le=65_536, description="memory cells that share an input and an output gate")
    activation: str = Field("sigmoid", description=f"f in g = g_scale * f + g_shift: {', '.join(activations.names())}")
    g_scale: float = Field(4.0, ge=-100, le=100, description="see activation")
    g_shift: float = Field(-2.0, ge=-100, le=100, description="see activation")
    state_activation: str = Field(
        "sigmoid", description=f"f in h = h_scale * f + h_shift: {', '.join(activations.names())}"
    )
    h_scale: float = Field(2.0, ge=-100, le=100, description="see state_activation")
    h_shift: float = Field(-1.0, ge=-100, le=100, description="see state_activation")
    input_gate_bias: list[float] | None = Field(None, description="bias " + _BIASES.format("input"))
    output_gate_bias: list[float] | None = Field(None, description="bias " + _BIASES.format("output"))
    forget_gate: bool = Field(False, description="whether blocks have forget gates too, as of 2000")
    forget_gate_bias: list[float] | None = Field(None, description="bias " + _BIASES.format("forget"))
    hidden_bias: Literal["all", "gates", "none"] = Field("all", description="which of cells and gates have a bias")
    cell_feedback: bool = Field(True, description="whether cells and gates read the cells' last outputs")
    gate_feedback: bool = Field(True, description="whether cells and gates read the gates' last values as well")
    output_gate: bool = Field(True, description="whether blocks have output gates")
    truncate: bool = Field(
        False, description="whether the gradient flows back through s alone, as printed; false: through everything"
    )

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return self.units // self.cells_per_block

    @model_validator(mode="after")
    def _blocks_are_whole(self) -> "Lstm1997Options":
        if self.units % self.cells_per_block:
            raise ValueError(f"expected units as a multiple of cells_per_block, {self.cells_per_block}")
        if self.forget_gate and self.gate_feedback:
            raise ValueError("expected `gate_feedback: false` with `forget_gate: true`, as in the paper of 2000")
        for name in ("input_gate_bias", "output_gate_bias", "forget_gate_bias"):
            values = getattr(self, name)
            if values is not None and len(values) != self.blocks:
                raise ValueError(f"expected {self.blocks} numbers in {name}, one for each block, got {len(values)}")
            if values is not None and self.hidden_bias == "none":
                raise ValueError(f"expected no {name} with `hidden_bias: none`")
            if values is not None and name == "output_gate_bias" and not self.output_gate:
                raise ValueError(f"expected no {name} with `output_gate: false`")
            if values is not None and name == "forget_gate_bias" and not self.forget_gate:
                raise ValueError(f"expected no {name} with `forget_gate: false`")
            if values is not None and any(abs(value) > 100 for value in values):
                raise ValueError(f"expected numbers from -100 to 100 in {name}")
        return self


class Lstm1997(AbstractGatedCell):
    """The long short-term memory of 1997: no forget gate, one input and one output gate for each block of cells.

    With y the cells' outputs and s their states, (B, H), i and o the gates, (B, blocks), all zero at the start of every
    sequence; each of c, i and o has its own W (I, ·), U (H, ·), Vi and Vo (blocks, ·) and b, and a block's gates count
    for each of its cells:

        net_t = input_t·W + y_t·U + i_t·Vi + o_t·Vo + b   for c, i and o each
        i_{t+1} = recurrent_activation(net of i)
        o_{t+1} = recurrent_activation(net of o)
        s_{t+1} = s_t + i_{t+1} * g(net of c),   g = g_scale * activation + g_shift
        with forget_gate: s_{t+1} = f_{t+1} * s_t + ...,   f_{t+1} = recurrent_activation(net of f)
        output_t = y_{t+1} = o_{t+1} * h(s_{t+1})
        h = h_scale * state_activation + h_shift

    By default g(v) = 4·sigmoid(v) - 2 and h(v) = 2·sigmoid(v) - 1. With `truncate` no gradient flows back through y_t,
    i_t and o_t.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", equations 1 to 9 and appendix A.1; with
        `forget_gate` Gers, Schmidhuber, Cummins 2000, "Learning to forget: continual prediction with LSTM".
    Differs: By default the gradient is the full one; the papers' is `truncate: true`. An update is made after a batch,
        not within a sequence, unless the config has `training.update: step`. The output layer reads the cells alone, as
        in the experiments of 1997 but 2a and 2b; these have `output: {bias: false, inputs: true}`, neither feedback nor
        output gate, and g a sigmoid.

    Example:
        One cell, Wc = 1, Wi = 2, the rest 0, x = 1 from the zero state, by hand: i = sigmoid(2) = 0.8808,
        g = 4·sigmoid(1) - 2 = 0.9242, s = 0.8141, o = sigmoid(0) = 1/2, y = (2·sigmoid(0.8141) - 1)/2 = 0.1930.
        The second step, x = 0: g = 0, so that s and y stay.

        >>> import numpy as np
        >>> cell = Lstm1997(Lstm1997Options(units=1))
        >>> p = {name: np.zeros(shape.shape) for name, shape in cell.parameters(1).items()}
        >>> p |= {"Wc": np.ones((1, 1)), "Wi": np.full((1, 1), 2.0)}
        >>> one = cell.step(np, p, np.array([[1.0]]), cell.initial_state(np, 1, "f8"))
        >>> two = cell.step(np, p, np.array([[0.0]]), one.state)
        >>> [round(float(a[0, 0]), 4) for a in (one.state["s"], one.output, two.state["s"], two.output)]
        [0.8141, 0.193, 0.8141, 0.193]
    """

    name = "lstm_1997"
    Options = Lstm1997Options
    options: Lstm1997Options
    states = ("y", "s", "i", "o")
    gates: Mapping[str, str] = {"i": "recurrent_activation", "o": "recurrent_activation"}
    title = "LSTM of 1997 (never forgets)"
    memory = (
        "Its state s is a sum to which each step adds: nothing is ever forgotten, and the gradient through s neither "
        "shrinks nor grows. The input gate keeps s from what does not matter, the output gate keeps the rest from s."
    )

    def __init__(self, options: Lstm1997Options) -> None:
        super().__init__(options)
        self.state_activation = activations.get(options.state_activation)
        if options.forget_gate:
            self.gates, self.forget = {**self.gates, "f": "recurrent_activation"}, "f"

    def state_sizes(self) -> dict[str, int]:
        return {"y": self.options.units, "s": self.options.units, "i": self.options.blocks, "o": self.options.blocks}

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        own, described = self.options, dict[str, Parameter]()
        gates = "i" + "o" * own.output_gate + "f" * own.forget_gate
        fixed = {"i": own.input_gate_bias, "o": own.output_gate_bias, "f": own.forget_gate_bias}
        for target in "c" + gates:
            size = own.units if target == "c" else own.blocks
            described[f"W{target}"] = Parameter((input_features, size), "kernel")
            if own.cell_feedback:
                described[f"U{target}"] = Parameter((own.units, size), "recurrent_kernel")
            for gate in gates if own.gate_feedback else "":
                described[f"V{gate}{target}"] = Parameter((own.blocks, size), "recurrent_kernel")
            if own.hidden_bias == "all" or (own.hidden_bias == "gates" and target != "c"):
                values = fixed.get(target)
                bias = Parameter((size,), "bias", tuple(values), Zeros()) if values else Parameter((size,), "bias")
                described[f"b{target}"] = bias
        return described

    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        p, own = parameters, self.options
        seen = {name: xp.stop_gradient(state[name]) if own.truncate else state[name] for name in "yio"}

        def net(target: str) -> Array:
            total = xp.matmul(inputs, p[f"W{target}"])
            if own.cell_feedback:
                total = total + xp.matmul(seen["y"], p[f"U{target}"])
            for gate in "io":
                if f"V{gate}{target}" in p:
                    total = total + xp.matmul(seen[gate], p[f"V{gate}{target}"])
            return total + p[f"b{target}"] if f"b{target}" in p else total

        i = self.recurrent_activation(xp, net("i"))  # (B, blocks)
        g = own.g_scale * self.activation(xp, net("c")) + own.g_shift  # (B, H)
        s, saved = state["s"], {"i": i}
        if own.forget_gate:
            saved["f"] = self.recurrent_activation(xp, net("f"))  # (B, blocks)
            s = xp.repeat(saved["f"], own.cells_per_block, axis=-1) * s
        s = s + xp.repeat(i, own.cells_per_block, axis=-1) * g
        y, o = own.h_scale * self.state_activation(xp, s) + own.h_shift, state["o"]
        if own.output_gate:
            o = self.recurrent_activation(xp, net("o"))  # (B, blocks)
            y = xp.repeat(o, own.cells_per_block, axis=-1) * y
        return Step(output=y, state={"y": y, "s": s, "i": i, "o": o}, saved={**saved, "o": o})


CELL = Lstm1997
