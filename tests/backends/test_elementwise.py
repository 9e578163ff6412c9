import numpy as np
import pytest

from rnnlab.backends.numpy.layer import write_slope, writer
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


@DTYPE
@EVERY
def test_write_slope_is_the_definition(name: str, dtype: str) -> None:
    f = activations.get(name)
    y = f(np, points(dtype))
    kept, out = y.copy(), np.full_like(y, 99)
    write_slope(f, y, out=out)
    np.testing.assert_allclose(out, f.slope(np, y), rtol=np.finfo(dtype).eps, atol=0)
    assert np.array_equal(y, kept)
