"""Fixed points against networks whose points are known, SciPy's solver, differences, and Sussillo & Barak 2013."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import root

import rnnlab
from rnnlab.backends.base import Network
from rnnlab.backends.numpy.unrolled import Layer, layers_of
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.inspection.diagnoses.fixed_points import DIAGNOSIS, FixedPoints, fixed_points

Array = NDArray[Any]
ROOT = Path(__file__).parents[2]
WELL = 0.9575040240772687  # tanh(2h) = h, by bisection


def simple(activation: str, U: Array) -> Layer:
    network = Network(Simple(SimpleOptions(units=len(U), activation=activation)), 1, 1, False, "mse", "float64")
    parameters = {"layers.0.W": np.zeros((1, len(U))), "layers.0.U": U, "layers.0.b": np.zeros(len(U))}
    return layers_of(network, parameters)[0]


def found(layer: Layer, visited: Array, seed: int = 0) -> FixedPoints:
    return fixed_points(layer, visited, np.zeros(1), np.random.default_rng(seed))


def test_three_wells_are_a_cube_with_all_its_saddles() -> None:
    """Three units h = tanh(2h) apart: each is at ±0.9575, slope 2(1 - h²) = 0.1664, or at 0, slope 2; 27 in all."""
    corners = WELL * np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    for seed in range(3):
        one = found(simple("tanh", 2 * np.eye(3)), corners, seed)
        expected = {(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)}
        assert {tuple(row) for row in np.rint(one.states["h"]).astype(int).tolist()} == expected
        np.testing.assert_allclose(np.abs(one.states["h"][np.abs(one.states["h"]) > 0.5]), WELL, rtol=1e-12)
        at_zero = (np.abs(one.states["h"]) < 0.5).sum(axis=1)
        assert one.unstable.tolist() == at_zero.tolist() == [0] * 8 + [1] * 12 + [2] * 6 + [3]
        for point, eigenvalues in zip(one.states["h"], one.eigenvalues, strict=True):
            np.testing.assert_allclose(eigenvalues, np.sort(2 * (1 - point**2))[::-1], atol=1e-9)
        assert (one.index_sum, one.is_bounded, len(one.slow_steps)) == (1, True, 0)


def test_a_search_that_misses_points_says_so() -> None:
    one = found(simple("tanh", 2 * np.eye(3)), np.full((8, 3), WELL))
    assert one.index_sum == len(one.steps) == 1
    saddle = found(simple("tanh", 2 * np.eye(1)), np.zeros((8, 1)))
    assert saddle.index_sum == -1
    assert (
        "the index sum is -1 and must be 1 (Poincaré-Hopf): points are missing" in DIAGNOSIS.sentences({"x": saddle})[0]
    )


def test_a_slow_point_is_where_the_speed_is_least() -> None:
    """h = tanh(1.2 h - 0.07) has one point, the lower well; where the upper one was, h still passes slowly."""
    layer = simple("tanh", np.eye(1) * 1.2)
    layer.parameters["b"][:] = -0.07
    grid = np.linspace(-1, 1, 200_001)
    movement = np.tanh(1.2 * grid - 0.07) - grid
    one = found(layer, np.linspace(-1, 1, 40)[:, None])
    assert len(one.steps) == 1  # the lower well
    np.testing.assert_allclose(one.states["h"][0, 0], grid[np.abs(movement).argmin()], atol=1e-5)
    above = grid > 0
    np.testing.assert_allclose(one.slow["h"][:, 0], grid[above][np.abs(movement[above]).argmin()], atol=0.02)
    np.testing.assert_allclose(one.slow_steps, np.abs(movement[above]).min(), rtol=0.01)


def test_lines_of_points_and_states_without_bound() -> None:
    line = found(simple("linear", np.diag([1.0, 0.5])), np.random.default_rng(0).standard_normal((20, 2)))
    np.testing.assert_allclose(line.states["h"][:, 1], 0, atol=1e-9)
    assert "there are lines of fixed points" in DIAGNOSIS.sentences({"x": line})[0]
    away = found(simple("linear", np.diag([3.0, 0.5])), np.random.default_rng(0).standard_normal((20, 2)))
    assert (len(away.steps), away.index_sum, away.unstable.tolist()) == (1, -1, [1])
    assert "need not be 1" in DIAGNOSIS.sentences({"x": away})[0]


def test_a_search_without_work_left_says_so() -> None:
    corners = WELL * np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    one = fixed_points(simple("tanh", 2 * np.eye(3)), corners, np.zeros(1), np.random.default_rng(0), 27)
    assert one.is_cut_short
    assert "cut short" in DIAGNOSIS.sentences({"x": one})[-1]


def carry_step(weights: dict[str, Array], state: Array) -> Array:
    """The carry cell without input, written once more: h and c side by side."""
    h, c = np.split(state, 2)
    a = {g: h @ weights[f"layers.0.U{g}"] + weights[f"layers.0.b{g}"] for g in "ifko"}
    i, f = (1 / (1 + np.exp(-a[g])) for g in "if")
    return np.concatenate([np.tanh(a["o"] + c @ weights["layers.0.Vo"]), i * np.tanh(a["k"]) + f * c])


def checked(run: rnnlab.Run, *, starts: int) -> None:
    one = rnnlab.diagnose(run, ["fixed-points"])["fixed-points"]["layers.0"]
    weights = {name: np.asarray(array, np.float64) for name, array in run.weights().items()}
    points = np.concatenate([one.states["h"], one.states["c"]], axis=1)
    size = points.shape[1]
    assert np.bincount(one.unstable).tolist() == [8, 12, 6, 1]
    assert one.index_sum == 1
    assert max(np.linalg.norm(carry_step(weights, point) - point) for point in points) < 1e-9
    for point, eigenvalues in zip(points, one.eigenvalues, strict=True):
        moved = 1e-6 * np.eye(size)
        slopes = [(carry_step(weights, point + d) - carry_step(weights, point - d)) / 2e-6 for d in moved]
        own = np.linalg.eigvals(np.array(slopes))
        assert max(np.abs(own - value).min() for value in eigenvalues) < 1e-6
    bits = one.states["h"][:8] @ weights["head.W"] + weights["head.b"]
    assert len({tuple(row) for row in np.sign(bits).astype(int).tolist()}) == 8
    np.testing.assert_allclose(np.abs(bits), 1, atol=0.25)
    rng = np.random.default_rng(9)
    for _ in range(starts):  # MINPACK's hybrid method, from other starts: it finds no other point
        start = rng.dirichlet(np.ones(4)) @ points[rng.permutation(8)[:4]] + rng.normal(0, 0.1, size)
        end = root(lambda state: carry_step(weights, state) - state, start, tol=1e-12)
        if np.abs(end.fun).max() < 1e-9:
            assert np.linalg.norm(points - end.x, axis=1).min() < 1e-5


def test_three_bits_are_eight_stable_points_and_nineteen_saddles(tmp_path: Path) -> None:
    """Sussillo & Barak 2013, section 4.1: a stable point for each memory, and saddles between them."""
    settings = [
        "cell.units=16",
        "training.steps=1600",
        "evaluation.sequences=100",
        "training.optimizer.learning_rate=1e-2",
    ]
    checked(rnnlab.train(ROOT / "configs" / "flip_flop.yaml", settings, runs=tmp_path), starts=20)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_the_shipped_config_too(tmp_path: Path, seed: int) -> None:
    checked(rnnlab.train(ROOT / "configs" / "flip_flop.yaml", [f"seed={seed}"], runs=tmp_path), starts=200)
