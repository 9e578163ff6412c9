"""Jacobians, memory and states against differences and networks whose answer is known by construction."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.unrolled import layers_of, unroll
from rnnlab.cells.carry import Carry, CarryOptions
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.inspection.diagnoses.capacity import capacity
from rnnlab.inspection.diagnoses.gates import gate, gates
from rnnlab.inspection.diagnoses.jacobian import jacobians, visited_jacobians
from rnnlab.inspection.diagnoses.spectrum import spectrum
from rnnlab.inspection.diagnoses.states import components

Array = NDArray[Any]
CARRY = Network(Carry(CarryOptions(units=3)), 2, 1, False, "mse", "float64")


def drawn(network: Network, seed: int = 0) -> dict[str, Array]:
    return {name: np.asarray(array) for name, array in network.draw(seed).items()}


def simple(units: int, activation: str, U: Array, W: Array | None = None) -> Any:
    network = Network(Simple(SimpleOptions(units=units, activation=activation)), 1, 1, False, "mse", "float64")
    W = np.zeros((1, units)) if W is None else W
    return layers_of(network, {"layers.0.W": W, "layers.0.U": U, "layers.0.b": np.zeros(units)})


def test_the_jacobian_is_that_of_differences() -> None:
    (layer,) = layers_of(CARRY, drawn(CARRY))
    rng = np.random.default_rng(0)
    inputs, state = rng.standard_normal((4, 2)), rng.standard_normal((4, 6)) / 2
    found = jacobians(layer, inputs, layer.split(state))

    def after(states: Array) -> Array:
        return layer.stacked(CARRY.cell.step(np, layer.parameters, inputs, layer.split(states)).state)

    for number in range(6):
        moved = np.zeros((4, 6))
        moved[:, number] = 1e-6
        slope = (after(state + moved) - after(state - moved)) / 2e-6
        np.testing.assert_allclose(found[:, :, number], slope, atol=1e-9)


def test_visited_jacobians_are_of_the_states_and_the_next_inputs() -> None:
    """Of a linear network the Jacobian is U, transposed, everywhere."""
    U = np.array([[0.0, 0.9], [-0.4, 0.2]])
    (layer,) = simple(2, "linear", U, np.ones((1, 2)))
    way = unroll((layer,), np.ones((3, 5, 1)), np.array([5, 5, 5]))
    found = visited_jacobians(way, 0, at=np.array([[0, 0], [2, 3]]))
    expected = np.linalg.svd(U, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, [expected, expected])
    assert spectrum(layer.parameters["U"]).radius == pytest.approx(np.sqrt(0.36))  # det = 0.36, a complex pair


def test_gates_are_the_activations_within_the_sequences() -> None:
    (layer,) = layers_of(CARRY, drawn(CARRY))
    way = unroll((layer,), np.random.default_rng(1).standard_normal((2, 4, 2)), np.array([4, 2]))
    found = gates(way)
    assert list(found) == ["layers.0.i", "layers.0.f", "layers.0.k", "layers.0.o"]
    assert {int(one.counts.sum()) for one in found.values()} == {6 * 3}
    values = np.concatenate(
        [
            np.stack([step.saved["f"] for step in way.steps[0]], 1)[0, :4],
            np.stack([step.saved["f"] for step in way.steps[0]], 1)[1, :2],
        ]
    )
    assert found["layers.0.f"].mean == pytest.approx(values.mean())
    np.testing.assert_allclose(found["layers.0.f"].kept, np.sort(-1 / np.log(values).mean(axis=0)))
    assert (found["layers.0.f"].edges[0], found["layers.0.f"].edges[-1]) == (0, 1)
    assert (found["layers.0.k"].edges[0], found["layers.0.k"].edges[-1]) == (-1, 1)


def test_an_activation_without_bounds_is_never_saturated() -> None:
    found = gate(np.array([0.0, 5.0, 9.0]), None)
    assert (found.low, found.high, found.counts.sum()) == (0, 0, 3)
    assert gate(np.array([2.0, 2.0]), None).counts.sum() == 2


def test_a_delay_line_remembers_as_many_steps_as_it_has_units() -> None:
    """Jaeger 2001: the memory capacity of a linear network is at most its size, and a delay line reaches it."""
    shift = np.eye(6, k=1)
    layers = simple(6, "linear", shift, np.eye(1, 6))
    found = capacity(layers, 1, np.random.default_rng(0))
    assert found.total == pytest.approx(5, abs=0.05)  # the sixth unit holds the input of now, which is no memory
    np.testing.assert_allclose(found.score[:5], 1, atol=1e-6)
    assert found.score[5:].max() < 0.02


def test_components_of_states_in_a_plane() -> None:
    """A rotation without input from two starts: two components hold all, and a circle stays a circle."""
    turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    inputs = np.zeros((1, 8, 1))
    inputs[0, 0, 0] = 1.0
    way = unroll(simple(3, "linear", turn, np.array([[1.0, 0.0, 0.0]])), inputs, np.array([8]))
    found, mean, directions = components(way, 0, "h")
    assert found.explained[:2] == pytest.approx([0.5, 0.5])
    np.testing.assert_allclose(np.linalg.norm(found.trajectories[0, :, :2], axis=1), 1)
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    assert directions.shape == (3, 3)
