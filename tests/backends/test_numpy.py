"""The NumPy backend against the equations as printed, PyTorch, and its own readable twin."""

import numpy as np
import pytest

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.fast import KERNELS
from rnnlab.backends.numpy.model import NumpyBackend, NumpyModel
from rnnlab.cells import CELLS
from rnnlab.cells.carry import Carry, CarryOptions
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.core.batch import Batch
from tests.networks import batch, network, parameters, training


def build(net: Network, *, reference: bool = False, **kwargs: object) -> NumpyModel:
    return NumpyBackend(reference=reference).build(net, parameters=parameters(net), **kwargs)


def test_the_notebook_listing() -> None:
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

    net = Network(
        cell=Simple(SimpleOptions(units=64)),
        input_features=32,
        output_features=64,
        return_sequences=True,
        loss="mse",
        precision="float64",
    )
    identity_head = {"head.W": np.eye(64), "head.b": np.zeros(64)}
    model = NumpyBackend().build(
        net, parameters={"layers.0.W": W.T, "layers.0.U": U.T, "layers.0.b": b, **identity_head}
    )
    prediction = model.predict(inputs[None], states=True)
    np.testing.assert_allclose(prediction.outputs[0], final_output_sequence, rtol=0, atol=1e-12)
    np.testing.assert_allclose(prediction.states["layers.0.h"][0], final_output_sequence, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reference", [False, True], ids=["fast", "reference"])
def test_carry_by_hand(reference: bool) -> None:
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
    """
    net = Network(
        cell=Carry(CarryOptions(units=1)),
        input_features=1,
        output_features=1,
        return_sequences=True,
        loss="mse",
        precision="float64",
    )
    values = {"Wo": 0.1, "bo": 0.01, "Wi": 0.2, "bi": 0.02, "Wf": 0.3, "bf": 0.03, "Wk": 0.4, "bk": 0.04}
    values |= {"Uo": 0.5, "Ui": 0.6, "Uf": 0.7, "Uk": 0.8, "Vo": 0.9}
    shapes = net.layer_parameters(0)
    given = {f"layers.0.{name}": np.full(shapes[name].shape, value) for name, value in values.items()}
    given |= {"head.W": np.eye(1), "head.b": np.zeros(1)}
    model = NumpyBackend(reference=reference).build(net, parameters=given)
    prediction = model.predict(np.array([[[1.0], [2.0]]]), states=True)
    np.testing.assert_allclose(prediction.outputs.ravel(), [0.109558, 0.439259], atol=1e-6)
    np.testing.assert_allclose(prediction.states["layers.0.c"].ravel(), [0.229481, 0.605308], atol=1e-6)


@pytest.mark.peers
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("layers", [1, 2])
def test_pytorch_rnn_agrees(layers: int, activation: str) -> None:
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

    model = NumpyBackend().build(net, parameters=start)
    ours, gradients = model.loss_and_gradients(data)
    assert ours == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(model.predict(data.inputs).outputs, head(hidden).detach().numpy(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(gradients["head.W"], head.weight.grad.numpy().T, rtol=1e-10, atol=1e-14)
    for layer in range(layers):
        for name, place in places.items():
            expected = getattr(peer, f"{place}{layer}").grad.numpy().T
            np.testing.assert_allclose(gradients[f"layers.{layer}.{name}"], expected, rtol=1e-10, atol=1e-14)


def test_every_cell_has_a_fast_kernel() -> None:
    assert KERNELS.names() == CELLS.names()


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS.names())
def test_fast_equals_readable(cell: str, precision: str) -> None:
    net = network(cell, layers=2, sequences=True, units=17, precision=precision)
    data = batch(net, batch_size=6, timesteps=40, ragged=True, holes=True)
    (loss, gradients), (expected_loss, expected) = (
        build(net, reference=reference).loss_and_gradients(data) for reference in (False, True)
    )
    tolerance = 1e-4 if precision == "float32" else 1e-12
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert gradients["head.W"].dtype == np.dtype(precision)
    for name, array in gradients.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=tolerance * np.abs(expected[name]).max())


@pytest.mark.parametrize("cell", CELLS.names())
def test_long_predictions_run_in_stretches(cell: str) -> None:
    """600 steps cross the stretch boundary twice; the same numbers as one step after another."""
    net = network(cell, layers=2)
    inputs = batch(net, timesteps=600).inputs
    lengths = np.array([1, 256, 257, 600])
    prediction = build(net).predict(inputs, lengths, states=True)
    states = [net.cell.initial_state(np, 4, "f8") for _ in range(2)]
    own = [{k.split(".")[2]: v for k, v in parameters(net).items() if k.startswith(f"layers.{n}.")} for n in range(2)]
    for t in range(600):
        x = inputs[:, t]
        for n in range(2):
            step = net.cell.step(np, own[n], x, states[n])
            x, states[n] = step.output, step.state
            for name, array in step.state.items():
                np.testing.assert_allclose(prediction.states[f"layers.{n}.{name}"][:, t], array, rtol=0, atol=1e-12)
        rows = np.flatnonzero(lengths == t + 1)
        expected = x[rows] @ parameters(net)["head.W"] + parameters(net)["head.b"]
        np.testing.assert_allclose(prediction.outputs[rows], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize("cell", CELLS.names())
def test_padding_never_counts(cell: str, sequences: bool) -> None:
    """A ragged batch gives the weighted mean of its sequences alone, whatever lies in the padding."""
    net = network(cell, sequences=sequences)
    data = batch(net, ragged=True)
    rubbish = np.where(np.arange(7)[None, :, None] < data.lengths[:, None, None], data.inputs, 99.0)
    loss, gradients = build(net).loss_and_gradients(Batch(rubbish, data.targets, data.mask, data.lengths))
    total, summed = 0.0, dict.fromkeys(gradients, 0.0)
    for row, length in enumerate(data.lengths):
        alone = Batch(
            data.inputs[row : row + 1, :length],
            data.targets[row : row + 1, :length] if sequences else data.targets[row : row + 1],
            data.mask[row : row + 1, :length],
            data.lengths[row : row + 1],
        )
        weight = alone.mask.sum() / data.mask.sum()
        own_loss, own = build(net).loss_and_gradients(alone)
        total += weight * own_loss
        summed = {name: summed[name] + weight * own[name] for name in own}
    assert loss == pytest.approx(total, rel=1e-12)
    for name in gradients:
        np.testing.assert_allclose(gradients[name], summed[name], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS.names())
def test_one_sgd_step_moves_against_the_gradient(cell: str) -> None:
    net = network(cell)
    data = batch(net)
    model = build(net, training=training())
    loss, gradients = model.loss_and_gradients(data)
    before = model.parameters()
    result = model.train_step(data)
    assert result.loss == loss
    assert result.gradient_norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in gradients.values())), rel=1e-12)
    np.testing.assert_allclose(result.outputs, build(net).predict(data.inputs).outputs, rtol=0, atol=1e-14)
    for name, array in model.parameters().items():
        np.testing.assert_allclose(array, before[name] - 0.01 * gradients[name], rtol=0, atol=1e-15)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_state_goes_out_and_in(rule: str) -> None:
    """Ten steps are five steps, the state moved to a new model, and five more: to the bit."""
    net = network("carry", precision="float32")
    data = batch(net)
    whole, first, second = (build(net, training=training(rule)) for _ in range(3))
    for _ in range(10):
        whole.train_step(data)
    for _ in range(5):
        first.train_step(data)
    second.load_state_dict(first.state_dict())
    for _ in range(5):
        second.train_step(data)
    for name, array in whole.state_dict().items():
        assert np.array_equal(array, second.state_dict()[name]), name
