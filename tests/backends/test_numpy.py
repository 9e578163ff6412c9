"""What the NumPy backend is made of: kernels by name, in-place activations, the flat vector of parameters."""

import numpy as np
import pytest

from rnnlab.backends.numpy import NumpyBackend
from rnnlab.backends.numpy.fast import KERNELS
from rnnlab.backends.numpy.layer import write_slope, writer
from rnnlab.backends.numpy.pool import NamedVector
from rnnlab.cells import CELLS
from rnnlab.core import activations
from tests.networks import batch, network, parameters


def test_every_fast_kernel_is_of_a_cell() -> None:
    assert set(KERNELS.names()) <= set(CELLS.names())


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS.names())
def test_fast_equals_readable(cell: str, precision: str) -> None:
    """180 steps of 6 rows are more than one chunk of the weight gradients' products."""
    net = network(cell, layers=2, sequences=True, units=17, precision=precision)
    data = batch(net, batch_size=6, timesteps=180, ragged=True, holes=True)
    tame = {name: array / 2 for name, array in parameters(net).items()}  # else 180 steps amplify every rounding
    (loss, gradients), (expected_loss, expected) = (
        NumpyBackend(reference=reference).build(net, parameters=tame).loss_and_gradients(data)
        for reference in (False, True)
    )
    tolerance = 1e-4 if precision == "float32" else 1e-12
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert gradients["head.W"].dtype == np.dtype(precision)
    for name, array in gradients.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=tolerance * np.abs(expected[name]).max())


EVERY = pytest.mark.parametrize("name", activations.names())
DTYPE = pytest.mark.parametrize("dtype", ["f4", "f8"])


def points(dtype: str) -> np.ndarray:
    return np.linspace(-7, 7, 60).reshape(5, 12).astype(dtype)


@DTYPE
@EVERY
def test_a_writer_is_the_definition_in_place_and_into_a_part(name: str, dtype: str) -> None:
    f, x = activations.get(name), points(dtype)
    expected = f(np, x.copy())
    block = np.full((5, 24), 99, dtype)
    writer(f)(x, block[:, 6:18])
    assert np.array_equal(block[:, 6:18], expected)
    assert np.array_equal(np.delete(block, range(6, 18), axis=1), np.full((5, 12), 99))
    writer(f)(x, x)
    assert np.array_equal(x, expected)


@DTYPE
@EVERY
def test_write_slope_is_the_definition(name: str, dtype: str) -> None:
    f = activations.get(name)
    y = f(np, points(dtype))
    kept, out = y.copy(), np.full_like(y, 99)
    write_slope(f, y, out=out)
    np.testing.assert_allclose(out, f.slope(np, y), rtol=np.finfo(dtype).eps, atol=0)
    assert np.array_equal(y, kept)


SHAPES = {"W": (2, 3), "b": (3,), "head.W": (3, 1)}


def filled() -> tuple[NamedVector, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    arrays = {name: rng.random(shape) for name, shape in SHAPES.items()}
    vector = NamedVector(SHAPES, "f8")
    vector.fill_from(arrays)
    return vector, arrays


def test_views_and_vector_are_one_memory_and_copies_are_not() -> None:
    vector, arrays = filled()
    assert np.array_equal(vector.flat, np.concatenate([array.ravel() for array in arrays.values()]))
    assert list(vector.views) == list(SHAPES)
    assert vector.flat.flags["C_CONTIGUOUS"]
    copies = vector.copies()
    vector.flat *= 2
    for name, array in arrays.items():
        assert np.array_equal(vector.views[name], 2 * array)
        assert np.array_equal(copies[name], array)


def test_filling_rounds_to_the_vectors_own_dtype() -> None:
    vector = NamedVector({"b": (1,)}, "f4")
    vector.fill_from({"b": np.array([0.1])})
    assert vector.flat.dtype == np.float32
    assert vector.flat[0] == np.float32(0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"U": np.zeros(1)}, r"names differ: \['U'\]"),
        ({"b": np.zeros(4)}, r"b: got shape \(4,\), expected \(3,\)"),
        ({"b": np.zeros((1, 3))}, r"b: got shape \(1, 3\), expected \(3,\)"),
        ({"head.W": np.zeros(())}, r"head.W: got shape \(\), expected \(3, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused_not_broadcast(change: dict[str, np.ndarray], message: str) -> None:
    vector, arrays = filled()
    with pytest.raises(ValueError, match=message):
        vector.fill_from({**arrays, **change})
