"""The layer that Keras's engines derive from an equation, for equations that use all that one can."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnlab.cells.base import AbstractCell
from tests.backends.contenders import Contender, assert_close, reference
from tests.equations.test_derivative import Everything, NamedOutput, Peephole, ResetBefore, Unchanged
from tests.networks import batch

ODD = [
    kind(kind.Options(type=kind.name, units=4, layers=2))
    for kind in (Everything, NamedOutput, Peephole, ResetBefore, Unchanged)
]


def ways(cell: AbstractCell) -> list[Any]:
    quick = [(True, 3, True)] if cell.name == "everything" else [(False, None, False)]
    every = [(sequences, window, ragged) for sequences in (0, 1) for window in (None, 3) for ragged in (0, 1)]
    marked = [pytest.param(cell, "keras-derived", *way, marks=pytest.mark.soak) for way in every]
    return [*((cell, "keras-derived", *way) for way in quick), *marked]


@pytest.mark.parametrize(
    ("cell", "contender", "sequences", "window", "ragged"),
    [
        *(way for cell in ODD for way in ways(cell)),
        (ODD[1], "keras-loop", False, None, False),
        pytest.param(ODD[0], "keras-loop", True, 3, True, marks=pytest.mark.soak),
        *(pytest.param(cell, "keras-loop", False, None, False, marks=pytest.mark.soak) for cell in ODD[2:]),
    ],
    indirect=["contender"],
    ids=lambda value: getattr(value, "name", None),
)
def test_odd_equations(
    cell: AbstractCell, contender: Contender, sequences: bool, window: int | None, ragged: bool
) -> None:
    net = replace(contender.network("simple", sequences=bool(sequences)), cell=cell)
    data = batch(net, ragged=bool(ragged), holes=bool(sequences))
    model, expected = contender.build(net, bptt_steps=window), reference(net, bptt_steps=window)
    loss, gradients = model.loss_and_gradients(data)
    right, right_gradients = expected.loss_and_gradients(data)
    assert loss == pytest.approx(right, rel=1e-5 if net.precision == "float32" else 1e-12)
    assert_close(gradients, right_gradients, net, "gradients")
    got, states = (one.predict(data.inputs, states=True) for one in (model, expected))
    assert_close(got.states, states.states, net, "outputs")
    assert_close({"y": got.outputs}, {"y": states.outputs}, net, "outputs")
    assert np.abs(right_gradients["layers.0.W0"]).max() > 1e-6
