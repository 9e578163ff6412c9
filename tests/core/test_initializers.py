"""Initial values: exact where the definition is exact, by Monte Carlo with its interval where it is a distribution."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from rnnlab.core.initializers import GlorotUniform, Identity, Normal, Orthogonal, Uniform, VectorInitializer, Zeros
from rnnlab.core.streams import stream


def draw(initializer, shape: tuple[int, ...], n: int = 0) -> np.ndarray:
    return initializer.draw(stream(5, "test/initializer", n), shape)


@pytest.mark.parametrize(
    ("initializer", "shape", "bound", "variance"),
    [
        (GlorotUniform(), (300, 500), np.sqrt(6 / 800), 2 / 800),
        (GlorotUniform(scale=2.0), (300, 500), 2 * np.sqrt(6 / 800), 8 / 800),
        (GlorotUniform(), (4000,), np.sqrt(6 / 8000), 2 / 8000),
        (Uniform(), (300, 500), 0.05, 0.05**2 / 3),
        (Uniform(scale=0.3), (4000,), 0.3, 0.03),
        (Normal(), (300, 500), np.inf, 0.05**2),
        (Normal(scale=2.0), (4000,), np.inf, 4.0),
    ],
)
def test_bounds_mean_and_variance(initializer, shape: tuple[int, ...], bound: float, variance: float) -> None:
    """Five standard errors; fourth moments: 9/5·variance² for a uniform number, 3·variance² for a normal one."""
    values = draw(initializer, shape)
    fourth = 3 if np.isinf(bound) else 9 / 5
    assert values.shape == shape
    assert abs(values.mean()) < 5 * np.sqrt(variance / values.size)
    assert abs((values**2).mean() - variance) < 5 * variance * np.sqrt((fourth - 1) / values.size)
    if np.isfinite(bound):
        assert 0.99 * bound < np.abs(values).max() <= bound
    else:
        assert (np.abs(values) < np.sqrt(variance)).mean() == pytest.approx(0.6827, abs=0.04)


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("shape", [(7, 7), (9, 4), (4, 9), (1, 6), (6, 1), (1, 1)])
def test_orthogonal(shape: tuple[int, int], scale: float) -> None:
    q = draw(Orthogonal(scale=scale), shape) / scale
    assert q.shape == shape
    few = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(few, np.eye(min(shape)), rtol=0, atol=1e-12)


def test_orthogonal_is_uniform() -> None:
    """Over all orthogonal matrices the trace has mean 0 and variance 1; without the sign fix its mean is far off."""
    count = 3000
    traces = [np.trace(draw(Orthogonal(), (4, 4), n)) for n in range(count)]
    unfixed = [
        np.trace(np.linalg.qr(stream(5, "test/initializer", n).standard_normal((4, 4)))[0]) for n in range(count)
    ]
    assert abs(np.mean(traces)) < 5 / np.sqrt(count)
    assert np.var(traces) == pytest.approx(1, abs=5 * np.sqrt(2 / count))
    assert abs(np.mean(unfixed)) > 5 / np.sqrt(count)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 2), [[3, 0], [0, 3]]),
        ((3, 2), [[3, 0], [0, 3], [0, 0]]),
        ((2, 3), [[3, 0, 0], [0, 3, 0]]),
    ],
)
def test_identity(shape: tuple[int, int], expected: list[list[float]]) -> None:
    assert draw(Identity(scale=3.0), shape).tolist() == expected


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_zeros(shape: tuple[int, ...]) -> None:
    assert np.array_equal(draw(Zeros(), shape), np.zeros(shape))


@pytest.mark.parametrize("shape", [(30, 500), (500, 30), (200, 200)])
def test_keras_has_the_same_glorot_bound(keras, shape: tuple[int, int]) -> None:
    theirs = np.abs(np.asarray(keras.initializers.GlorotUniform(seed=1)(shape))).max()
    ours = np.abs(draw(GlorotUniform(), shape)).max()
    assert theirs == pytest.approx(ours, rel=2e-3)  # the largest of 15,000 is within 1/15,000 of the bound, on average


@pytest.mark.parametrize("shape", [(6, 6), (8, 3), (3, 8)])
def test_keras_has_orthogonal_matrices_the_same_way_round(keras, shape: tuple[int, int]) -> None:
    theirs, ours = (
        np.asarray(keras.initializers.Orthogonal(gain=0.5, seed=1)(shape)),
        draw(Orthogonal(scale=0.5), shape),
    )
    expected = np.full(min(shape), 0.5)
    np.testing.assert_allclose(np.linalg.svd(theirs, compute_uv=False), expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.svd(ours, compute_uv=False), expected, atol=1e-12)


@pytest.mark.parametrize("kind", [GlorotUniform, Orthogonal, Identity, Uniform, Normal])
@pytest.mark.parametrize("scale", [0.0, -1.0, 100.5, float("nan"), float("inf"), True, "1"])
def test_a_scale_is_a_positive_number(kind, scale: object) -> None:
    with pytest.raises(ValidationError):
        kind(scale=scale)


@pytest.mark.parametrize("kind", ["glorot_uniform", "uniform", "normal", "zeros"])
def test_what_may_draw_a_vector_does(kind: str) -> None:
    initializer = TypeAdapter(VectorInitializer).validate_python({"type": kind})
    assert draw(initializer, (5,)).shape == (5,)
