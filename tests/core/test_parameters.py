"""Initial parameters: exact where the definition is exact, by Monte Carlo with its interval where it is random."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from rnnlab.core.parameters import (
    Chrono,
    GlorotUniform,
    Identity,
    Normal,
    Orthogonal,
    Parameter,
    Sparse,
    Uniform,
    UniformBetween,
    VectorInitializer,
    Zeros,
    draw_parameters,
)  # fmt: skip
from rnnlab.core.streams import stream

ROLES = {"kernel": GlorotUniform(), "recurrent_kernel": Orthogonal(), "bias": Zeros()}
LAYER = {
    "layers.0.W": Parameter((3, 5), "kernel"),
    "layers.0.U": Parameter((5, 5), "recurrent_kernel"),
    "layers.0.b": Parameter((5,), "bias", 1.5),
}


def draw(parameters: dict[str, Parameter], seed: int = 4, dtype: str = "f8") -> dict[str, np.ndarray]:
    return draw_parameters(parameters, initializers=ROLES, seed=seed, dtype=dtype)


def test_adding_or_moving_a_parameter_moves_no_other() -> None:
    alone = draw(LAYER)
    more = draw({"layers.1.W": Parameter((5, 5), "kernel"), **dict(reversed(LAYER.items()))})
    for name in LAYER:
        assert np.array_equal(alone[name], more[name]), name


def test_two_parameters_of_one_shape_differ() -> None:
    drawn = draw({name: Parameter((4, 4), "kernel") for name in ("layers.0.W", "layers.1.W")})
    assert np.abs(drawn["layers.0.W"] - drawn["layers.1.W"]).min() > 0


def test_another_seed_is_another_draw() -> None:
    assert np.abs(draw(LAYER)["layers.0.W"] - draw(LAYER, seed=5)["layers.0.W"]).min() > 0


def test_float32_is_float64_rounded() -> None:
    double, single = draw(LAYER), draw(LAYER, dtype="f4")
    for name in LAYER:
        assert single[name].dtype == np.float32
        assert np.array_equal(single[name], double[name].astype("f4"))
    assert np.abs(double["layers.0.W"] - single["layers.0.W"]).max() > 0


def test_the_offset_is_added_to_what_is_drawn() -> None:
    assert draw(LAYER)["layers.0.b"].tolist() == [1.5] * 5
    plain, moved = (draw({"W": Parameter((2, 2), "kernel", offset)})["W"] for offset in (0.0, 2.0))
    assert np.array_equal(moved, plain + 2)


@pytest.mark.parametrize(("shape", "size"), [((3, 5), 15), ((7,), 7)])
def test_size(shape: tuple[int, ...], size: int) -> None:
    assert Parameter(shape, "kernel").size == size


def test_these_numbers_do_not_change() -> None:
    """A published run is repeated from its seed for ever; a change here breaks every one of them."""
    drawn = draw(LAYER, seed=0)
    assert drawn["layers.0.W"][0, :2].tolist() == pytest.approx([0.5104107578939556, -0.7177245276783178], abs=1e-15)


def draw_one(initializer, shape: tuple[int, ...], n: int = 0) -> np.ndarray:
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
    values = draw_one(initializer, shape)
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
    q = draw_one(Orthogonal(scale=scale), shape) / scale
    assert q.shape == shape
    few = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(few, np.eye(min(shape)), rtol=0, atol=1e-12)


def test_orthogonal_is_uniform() -> None:
    """Over all orthogonal matrices the trace has mean 0 and variance 1; without the sign fix its mean is far off."""
    count = 3000
    traces = [np.trace(draw_one(Orthogonal(), (4, 4), n)) for n in range(count)]
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
    assert draw_one(Identity(scale=3.0), shape).tolist() == expected


def test_sparse() -> None:
    drawn = draw_one(Sparse(), (50, 50))
    assert ((drawn != 0).sum(axis=1) == 15).all()
    assert np.abs(np.linalg.eigvals(drawn)).max() == pytest.approx(0.95)
    assert len({tuple(row.nonzero()[0]) for row in drawn}) == 50
    assert (draw_one(Sparse(nonzeros=9, radius=2.0), (3, 5)) != 0).all()


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_zeros(shape: tuple[int, ...]) -> None:
    assert np.array_equal(draw_one(Zeros(), shape), np.zeros(shape))


@pytest.mark.parametrize("shape", [(30, 500), (500, 30), (200, 200)])
def test_keras_has_the_same_glorot_bound(keras, shape: tuple[int, int]) -> None:
    theirs = np.abs(np.asarray(keras.initializers.GlorotUniform(seed=1)(shape))).max()
    ours = np.abs(draw_one(GlorotUniform(), shape)).max()
    assert theirs == pytest.approx(ours, rel=2e-3)  # the largest of 15,000 is within 1/15,000 of the bound, on average


@pytest.mark.parametrize("shape", [(6, 6), (8, 3), (3, 8)])
def test_keras_has_orthogonal_matrices_the_same_way_round(keras, shape: tuple[int, int]) -> None:
    theirs, ours = (
        np.asarray(keras.initializers.Orthogonal(gain=0.5, seed=1)(shape)),
        draw_one(Orthogonal(scale=0.5), shape),
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
    assert draw_one(initializer, (5,)).shape == (5,)


def test_chrono_is_the_logarithm_of_a_uniform_time_and_the_input_gate_has_its_negative() -> None:
    """ln U[1, T - 1]: exp of it has the mean T/2 and lies in [1, T - 1]. One draw serves both biases."""
    layer = {
        "layers.0.bi": Parameter((40_000,), "bias", opposite="bf"),
        "layers.0.bf": Parameter((40_000,), "bias", initializer=Chrono(longest=101)),
        "layers.1.bi": Parameter((3,), "bias", 0.5, opposite="bf"),
        "layers.1.bf": Parameter((3,), "bias", initializer=Chrono(longest=101)),
    }
    drawn = draw(layer)
    assert np.array_equal(drawn["layers.0.bi"], -drawn["layers.0.bf"])
    assert np.array_equal(drawn["layers.1.bi"], 0.5 - drawn["layers.1.bf"])
    times = np.exp(drawn["layers.0.bf"])
    assert 1 <= times.min() < 1.1
    assert 99.9 < times.max() <= 100
    assert times.mean() == pytest.approx(50.5, abs=5 * 99 / np.sqrt(12 * 40_000))


def test_a_parameter_with_an_initializer_of_its_own_is_not_drawn_by_its_role() -> None:
    drawn = draw({"u": Parameter((1000,), "recurrent_kernel", initializer=UniformBetween(low=0.5, high=0.75))})["u"]
    assert 0.5 <= drawn.min() < drawn.max() <= 0.75
    fixed = draw({"b": Parameter((2,), "bias", (-1.0, -3.0), Zeros())})["b"]
    assert fixed.tolist() == [-1.0, -3.0]
    with pytest.raises(ValidationError, match="expected low < high, got 1 and 1"):
        UniformBetween(low=1.0)
