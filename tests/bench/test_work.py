"""The operations against numbers worked by hand, and a work sent to a child."""

import json

import numpy as np
import pytest

from rnnlab.bench.work import NAMED, Shape, Work, read_shape
from rnnlab.cells import CELLS
from rnnlab.core.errors import UsageError
from rnnlab.core.text import jsonable


@pytest.mark.parametrize(
    ("cell", "name", "millions"),
    [("simple", "S", 26.2), ("simple", "M", 367), ("simple", "L", 5872),
     ("carry", "S", 124.5), ("carry", "M", 1783), ("carry", "L", 28_500)],
)  # fmt: skip
def test_the_operations_of_a_step(cell: str, name: str, millions: float) -> None:
    assert Work.of(cell, NAMED[name]).operations() / 1e6 == pytest.approx(millions, rel=2e-3)


@pytest.mark.parametrize(("cell", "recurrent", "inputs"), [("simple", 6, 4), ("carry", 30, 16)])
def test_the_formula_and_a_layer_above(cell: str, recurrent: int, inputs: int) -> None:
    one = Work.of(cell, Shape(timesteps=7, batch_size=5, input_features=3, units=2))
    assert one.operations() == 7 * 5 * (recurrent * 2 * 2 + inputs * 3 * 2)
    # The upper layer reads H features, and passes a gradient back to them: half as much again as its inputs cost.
    two = Work(CELLS.get(cell).Options(units=2, layers=2), one.shape)
    assert two.operations() - one.operations() == 7 * 5 * (recurrent + inputs * 3 // 2) * 2 * 2
    assert (str(one), str(two)) == (f"T7 B5 D3 H2, {cell}", f"T7 B5 D3 H2 2 layers, {cell}")


def test_a_child_gets_the_same_work() -> None:
    options = CELLS.get("carry").Options(units=3, layers=2, activation="softsign", forget_bias=0.5)
    work = Work(options, read_shape("T5xB4xD2xH3"))
    again = Work.from_json(json.loads(json.dumps(jsonable(work))))
    assert again == work
    assert {name: array.tobytes() for name, array in again.parameters().items()} == {
        name: array.tobytes() for name, array in work.parameters().items()
    }
    batch = work.batch()
    assert (batch.inputs.shape, batch.inputs.dtype, batch.targets.shape) == ((4, 5, 2), np.float32, (4, 1))
    assert np.array_equal(again.batch().inputs, batch.inputs)


@pytest.mark.parametrize("text", ["", "X", "m", "T0xB1xD1xH1", "T5xB4xD2", "T5xB4xD2xH3x", "T５xB4xD2xH3"])
def test_an_unknown_shape(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_shape(text)
    assert str(caught.value).startswith(f"unknown shape '{text}' — ")
    assert str(caught.value).endswith("; or T100xB32xD32xH128")
