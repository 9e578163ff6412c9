"""Clipping gives Keras's numbers, and finite ones where float32 squares overflow or vanish."""

import numpy as np
import pytest

from rnnlab.optim.clipping import clip_by_global_norm, clip_by_value

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def gradients_of(dtype, scale=1.0):
    return (np.random.default_rng(3).standard_normal(200) * scale).astype(dtype)


def clipped_by_keras(keras, gradients, **limit):
    """Return what Keras clips `gradients`, split into three variables, to: one plain step at rate 1 from zero."""
    parts = np.split(gradients, [20, 90])
    variables = [keras.Variable(np.zeros_like(part), dtype=part.dtype.name) for part in parts]
    optimizer = keras.optimizers.SGD(learning_rate=1.0, **limit)
    optimizer.apply([keras.ops.convert_to_tensor(part) for part in parts], variables)
    return -np.concatenate([np.asarray(variable) for variable in variables])


@each_dtype
@pytest.mark.parametrize("limit", [0.5, 14.0, 1000.0])
def test_the_global_norm_is_clipped_as_by_keras(keras, dtype, limit):
    gradients = gradients_of(dtype)
    expected = clipped_by_keras(keras, gradients, global_clipnorm=limit)
    clip_by_global_norm(gradients, limit)
    np.testing.assert_allclose(gradients, expected, rtol=8 * np.finfo(dtype).eps, atol=0)


@each_dtype
@pytest.mark.parametrize("limit", [0.5, 1000.0])
def test_values_are_clipped_as_by_keras(keras, dtype, limit):
    gradients = gradients_of(dtype)
    gradients[[0, 30, 150]] = np.nan, np.inf, -np.inf
    expected = clipped_by_keras(keras, gradients, clipvalue=limit)
    clip_by_value(gradients, limit)
    np.testing.assert_array_equal(gradients, expected)


@each_dtype
def test_gradients_within_the_limit_are_not_touched(dtype):
    gradients = gradients_of(dtype)
    before = gradients.tobytes()
    norm = clip_by_global_norm(gradients, limit=1000.0)
    assert gradients.tobytes() == before
    assert norm == pytest.approx(np.linalg.norm(gradients.astype("float64")), rel=8 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e37), ("float32", 1e20), ("float64", 1e200)])
def test_finite_gradients_whose_squares_overflow_are_clipped_to_the_limit(keras, dtype, scale):
    gradients = gradients_of(dtype, scale)
    assert np.isnan(clipped_by_keras(keras, gradients, global_clipnorm=2.0)).all()
    true = np.linalg.norm(gradients.astype("float64") / scale)
    direction = gradients.astype("float64") / scale / true
    norm = clip_by_global_norm(gradients, 2.0)
    assert norm == pytest.approx(true * scale, rel=1e-5)
    np.testing.assert_allclose(gradients, 2.0 * direction, rtol=1e-5)


@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e-25), ("float64", 1e-200)])
def test_gradients_whose_squares_vanish_have_a_norm_and_can_be_clipped(dtype, scale):
    gradients = gradients_of(dtype, scale)
    true = np.linalg.norm(gradients.astype("float64") / scale) * scale
    assert clip_by_global_norm(gradients, 1.0) == pytest.approx(true, rel=1e-5, abs=0)
    assert clip_by_global_norm(gradients, scale) == pytest.approx(true, rel=1e-5, abs=0)
    assert clip_by_global_norm(gradients, scale) == pytest.approx(scale, rel=1e-5, abs=0)


@each_dtype
@pytest.mark.parametrize(
    ("bad", "norm"), [([np.nan], "nan"), ([np.inf], "inf"), ([-np.inf], "inf"), ([np.nan, np.inf], "nan")]
)
def test_gradients_that_are_not_finite_are_left_alone_and_shown_by_the_norm(dtype, bad, norm):
    gradients = gradients_of(dtype)
    gradients[: len(bad)] = bad
    before = gradients.tobytes()
    assert str(clip_by_global_norm(gradients, 1.0)) == norm
    assert gradients.tobytes() == before


@each_dtype
@pytest.mark.parametrize("size", [0, 3])
def test_nothing_to_clip_has_norm_zero(dtype, size):
    gradients = np.zeros(size, dtype)
    assert clip_by_global_norm(gradients, 1.0) == 0.0
    assert gradients.tolist() == [0.0] * size
