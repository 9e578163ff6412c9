import numpy as np
import pytest

from rnnlab.core.initializers import GlorotUniform, Orthogonal, Zeros
from rnnlab.core.parameters import Parameter, draw_parameters

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
