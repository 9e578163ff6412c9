"""The work that all contenders do: one network, one batch, one recipe, and how many operations that takes at least."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Network, Training
from rnnlab.bench.shapes import Shape
from rnnlab.cells import CELLS
from rnnlab.cells.base import CellOptions
from rnnlab.core.batch import Batch, last_step_mask
from rnnlab.core.streams import stream
from rnnlab.optim.rules.adam import Adam, AdamOptions
from rnnlab.optim.schedules.constant import SCHEDULE

Array = NDArray[Any]
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7
CLIP_NORM = 1.0
_SEED = 0


@dataclass(frozen=True, slots=True)
class Work:
    """One training step: forward, backward, clipping by the global norm, an Adam update.

    The network reads standard normal inputs, and its linear head gives one output from the last step; the loss is the
    mean squared error. Gradients reach back to the first step. Everything is float32.

    Attributes:
        cell: The cell's options, its units and layers among them.
        shape: The sizes; its `units` are the cell's.
    """

    cell: CellOptions
    shape: Shape

    @classmethod
    def of(cls, cell: str, shape: Shape) -> Self:
        """Return the work of one layer of a cell with its default options.

        Raises:
            UsageError: There is no such cell.
        """
        return cls(CELLS.get(cell).Options(units=shape.units), shape)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the work that `as_json` described."""
        options = CELLS.get(data["cell"]["type"]).Options
        return cls(options.model_validate(data["cell"]), Shape(**data["shape"]))

    def as_json(self) -> dict[str, Any]:
        """Return all that defines the work, as plain data."""
        return {"cell": self.cell.model_dump(), "shape": asdict(self.shape)}

    def __str__(self) -> str:
        layers = f" {self.cell.layers} layers" if self.cell.layers > 1 else ""
        return f"{self.shape}{layers}, {self.cell.type}"

    def network(self, precision: str = "float32") -> Network:
        """Return the network."""
        return Network(
            cell=CELLS.get(self.cell.type)(self.cell),
            input_features=self.shape.input_features,
            output_features=1,
            return_sequences=False,
            loss="mse",
            precision=precision,
        )

    def parameters(self) -> dict[str, Array]:
        """Return the parameters from which every contender starts, float32."""
        return self.network().draw(_SEED)

    def batch(self) -> Batch:
        """Return the batch on which every contender trains."""
        shape, rng = self.shape, stream(_SEED, "bench/batch")
        inputs = rng.standard_normal((shape.batch_size, shape.timesteps, shape.input_features), np.float32)
        targets = rng.standard_normal((shape.batch_size, 1), np.float32)
        lengths = np.full(shape.batch_size, shape.timesteps)
        return Batch(inputs, targets, last_step_mask(lengths, shape.timesteps), lengths)

    def training(self) -> Training:
        """Return the recipe."""
        options = AdamOptions(learning_rate=LEARNING_RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)
        return Training(
            optimizer=Adam(options),
            learning_rate=LEARNING_RATE,
            schedule=SCHEDULE(SCHEDULE.Options(), total_steps=1),
            clip_norm=CLIP_NORM,
            longest=self.shape.timesteps,
        )

    def memory(self) -> int:
        """Return about how many bytes the reference takes: per step and layer a dozen arrays (B, H) in float64."""
        shape, layers = self.shape, self.cell.layers
        return 8 * shape.timesteps * shape.batch_size * (2 * shape.input_features + 12 * layers * shape.units)

    def operations(self) -> int:
        """Return the floating-point operations of the matrix products in one step.

        Every matrix of P numbers takes 2·T·B·P forward and as many for its own gradient; one that stands between
        states, or reads a layer below, takes as many again for what is passed back through it. In one layer:

            simple:  6·T·B·H² + 4·T·B·D·H
            carry:  30·T·B·H² + 16·T·B·D·H

        Differs: Elementwise work, the head and the update are left out: a lower bound.

        Example:
            >>> from rnnlab.bench.shapes import NAMED
            >>> Work.of("simple", NAMED["S"]).operations()  # 6·50·64·32² + 4·50·64·16·32
            26214400
        """
        network = self.network()
        times = 0
        for layer in range(self.cell.layers):
            for parameter in network.layer_parameters(layer).values():
                passes_back = parameter.role == "recurrent_kernel" or layer > 0
                times += parameter.size * (6 if passes_back else 4) if parameter.role != "bias" else 0
        return self.shape.timesteps * self.shape.batch_size * times
