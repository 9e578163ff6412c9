"""What the NumPy backend is made of: in-place activations, the flat vector of parameters."""

import numpy as np
import pytest

from rnnlab.backends.numpy.fast.passes import _writer as writer
from rnnlab.backends.numpy.pool import NamedVector
from rnnlab.core import activations

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
