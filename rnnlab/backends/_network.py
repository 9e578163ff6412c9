"""The network: all that defines the function computed."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends._output import OutputOptions
from rnnlab.cells.base import AbstractCell
from rnnlab.core.batch import Array
from rnnlab.core.losses import LOSSES, AbstractLoss
from rnnlab.core.parameters import Parameter, draw_parameters


@dataclass(frozen=True, slots=True)
class Network:
    """Stacked recurrent layers and an output layer: all that defines the function computed."""

    cell: AbstractCell  # the cell of every layer, configured
    input_features: int  # I
    output_features: int  # O
    return_sequences: bool  # whether the output layer reads every step or only each sequence's last
    loss: str  # key of `rnnlab.core.losses.LOSSES`
    precision: str  # `float32` or `float64`
    output: OutputOptions = field(default_factory=OutputOptions)  # what the output layer has

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of parameters, states and outputs."""
        return np.dtype(self.precision)

    @property
    def loss_function(self) -> AbstractLoss:
        """The loss itself."""
        return LOSSES[self.loss]

    def layer_features(self, layer: int) -> int:
        """Return how many features a layer reads; the first layer reads the inputs."""
        return self.input_features if layer == 0 else self.cell.options.units

    def layer_parameters(self, layer: int) -> dict[str, Parameter]:
        """Return one layer's parameters by the cell's own names."""
        return self.cell.parameters(self.layer_features(layer))

    def parameters(self) -> dict[str, Parameter]:
        """Return all parameters by full name, `layers.0.W` … `head.b`, in their fixed order."""
        described = {
            f"layers.{layer}.{name}": parameter
            for layer in range(self.cell.options.layers)
            for name, parameter in self.layer_parameters(layer).items()
        }
        reads = self.cell.options.units, self.input_features
        return described | self.output.parameters(reads, self.output_features)

    @property
    def parameter_count(self) -> int:
        """How many values all parameters have."""
        return sum(one.size for one in self.parameters().values())

    def shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Return shape and dtype of each parameter by full name."""
        return {name: (parameter.shape, self.dtype) for name, parameter in self.parameters().items()}

    def in_matrices(self) -> NDArray[np.bool_]:
        """Return of every value of all parameters, in their order, whether it is of a matrix and not a bias, (P,)."""
        described = self.parameters().values()
        return np.repeat([len(one.shape) > 1 for one in described], [one.size for one in described])

    def empty_outputs(self, batch_size: int, timesteps: int) -> Array:
        """Return zeros for the raw outputs of a batch: (B, O), or (B, T, O) for sequences."""
        steps = (timesteps,) if self.return_sequences else ()
        return np.zeros((batch_size, *steps, self.output_features), self.dtype)

    def describe(self) -> dict[str, Any]:
        """Return all that defines the function, as plain data: stored with weights and compared on load."""
        return {
            "cell": self.cell.name,
            "cell_version": self.cell.version,
            "cell_options": self.cell.options.model_dump(exclude={"type", "initializers"}),
            "input_features": self.input_features,
            "output_features": self.output_features,
            "return_sequences": self.return_sequences,
            "loss": self.loss,
            "precision": self.precision,
            "output": self.output.model_dump(),
        }

    def draw(self, seed: int) -> dict[str, Array]:
        """Draw the initial parameters of a run with this seed."""
        initializers = self.cell.options.initializers
        roles = {role: getattr(initializers, role) for role in ("kernel", "recurrent_kernel", "bias")}
        return draw_parameters(self.parameters(), initializers=roles, seed=seed, dtype=self.dtype)
