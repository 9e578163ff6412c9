"""All ways of computing against references outside rnnlab: numbers worked by hand, a listing, Keras, PyTorch.

Agreement among the backends cannot show a mistake that all of them make; these can, and `test_mutations.py` shows it.
"""

import itertools
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.base import Network
from rnnlab.cells import CELLS
from rnnlab.core.batch import Batch
from tests.backends.contenders import LOOPING, TOLERANCES, Contender, assert_close
from tests.networks import batch, network, parameters

LONG = pytest.mark.parametrize("contender", LOOPING, indirect=True)


def plain(contender: Contender, cell: str, *, units: int, features: int) -> Network:
    """One layer whose output is given as it is, at every step, by the head of `built`."""
    kind = CELLS.get(cell)
    return Network(
        cell=kind(kind.Options(units=units)),
        input_features=features,
        output_features=units,
        return_sequences=True,
        loss="mse",
        precision=contender.precision,
    )


def built(contender: Contender, net: Network, values: dict[str, Any]) -> Any:
    """A model of these parameters, its head the identity; a single number fills an array."""
    values = {"head.W": np.eye(net.output_features), "head.b": 0.0} | values
    shapes = {name: parameter.shape for name, parameter in net.parameters().items()}
    given = {n: np.broadcast_to(values[n.removeprefix("layers.0.")], shape) for n, shape in shapes.items()}
    return contender.build(net, {name: array.astype(net.dtype) for name, array in given.items()})


@LONG
def test_the_notebook_listing(contender: Contender) -> None:
    """Introductory listing: W·x + U·s + b step by step with W (64, 32), final output (100, 64)."""
    timesteps, input_features, output_features = 100, 32, 64
    rng = np.random.default_rng(0)
    inputs = rng.random((timesteps, input_features))
    W = rng.random((output_features, input_features)) * 0.1
    U = rng.random((output_features, output_features)) * 0.02
    b = rng.random((output_features,))
    state_t = np.zeros((output_features,))
    successive_outputs = []
    for input_t in inputs:
        output_t = np.tanh(np.dot(W, input_t) + np.dot(U, state_t) + b)
        successive_outputs.append(output_t)
        state_t = output_t
    final_output_sequence = np.stack(successive_outputs, axis=0)
    assert final_output_sequence.shape == (100, 64)

    net = plain(contender, "simple", units=64, features=32)
    prediction = built(contender, net, {"W": W.T, "U": U.T, "b": b}).predict(inputs[None], states=True)
    tolerance = TOLERANCES[net.precision]["outputs"]
    np.testing.assert_allclose(prediction.outputs[0], final_output_sequence, rtol=0, atol=tolerance)
    np.testing.assert_allclose(prediction.states["layers.0.h"][0], final_output_sequence, rtol=0, atol=tolerance)


def test_carry_by_hand(contender: Contender) -> None:
    """Two steps of one unit, every weight different, so that two gates cannot trade places unseen.

    sigmoid(a) = 1/(1+e^-a). Step 1, x = 1, h = c = 0:
      o = tanh(0.1 + 0.01) = tanh(0.11) = 0.109558
      i = sigmoid(0.2 + 0.02) = 0.554779    f = sigmoid(0.3 + 0.03) = 0.581759    k = tanh(0.4 + 0.04) = 0.413644
      c = 0.554779·0.413644 = 0.229481
    Step 2, x = 2, h = 0.109558, c = 0.229481:
      o = tanh(0.5·0.109558 + 0.2 + 0.9·0.229481 + 0.01) = tanh(0.471312) = 0.439259
      i = sigmoid(0.6·0.109558 + 0.4 + 0.02) = sigmoid(0.485735) = 0.619101
      f = sigmoid(0.7·0.109558 + 0.6 + 0.03) = sigmoid(0.706691) = 0.669670
      k = tanh(0.8·0.109558 + 0.8 + 0.04) = tanh(0.927647) = 0.729495
      c = 0.619101·0.729495 + 0.229481·0.669670 = 0.605308
    Step 3, x = 0, h = 0.439259, c = 0.605308:
      o = tanh(0.5·0.439259 + 0.9·0.605308 + 0.01) = tanh(0.774407) = 0.649485
    """
    net = plain(contender, "carry", units=1, features=1)
    values = {"Wo": 0.1, "bo": 0.01, "Wi": 0.2, "bi": 0.02, "Wf": 0.3, "bf": 0.03, "Wk": 0.4, "bk": 0.04}
    values |= {"Uo": 0.5, "Ui": 0.6, "Uf": 0.7, "Uk": 0.8, "Vo": 0.9}
    model = built(contender, net, values)
    prediction = model.predict(np.array([[[1.0], [2.0], [0.0]]]), states=True)
    np.testing.assert_allclose(prediction.outputs.ravel(), [0.109558, 0.439259, 0.649485], rtol=0, atol=1e-6)
    np.testing.assert_allclose(prediction.states["layers.0.c"].ravel()[:2], [0.229481, 0.605308], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "units", "backwards", "twice", "expected"),
    [
        ((2, 3, 4), 4, False, False, {(0, -1): 0.405432, (1, -1): 0.73605347}),
        ((2, 3, 4), 4, True, False, {(0, -1): 0.11144729, (1, -1): 0.5528889}),
        ((2, 3, 4), 4, False, True, {(0, -1): 0.40559256, (1, -1): 0.7361247}),
        ((2, 4, 3), 2, False, False, {(0, 0): 0.0599281, (0, 1): 0.15122814, (1, 0): 0.3969304}),
    ],
    ids=["forward", "backwards", "stateful", "sequence"],
)
def test_the_literal_numbers_of_keras(
    contender: Contender,
    shape: tuple[int, int, int],
    units: int,
    backwards: bool,
    twice: bool,
    expected: dict[tuple[int, int], float],
) -> None:
    """Inputs 0 … 23, all W 0.01, all U 0.02, all b 0.03: every unit gives the same.

    A stateful layer that reads a sequence twice is ours that reads it once, twice as long; of the masked sequence only
    the steps before the first masked one are taken.

    Source: Keras 3, keras/src/layers/rnn/simple_rnn_test.py: test_correctness, test_statefulness, test_masking.
    """
    inputs = np.arange(24.0).reshape(shape)
    inputs = inputs[:, ::-1] if backwards else np.concatenate([inputs, inputs], axis=1) if twice else inputs
    net = plain(contender, "simple", units=units, features=shape[2])
    outputs = built(contender, net, {"W": 0.01, "U": 0.02, "b": 0.03}).predict(inputs).outputs
    for place, value in expected.items():
        np.testing.assert_allclose(outputs[place], np.full(units, value), rtol=1e-6, atol=0)


@pytest.fixture
def loop_of_tensorflow(engine: str) -> tuple[Batch, float, dict[str, Any]]:
    """The equations as printed, written out once more: a batch, its loss and TensorFlow's own gradients."""
    if engine != "tensorflow":
        pytest.skip("the reference needs TensorFlow, and one process has one engine")
    import tensorflow as tf

    net = network("carry")
    data = batch(net)
    p = {name.removeprefix("layers.0."): tf.constant(array) for name, array in parameters(net).items()}
    with tf.GradientTape() as tape:
        tape.watch(p)
        state = carry = tf.zeros((data.size, 5), tf.float64)
        for t in range(7):
            x = tf.constant(data.inputs[:, t])
            output = tf.tanh(state @ p["Uo"] + x @ p["Wo"] + carry @ p["Vo"] + p["bo"])
            i = tf.sigmoid(state @ p["Ui"] + x @ p["Wi"] + p["bi"])
            f = tf.sigmoid(state @ p["Uf"] + x @ p["Wf"] + p["bf"])
            k = tf.tanh(state @ p["Uk"] + x @ p["Wk"] + p["bk"])
            state, carry = output, i * k + carry * f
        loss = tf.reduce_mean((state @ p["head.W"] + p["head.b"] - data.targets) ** 2)
    gradients = {name: value.numpy() for name, value in tape.gradient(loss, p).items()}
    return data, float(loss), gradients


def test_carry_against_a_plain_loop(contender: Contender, loop_of_tensorflow: Any) -> None:
    data, loss, expected = loop_of_tensorflow
    net = network("carry")
    got, gradients = contender.build(net).loss_and_gradients(data)
    assert got == pytest.approx(loss, rel=1e-12)
    assert_close({name.removeprefix("layers.0."): g for name, g in gradients.items()}, expected, net, "gradients")


@pytest.mark.peers
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("contender", ["numpy-fast", "numpy-reference"], indirect=True)
def test_pytorch_rnn_agrees(contender: Contender, layers: int, activation: str) -> None:
    torch = pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    net = network("simple", layers=layers, activation=activation, sequences=True)
    data, start = batch(net), parameters(net)
    peer = torch.nn.RNN(3, 5, num_layers=layers, nonlinearity=activation, batch_first=True, dtype=torch.float64)
    head = torch.nn.Linear(5, 2, dtype=torch.float64)
    places = {"W": "weight_ih_l", "U": "weight_hh_l", "b": "bias_ih_l"}
    with torch.no_grad():
        for layer in range(layers):
            getattr(peer, f"bias_hh_l{layer}").zero_()
            for ours, theirs in places.items():
                getattr(peer, f"{theirs}{layer}").copy_(torch.from_numpy(start[f"layers.{layer}.{ours}"].T))
        head.weight.copy_(torch.from_numpy(start["head.W"].T))
        head.bias.copy_(torch.from_numpy(start["head.b"]))
    hidden, _ = peer(torch.from_numpy(data.inputs))
    loss = torch.nn.functional.mse_loss(head(hidden), torch.from_numpy(data.targets))
    loss.backward()

    model = contender.build(net)
    ours, gradients = model.loss_and_gradients(data)
    assert ours == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(model.predict(data.inputs).outputs, head(hidden).detach().numpy(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(gradients["head.W"], head.weight.grad.numpy().T, rtol=1e-10, atol=1e-14)
    for layer, (name, place) in itertools.product(range(layers), places.items()):
        expected = getattr(peer, f"{place}{layer}").grad.numpy().T
        np.testing.assert_allclose(gradients[f"layers.{layer}.{name}"], expected, rtol=1e-10, atol=1e-14)
