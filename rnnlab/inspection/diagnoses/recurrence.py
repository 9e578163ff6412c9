"""What recurrent weights do to a state: matrices by themselves, and one step's Jacobian where sequences lead."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Layer, Unrolled
from rnnlab.inspection.diagnoses.findings import Jacobian, Spectrum

Array = NDArray[Any]


def spectrum(matrix: Array) -> Spectrum:
    """Return eigenvalues and singular values of a square matrix, the largest first.

    Example:
        A quarter turn that halves:

        >>> found = spectrum(np.array([[0.0, -0.5], [0.5, 0.0]]))
        >>> round(found.radius, 12), found.singular_values.tolist(), found.eigenvalues.round(3).tolist()
        (0.5, [0.5, 0.5], [0.5j, -0.5j])
    """
    values = np.linalg.eigvals(np.asarray(matrix, np.float64)).astype(np.complex128)
    ordered = values[np.lexsort((-values.imag, -values.real, -np.abs(values).round(12)))]
    singular = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    return Spectrum(ordered, singular, float(np.abs(ordered[0])))


def spectra(layers: tuple[Layer, ...]) -> dict[str, Spectrum]:
    """Return the spectrum of every recurrent matrix, by its full name."""
    return {
        f"{layer.name}.{name}": spectrum(layer.parameters[name])
        for layer in layers
        for name, parameter in layer.network.layer_parameters(layer.number).items()
        if parameter.role == "recurrent_kernel"
    }


def jacobians(layer: Layer, inputs: Array, states: Mapping[str, Array]) -> Array:
    """Return d state after / d state before of one step, (N, S, S), rows the state after.

    Args:
        layer: The layer.
        inputs: (N, I) of the layer.
        states: The states before the step, each (N, H).
    """
    step = layer.network.cell.step(np, layer.parameters, inputs, states)
    size = layer.stacked(step.state).shape[1]
    rows = np.empty((len(inputs), size, size))
    for number in range(size):
        unit = np.zeros((len(inputs), size))
        unit[:, number] = 1.0
        rows[:, number] = layer.stacked(layer.pulled_back(step, layer.split(unit)).state)
    return rows


def visited_jacobians(unrolled: Unrolled, number: int, *, at: Array) -> Jacobian:
    """Return the singular values of a layer's Jacobian at states that sequences visit.

    Args:
        unrolled: The network's way through a batch.
        number: Which layer.
        at: (N, 2): sequence and step, of the state before; the next step must be within the sequence.
    """
    layer, steps = unrolled.layers[number], unrolled.steps[number]
    inputs = np.stack([steps[step + 1].saved["x"][row] for row, step in at])
    states = {name: np.stack([steps[step].state[name][row] for row, step in at]) for name in layer.network.cell.states}
    return Jacobian(np.linalg.svd(jacobians(layer, inputs, states), compute_uv=False))
