"""A network computed step by step through its cell's own definition, in float64, with all values of each step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.reference import step_gradients
from rnnlab.cells.base import Arrays, Step, StepGradients
from rnnlab.core.batch import Array
from rnnlab.core.namespace import NUMPY


@final
@dataclass(frozen=True)
class Layer:
    """One recurrent layer."""

    network: Network
    number: int
    parameters: Mapping[str, Array]  # by the cell's own names, float64

    @property
    def name(self) -> str:
        """`layers.0` and so on."""
        return f"layers.{self.number}"

    def run(self, inputs: Array) -> list[Step]:
        """Return every step over inputs (T, B, I) from the zero state."""
        cell, steps = self.network.cell, list[Step]()
        state = cell.initial_state(np, inputs.shape[1], np.float64)
        for x in inputs:
            steps.append(self.step(x, state))
            state = steps[-1].state
        return steps

    def step(self, inputs: Array, state: Arrays) -> Step:
        """Return one step over inputs (B, I)."""
        return self.network.cell.step(NUMPY, self.parameters, inputs, state)

    def pulled_back(
        self, inputs: Array, state: Arrays, step: Step, *, state_gradient: Arrays, output_gradient: Array | None = None
    ) -> StepGradients:
        """Return the gradients before a step from those after it; `output_gradient` None stands for zero."""
        return step_gradients(
            self.network.cell,
            self.parameters,
            inputs=inputs,
            state=state,
            step=step,
            output_gradient=np.zeros_like(step.output) if output_gradient is None else output_gradient,
            state_gradient=state_gradient,
        )

    def stacked(self, state: Mapping[str, Array]) -> Array:
        """Return a state as one array, (B, S): the cell's state arrays side by side."""
        return np.concatenate([state[name] for name in self.network.cell.states], axis=-1)

    def split(self, stacked: Array) -> dict[str, Array]:
        """Return the state arrays of a stacked state."""
        sizes = self.network.cell.state_sizes()
        ends = np.cumsum(list(sizes.values()))[:-1]
        return dict(zip(sizes, np.split(stacked, ends, axis=-1), strict=True))


@final
@dataclass(frozen=True)
class Unrolled:
    """Every step of a network on a batch."""

    layers: tuple[Layer, ...]
    inputs: tuple[Array, ...]  # what each layer reads, (T, B, its features)
    steps: tuple[list[Step], ...]
    lengths: Array  # (B,) the steps of each sequence; those after its end are padding

    def states(self, layer: int, name: str) -> Array:
        """Return one state of a layer after each step, (B, T, H)."""
        return np.stack([step.state[name] for step in self.steps[layer]], axis=1)

    def visited(self) -> Array:
        """Return which steps belong to a sequence, (B, T) bool."""
        return np.arange(len(self.steps[0])) < self.lengths[:, None]


def layers_of(network: Network, parameters: Mapping[str, Array]) -> tuple[Layer, ...]:
    """Return the recurrent layers of a network, from all its parameters by full name, of any precision."""
    layers = []
    for number in range(network.cell.options.layers):
        names = network.layer_parameters(number)
        own = {name: np.asarray(parameters[f"layers.{number}.{name}"], np.float64) for name in names}
        layers.append(Layer(network, number, own))
    return tuple(layers)


def unroll(layers: tuple[Layer, ...], inputs: Array, lengths: Array) -> Unrolled:
    """Return every step of the layers, the first first, on inputs (B, T, I) with their lengths, (B,)."""
    below, steps = [np.asarray(inputs, np.float64).swapaxes(0, 1)], list[list[Step]]()
    for layer in layers:
        steps.append(layer.run(below[-1]))
        below.append(np.stack([step.output for step in steps[-1]]))
    return Unrolled(layers, tuple(below[:-1]), tuple(steps), np.asarray(lengths))
