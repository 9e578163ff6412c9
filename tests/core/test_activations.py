"""Activations against Keras's own, and their slopes against central differences."""

import numpy as np
import pytest

from rnnlab.core import activations
from rnnlab.core.errors import UsageError

POINTS = np.array([-50.0, -6.5, -3.2, -1.0, -0.3, 0.2, 0.9, 2.7, 4.0, 30.0])  # no kink among them
EVERY = pytest.mark.parametrize("name", activations.names())


def test_names() -> None:
    assert activations.names() == ["hard_sigmoid", "linear", "relu", "sigmoid", "softsign", "tanh"]


@EVERY
def test_keras_agrees(keras, name: str) -> None:
    theirs = np.asarray(keras.activations.get(name)(keras.ops.convert_to_tensor(POINTS, dtype="float64")))
    np.testing.assert_allclose(activations.get(name)(np, POINTS), theirs, rtol=1e-12, atol=1e-15)


@EVERY
def test_keras_ops_is_an_array_namespace_too(keras, name: str) -> None:
    f, x = activations.get(name), keras.ops.convert_to_tensor(POINTS, dtype="float64")
    y = f(keras.ops, x)
    np.testing.assert_allclose(np.asarray(y), f(np, POINTS), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(np.asarray(f.slope(keras.ops, y)), f.slope(np, f(np, POINTS)), rtol=1e-9, atol=1e-15)


@EVERY
def test_the_slope_is_the_derivative(name: str) -> None:
    f, step = activations.get(name), 1e-6
    expected = (f(np, POINTS + step) - f(np, POINTS - step)) / (2 * step)
    np.testing.assert_allclose(f.slope(np, f(np, POINTS)), expected, rtol=1e-7, atol=1e-9)


@EVERY
def test_float32_stays_float32(name: str) -> None:
    f = activations.get(name)
    y = f(np, POINTS.astype("f4"))
    assert {y.dtype, f.slope(np, y).dtype} == {np.dtype("f4")}


@EVERY
def test_nothing_overflows(name: str) -> None:
    f = activations.get(name)
    with np.errstate(all="raise", under="ignore"):
        y = f(np, np.array([-1e30, 1e30], "f4"))
        assert np.isfinite(y).all()
        assert np.isfinite(f.slope(np, y)).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_the_scaled_form_is_the_function(name: str) -> None:
    f = activations.get(name)
    np.testing.assert_allclose(f.gain * np.tanh(f.inner * POINTS) + f.shift, f(np, POINTS), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sigmod", "did you mean 'sigmoid'?"),
        ("gelu", "did you mean 'relu'?"),
        ("", f"known: {', '.join(activations.names())}"),
    ],
)
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        activations.get(name)
    assert (caught.value.problem, caught.value.hint) == (f"unknown activation {name!r}", hint)
