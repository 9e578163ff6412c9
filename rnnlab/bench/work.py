"""The work that all contenders do: a training step of one shape, and the loss and gradients it must have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Network, Training
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell, CellOptions
from rnnlab.core.batch import Batch, last_step_mask
from rnnlab.core.code_files import without_path
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.streams import stream
from rnnlab.equations.plan import plan_of
from rnnlab.optim.rules.adam import Adam, AdamOptions
from rnnlab.optim.schedules.constant import SCHEDULE

Array = NDArray[Any]
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7
CLIP_NORM = 1.0
TOLERANCE = 1e-4  # of gradients, relative; float32 over a hundred steps comes to 1e-5 or less
_LEAST = 0.01  # of the largest gradient: what another is compared with at least
_SEED = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one training step, each at least 1: T, B, D and H."""

    timesteps: int
    batch_size: int
    input_features: int
    units: int

    def __str__(self) -> str:
        return f"T{self.timesteps} B{self.batch_size} D{self.input_features} H{self.units}"


# That of a notebook, and a small, a medium and a large one.
NAMED = {
    "N": Shape(timesteps=120, batch_size=64, input_features=14, units=16),
    "S": Shape(timesteps=50, batch_size=64, input_features=16, units=32),
    "M": Shape(timesteps=100, batch_size=32, input_features=32, units=128),
    "L": Shape(timesteps=100, batch_size=128, input_features=64, units=256),
}


def read_shape(text: str) -> Shape:
    """Return the shape with the name `text`, or the one it spells out.

    Raises:
        UsageError: It does neither.

    Example:
        >>> str(read_shape("M")), str(read_shape("T5xB4xD2xH3"))
        ('T100 B32 D32 H128', 'T5 B4 D2 H3')
        >>> read_shape("T5xB0xD2xH3")
        Traceback (most recent call last):
        rnnlab.core.errors.UsageError: unknown shape 'T5xB0xD2xH3' — known: L, M, N, S; or T100xB32xD32xH128
    """
    spelled = re.fullmatch("T{0}xB{0}xD{0}xH{0}".format("([1-9][0-9]{0,6})"), text, re.ASCII)
    if spelled:
        return Shape(*map(int, spelled.groups()))
    if text in NAMED:
        return NAMED[text]
    raise UsageError(f"unknown shape {text[:60]!r}", hint=f"{nearest(text, NAMED)}; or T100xB32xD32xH128")


@dataclass(frozen=True, slots=True)
class Work:
    """One training step: forward, backward, clipping by the global norm, an Adam update.

    The network reads standard normal inputs, and its linear head gives one output from the last step; the loss is the
    mean squared error. Gradients reach back to the first step. Everything is float32. The shape's units are the cell's.
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
        """Return the work that `jsonable` made plain data of."""
        options = CELLS.get(data["cell"]["type"]).Options
        return cls(options.model_validate(data["cell"]), Shape(**data["shape"]))

    def __str__(self) -> str:
        layers = f" {self.cell.layers} layers" if self.cell.layers > 1 else ""
        return f"{self.shape}{layers}, {without_path(self.cell.type)}"

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

    @property
    def cell_of_it(self) -> AbstractCell:
        """The cell, configured."""
        return self.network().cell

    @property
    def layer_inputs(self) -> list[int]:
        """The features that each layer reads."""
        return [self.shape.input_features, *[self.shape.units] * (self.cell.layers - 1)]

    def names(self, layer: int) -> dict[str, str]:
        """Return the full name of each parameter of one layer by the cell's own."""
        return {name: f"layers.{layer}.{name}" for name in self.network().layer_parameters(layer)}

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
        """Return how it is trained."""
        options = AdamOptions(learning_rate=LEARNING_RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)
        return Training(
            optimizer=Adam(options),
            learning_rate=LEARNING_RATE,
            schedule=SCHEDULE(SCHEDULE.Options(), total_steps=1),
            clip_norm=CLIP_NORM,
            longest=self.shape.timesteps,
        )

    def memory(self) -> int:
        """Return about how many bytes the reference needs: per step and layer a dozen arrays (B, H) in float64."""
        shape, layers = self.shape, self.cell.layers
        return 8 * shape.timesteps * shape.batch_size * (2 * shape.input_features + 12 * layers * shape.units)

    def operations(self) -> int:
        """Return the floating-point operations of the matrix products in one step.

        Every matrix of P parameters takes 2·T·B·P forward and as many for its own gradient. A matrix between states, or
        one that reads the layer below, takes as many again for the gradient passed back through it. In one layer:

            simple:  6·T·B·H² + 4·T·B·D·H
            carry:  30·T·B·H² + 16·T·B·D·H

        Differs: Elementwise work, the head and the update are left out: a lower bound.

        Example:
            >>> Work.of("ugrnn", NAMED["S"]).operations()  # 2·(6·50·64·32² + 4·50·64·16·32)
            52428800
        """
        times = 0
        for layer, features in enumerate(self.layer_inputs):
            plan = plan_of(self.cell_of_it, features)
            back = [name for stage in plan.backward for node in stage.products for name in node.sum.matrices]
            back += [name for _, name in plan.input_products] if layer else []
            times += sum((6 if name in back else 4) * rows * columns for name, (rows, columns) in plan.matrices.items())
        return self.shape.timesteps * self.shape.batch_size * times


@dataclass(frozen=True, slots=True)
class Figures:
    """The loss, and the gradient of every parameter by its full name, unclipped, as a contender computes them."""

    loss: float
    gradients: Mapping[str, Array]


def reference(work: Work) -> Figures:
    """Return the loss and gradients of the cell's own equations, in float64."""
    model = NumpyBackend(reference=True).build(work.network("float64"), parameters=work.parameters())
    return Figures(*model.loss_and_gradients(work.batch()))


def largest_difference(got: Figures, expected: Figures) -> tuple[float, str]:
    """Return the largest relative difference, and of what: the loss, or a gradient by name.

    A gradient's difference is relative to the largest value of its array, or to a hundredth of the largest of all where
    that is more: the gradient of a bias that cancels out is nothing but rounding. The difference of a nan is infinite.

    Example:
        >>> right = Figures(2.0, {"U": np.array([1.0, -4.0])})
        >>> largest_difference(Figures(2.0, {"U": np.array([1.0, -3.0])}), right)
        (0.25, 'gradient of U')
    """
    pairs = {"loss": (np.array(got.loss), np.array(expected.loss))}
    for name, array in expected.gradients.items():
        pairs[f"gradient of {name}"] = (got.gradients.get(name, np.full(array.shape, np.nan)), array)
    least = _LEAST * max((float(np.abs(array).max()) for array in expected.gradients.values()), default=0.0)
    return max((_relative(*pair, 0.0 if what == "loss" else least), what) for what, pair in pairs.items())


def _relative(got: Array, expected: Array, least: float) -> float:
    if got.shape != expected.shape:
        return float("inf")
    difference, scale = float(np.abs(got - expected).max()), max(float(np.abs(expected).max()), least)
    relative = difference / scale if scale else difference
    return relative if np.isfinite(relative) else float("inf")
