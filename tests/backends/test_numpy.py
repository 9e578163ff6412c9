"""The NumPy backend's fast kernels against their readable twin, where they cut time into chunks."""

import numpy as np
import pytest

from rnnlab.backends.numpy.fast import KERNELS
from rnnlab.backends.numpy.model import NumpyBackend
from rnnlab.cells import CELLS
from tests.networks import batch, network, parameters


def test_every_cell_has_a_fast_kernel() -> None:
    assert KERNELS.names() == CELLS.names()


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS.names())
def test_fast_equals_readable(cell: str, precision: str) -> None:
    """180 steps of 6 rows are more than one chunk of the weight gradients' products."""
    net = network(cell, layers=2, sequences=True, units=17, precision=precision)
    data = batch(net, batch_size=6, timesteps=180, ragged=True, holes=True)
    tame = {name: array / 2 for name, array in parameters(net).items()}  # else 180 steps amplify every rounding
    (loss, gradients), (expected_loss, expected) = (
        NumpyBackend(reference=reference).build(net, parameters=tame).loss_and_gradients(data)
        for reference in (False, True)
    )
    tolerance = 1e-4 if precision == "float32" else 1e-12
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert gradients["head.W"].dtype == np.dtype(precision)
    for name, array in gradients.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=tolerance * np.abs(expected[name]).max())
