"""What cells with gates share: their options, and the biases that their gates begin with."""

from pydantic import Field

from rnnlab.cells.base import AbstractCell, CellOptions
from rnnlab.core import activations
from rnnlab.core.parameters import Chrono, Parameter


def gate_parameters(gates: str, *, input_features: int, units: int) -> dict[str, Parameter]:
    """Return W (I, H), U (H, H) and b (H,) of each gate, `Wi`, `Ui`, `bi` and so on."""
    described: dict[str, Parameter] = {}
    for gate in gates:
        described[f"W{gate}"] = Parameter((input_features, units), "kernel")
        described[f"U{gate}"] = Parameter((units, units), "recurrent_kernel")
        described[f"b{gate}"] = Parameter((units,), "bias")
    return described


class GateOptions(CellOptions):
    """Options of a cell with gates."""

    recurrent_activation: str = Field(
        "sigmoid", description=f"of the gates: {', '.join(activations.names())}; Keras's word"
    )


class AbstractGatedCell(AbstractCell):
    """A cell with gates, configured."""

    options: GateOptions

    def __init__(self, options: GateOptions) -> None:
        super().__init__(options)
        self.recurrent_activation = activations.get(options.recurrent_activation)


class GatedOptions(GateOptions):
    """Options of a cell that keeps its state by a gate."""

    forget_bias: float = Field(
        1.0, ge=-100, le=100, description="added to the initial bias of the gate that keeps; not used with chrono"
    )
    chrono: int | None = Field(
        None,
        ge=3,
        le=10_000_000,
        description="Tmax, steps of the longest dependency: the bias of the gate that keeps is drawn from "
        "ln U[1, Tmax - 1], and that of an input gate is its negative; null: not",
    )

    def keeping_bias(self) -> Parameter:
        """Return the bias of the gate that keeps."""
        if self.chrono is None:
            return Parameter((self.units,), "bias", self.forget_bias)
        return Parameter((self.units,), "bias", initializer=Chrono(longest=self.chrono))

    def input_bias(self, keeping: str, offset: float = 0.0) -> Parameter:
        """Return the bias of the input gate, with `offset` added; `keeping` names that of the gate that keeps."""
        return Parameter((self.units,), "bias", offset, opposite=keeping if self.chrono is not None else "")
