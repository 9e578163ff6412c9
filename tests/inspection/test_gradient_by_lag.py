"""The gradient by lag, against central differences and TensorFlow's own differentiation."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.unrolled import layers_of, unroll
from rnnlab.cells.carry import Carry, CarryOptions
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.core.batch import Batch, last_step_mask
from rnnlab.core.losses import LOSSES
from rnnlab.training.gradient_by_lag import GradientByLag, gradient_by_lag

Array = NDArray[Any]


def network_of(cell: str, *, layers: int = 2) -> Network:
    made = (
        Simple(SimpleOptions(units=3, layers=layers))
        if cell == "simple"
        else Carry(CarryOptions(units=3, layers=layers))
    )
    return Network(made, 2, 2, False, "mse", "float64")


def batch_of(size: int = 4, timesteps: int = 6) -> Batch:
    rng = np.random.default_rng(1)
    lengths = np.array([6, 4, 6, 1])[:size]
    return Batch(
        rng.standard_normal((size, timesteps, 2)),
        rng.standard_normal((size, 2)),
        last_step_mask(lengths, timesteps),
        lengths,
    )


def gradient_of(network: Network, parameters: dict[str, Array], batch: Batch) -> GradientByLag:
    way = unroll(layers_of(network, parameters), batch.inputs, batch.lengths)
    return gradient_by_lag(way, parameters, batch, network.loss)


def loss_with_moved_state(
    network: Network, parameters: dict[str, Array], batch: Batch, at: tuple[int, str, int, int, float]
) -> float:
    """Return the loss of a one-sequence batch where one number of one state is moved after one step."""
    layer_number, name, step_number, unit, by = at
    below, last = batch.inputs[0], int(batch.lengths[0]) - 1
    for layer in layers_of(network, parameters):
        state, outputs = network.cell.initial_state(np, 1, np.float64), []
        for number, x in enumerate(below):
            step = network.cell.step(np, layer.parameters, x[None], state)
            state, output = dict(step.state), step.output
            if (layer.number, number) == (layer_number, step_number):
                state[name] = state[name].copy()
                state[name][0, unit] += by
                output = state["h"] if name == "h" else output
            outputs.append(output[0])
        below = np.array(outputs)
    raw = below[last] @ parameters["head.W"] + parameters["head.b"]
    return float(LOSSES[network.loss].values(raw[None], batch.targets)[0])


@pytest.mark.parametrize("cell", ["simple", "carry"])
def test_it_is_the_slope_of_the_loss(cell: str) -> None:
    network = network_of(cell)
    parameters = {name: np.asarray(array) for name, array in network.draw(3).items()}
    batch = batch_of(size=1)
    found = gradient_of(network, parameters, batch)
    for layer in (0, 1):
        for name in network.cell.states:
            for lag in (0, 1, 4):
                slopes = [
                    (
                        loss_with_moved_state(network, parameters, batch, (layer, name, 5 - lag, unit, 1e-5))
                        - loss_with_moved_state(network, parameters, batch, (layer, name, 5 - lag, unit, -1e-5))
                    )
                    / 2e-5
                    for unit in range(3)
                ]
                assert found.median[f"layers.{layer}.{name}"][lag] == pytest.approx(
                    np.linalg.norm(slopes), rel=1e-6, abs=1e-9
                )


def test_it_is_what_tensorflow_differentiates() -> None:
    """dL/dh after every step of an independent loop, for ragged sequences; the loss is that of each one's last step."""
    import tensorflow as tf

    network = network_of("carry", layers=1)
    p = {name.removeprefix("layers.0."): tf.constant(array) for name, array in network.draw(5).items()}
    batch = batch_of()
    h = c = tf.zeros((4, 3), tf.float64)
    states = []
    with tf.GradientTape() as tape:
        tape.watch(list(p.values()))
        for t in range(6):
            x = tf.constant(batch.inputs[:, t])
            o = tf.tanh(h @ p["Uo"] + x @ p["Wo"] + c @ p["Vo"] + p["bo"])
            i = tf.sigmoid(h @ p["Ui"] + x @ p["Wi"] + p["bi"])
            f = tf.sigmoid(h @ p["Uf"] + x @ p["Wf"] + p["bf"])
            k = tf.tanh(h @ p["Uk"] + x @ p["Wk"] + p["bk"])
            h, c = tf.identity(o), i * k + c * f
            states.append((h, c))
        last = tf.stack([states[int(n) - 1][0][row] for row, n in enumerate(batch.lengths)])
        loss = tf.reduce_sum(tf.reduce_mean((last @ p["head.W"] + p["head.b"] - batch.targets) ** 2, axis=1))
    gradients = tape.gradient(loss, states, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    found = gradient_of(network, {name: np.asarray(array) for name, array in network.draw(5).items()}, batch)
    for place, name in ((0, "h"), (1, "c")):
        norms = np.array([np.linalg.norm(pair[place].numpy(), axis=1) for pair in gradients])  # (T, B)
        for lag in found.lags:
            known = [norms[n - 1 - lag, row] for row, n in enumerate(batch.lengths) if n - 1 - lag >= 0]
            assert found.median[f"layers.0.{name}"][lag] == pytest.approx(np.median(known), rel=1e-9, abs=1e-12)
            if lag >= place:  # nothing reads the last carry
                nearest = [norms[n - 1 - place, row] for row, n in enumerate(batch.lengths) if n - 1 - lag >= 0]
                shares = np.array(known) / nearest
                for share, percent in ((found.low, 10), (found.share, 50), (found.high, 90)):
                    expected = np.percentile(shares, percent)
                    assert share[f"layers.0.{name}"][lag] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.median["layers.0.c"][0] == 0


def test_scored_throughout_only_the_last_step_counts() -> None:
    cell = Simple(SimpleOptions(units=3))
    network = Network(cell, 2, 2, True, "mse", "float64")
    parameters = {name: np.asarray(array) for name, array in network.draw(3).items()}
    batch = batch_of()
    whole = Batch(batch.inputs, np.zeros((4, 6, 2)), np.arange(6) < batch.lengths[:, None], batch.lengths)
    last = Batch(batch.inputs, np.zeros((4, 2)), batch.mask, batch.lengths)
    one, other = gradient_of(network, parameters, whole), gradient_of(network, parameters, last)
    np.testing.assert_array_equal(one.median["layers.0.h"], other.median["layers.0.h"])
