"""The regularizer of Pascanu et al. 2013, compared with its definition by central differences."""

from typing import Any

import numpy as np
import pytest

from rnnlab.backends.base import Network
from rnnlab.core.batch import Batch
from tests.backends.contenders import NUMPY, Contender, assert_close
from tests.networks import batch, parameters

Arrays = dict[str, Any]
STEP = 1e-5


def states(net: Network, given: Arrays, data: Batch, moved: Any) -> Any:
    """Return the simple cell's states, (T, B, H), each moved by a number of its own."""
    h, found = np.zeros((data.size, net.cell.options.units)), []
    for x, move in zip(data.inputs.swapaxes(0, 1), moved, strict=True):
        drive = x @ given["layers.0.W"] + h @ given["layers.0.U"] + given["layers.0.b"]
        h = net.cell.activation(np, drive) + move
        found.append(h)
    return np.array(found)


def loss(net: Network, given: Arrays, data: Batch, moved: Any) -> float:
    scored = states(net, given, data, moved).swapaxes(0, 1)[data.mask] @ given["head.W"] + given["head.b"]
    targets = data.targets[data.mask] if net.return_sequences else data.targets
    return float(net.loss_function.values(scored, targets).mean())


def omega(net: Network, matrix: Any, h: Any, deltas: Any) -> float:
    """As in the paper's code: squared norms, the mean over all steps whose gradient is not 0."""
    total, count = 0.0, 0
    for step, delta in zip(h.reshape(-1, h.shape[2]), deltas.reshape(-1, h.shape[2]), strict=True):
        if delta @ delta >= 1e-20:
            before = matrix @ (delta * net.cell.activation.slope(np, step))
            total, count = total + (before @ before / (delta @ delta) - 1) ** 2, count + 1
    return total / count


@pytest.mark.parametrize("contender", NUMPY, indirect=True)
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_it_adds_the_slope_of_its_definition(contender: Contender, sequences: bool, activation: str) -> None:
    net = contender.network("simple", sequences=sequences, activation=activation)
    given, data = parameters(net), batch(net, ragged=True)
    zero = np.zeros((data.inputs.shape[1], data.size, net.cell.options.units))
    deltas, slope = np.zeros_like(zero), np.zeros_like(given["layers.0.U"])
    for place in np.ndindex(zero.shape):
        zero[place] = STEP
        deltas[place] = (loss(net, given, data, zero) - loss(net, given, data, -zero)) / (2 * STEP)
        zero[place] = 0
    h = states(net, given, data, zero)
    assert (np.abs(deltas).max(axis=2) == 0).any()  # steps after the end of a sequence, which are left out
    for place in np.ndindex(slope.shape):
        moved = np.zeros_like(slope)
        moved[place] = STEP
        ahead, behind = (omega(net, given["layers.0.U"] + sign * moved, h, deltas) for sign in (1, -1))
        slope[place] = (ahead - behind) / (2 * STEP)
    _, plain = contender.build(net).loss_and_gradients(data)
    _, with_it = contender.build(net, gradient_regularizer=4.0).loss_and_gradients(data)
    assert np.abs(slope).max() > 0.01
    np.testing.assert_allclose(with_it["layers.0.U"] - plain["layers.0.U"], 4 * slope, rtol=0, atol=1e-6)
    others = plain.keys() - {"layers.0.U"}
    assert all(np.array_equal(plain[name], with_it[name]) for name in others)


@pytest.mark.parametrize("contender", ["numpy-reference", "numpy-compiled"], indirect=True)
def test_it_is_the_same_in_many_chunks_and_shards(contender: Contender) -> None:
    """300 steps of 40 sequences are one chunk for no layer; without it they are two shards."""
    net = contender.network("simple", layers=2, units=60)
    given = {name: array / 2 for name, array in parameters(net).items()}
    data = batch(net, batch_size=40, timesteps=300, ragged=True)
    fast = Contender.named("numpy-fast", "")
    expected = fast.build(net, given, gradient_regularizer=1.0, recompute="sqrt").loss_and_gradients(data)[1]
    got = contender.build(net, given, gradient_regularizer=1.0).loss_and_gradients(data)[1]
    assert_close(got, expected, net, "gradients")
