"""The fast layer of the NumPy backend: any cell's plan, compared with the readable layer and central differences."""

import numpy as np
import pytest

from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.backends.numpy.fast.layer import FastLayer
from rnnlab.backends.numpy.layer import Tape
from rnnlab.cells.base import AbstractCell
from rnnlab.equations.plan import plan_of
from tests.backends.test_gradients import assert_gradients
from tests.equations.test_derivative import CELLS_OF_TESTS
from tests.networks import batch, parameters

CELLS = pytest.mark.parametrize("cell", CELLS_OF_TESTS, ids=lambda cell: cell.name)


def network(cell: AbstractCell, *, units: int, layers: int = 2, precision: str = "float64") -> Network:
    sized = type(cell)(cell.options.model_copy(update={"units": units, "layers": layers}))
    return Network(sized, input_features=3, output_features=2, return_sequences=True, loss="mse", precision=precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@CELLS
def test_fast_equals_readable(cell: AbstractCell, precision: str) -> None:
    """Sequences of different lengths are many chunks."""
    net = network(cell, units=20, precision=precision)
    data = batch(net, batch_size=6, timesteps=40, ragged=True, holes=True)
    tame = {name: array / 8 for name, array in parameters(net).items()}  # else many steps amplify every rounding
    fast, readable = (NumpyBackend(reference=reference).build(net, parameters=tame) for reference in (False, True))
    (loss, gradients), (expected_loss, expected) = (model.loss_and_gradients(data) for model in (fast, readable))
    tolerance = 1e-4 if precision == "float32" else 1e-12
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert gradients["head.W"].dtype == np.dtype(precision)
    largest = max(np.abs(array).max() for array in expected.values())
    for name, array in gradients.items():  # some of a cell that normalizes are zero but for rounding
        bound = tolerance * max(np.abs(expected[name]).max(), largest / 10)
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=bound, err_msg=name)
    got, wanted = (model.predict(data.inputs, data.lengths, states=True) for model in (fast, readable))
    np.testing.assert_allclose(got.outputs, wanted.outputs, rtol=0, atol=tolerance * 10)
    assert got.states.keys() == wanted.states.keys()
    for name, array in got.states.items():
        np.testing.assert_allclose(array, wanted.states[name], rtol=0, atol=tolerance * 10)


@pytest.mark.parametrize("timesteps", [1, 2, 8])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@CELLS
def test_one_unit_and_one_sequence_read_no_memory_before_it_is_written(
    cell: AbstractCell, precision: str, timesteps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All memory of a layer is nan at first: what is read before it is written, or never written, would be nan.

    With one unit and one sequence the loops inside NumPy are over time, with a stride of its own for every cell.
    """
    fewest = 2 if cell.name == "everything" else getattr(cell.options, "cells_per_block", 1)
    net = network(cell, units=fewest, precision=precision)
    data, start = batch(net, batch_size=1, timesteps=timesteps), parameters(net)
    expected_loss, expected = NumpyBackend(reference=True).build(net, parameters=start).loss_and_gradients(data)

    def poisoned(size: int, dtype: np.dtype) -> np.ndarray:
        return np.full(size, np.nan, dtype)

    monkeypatch.setattr("rnnlab.backends.numpy.layer._empty", poisoned)
    loss, gradients = NumpyBackend().build(net, parameters=start).loss_and_gradients(data)
    tolerance = 1e-4 if precision == "float32" else 1e-12
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    largest = max(np.abs(array).max() for array in expected.values())
    for name, array in gradients.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=tolerance * largest, err_msg=name)


@CELLS
def test_every_gradient_is_that_of_central_differences(cell: AbstractCell) -> None:
    net = network(cell, units=4)
    assert_gradients(net, batch(net, ragged=True, holes=True))
    assert_gradients(net, batch(net, ragged=True), bptt_steps=3)


@CELLS
def test_a_tape_is_used_again_for_chunks_of_other_shapes(cell: AbstractCell) -> None:
    """The calls of a chunk are bound to memory that another shape has used in between, or that has moved."""
    net = network(cell, units=4, layers=1)
    own = {name.removeprefix("layers.0."): array / 4 for name, array in parameters(net).items() if "layers" in name}
    rng = np.random.default_rng(0)

    def run(layer: FastLayer, gradients: dict[str, np.ndarray], tapes: list[Tape], shape: tuple[int, int]) -> dict:
        timesteps, batch_size = shape
        for array in gradients.values():
            array.fill(0)
        layer.begin(net.dtype)
        inputs = np.random.default_rng(timesteps).normal(size=(len(tapes), timesteps, batch_size, 3))
        state = net.cell.initial_state(np, batch_size, net.dtype)
        for x, tape in zip(inputs, tapes, strict=True):
            _, state = layer.forward(x, state, tape)
        later = {name: np.ones_like(array) for name, array in state.items()}
        above = [np.ones((batch_size, 4))] * timesteps
        for tape in reversed(tapes):
            _, later = layer.backward(tape, above, state_gradient=later, need_inputs=True)
        layer.finish()
        return {name: array.copy() for name, array in {**gradients, **later}.items()}

    def new() -> tuple[FastLayer, dict[str, np.ndarray], list[Tape]]:
        gradients = {name: np.zeros_like(array) for name, array in own.items()}
        return FastLayer(plan_of(net.cell, 3), own, gradients), gradients, [Tape(), Tape()]

    old = new()
    for shape in [(3, 2), (3, 4), (2, 3), (3, 4), *map(tuple, rng.integers(1, 6, (6, 2)).tolist())]:
        got, expected = run(*old, shape), run(*new(), shape)
        for name, array in expected.items():
            assert np.array_equal(got[name], array), (shape, name)
