"""The Keras backend against the NumPy backend and Keras itself: the same numbers, and layers that are real Keras."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.backends.base import Network
from rnnlab.backends.keras import KerasBackend
from rnnlab.backends.keras.starting import start
from rnnlab.backends.numpy.model import NumpyBackend
from rnnlab.cells import CELLS
from rnnlab.core import activations
from tests.networks import batch, network, parameters, training

TINY = {
    "task": "temporal_order",
    "precision": "float64",
    "cell": {"type": "carry", "units": 6},
    "shape": {"timesteps": [20, 24]},
    "training": {"steps": 6, "batch_size": 8, "evaluate_every": 2, "clip_norm": 0.5},
    "evaluation": {"sequences": 30},
}


@pytest.fixture(scope="module")
def keras() -> Any:
    start()
    return importlib.import_module("keras")


def both(net: Network, **recipe: Any) -> tuple[Any, Any]:
    """The same network on NumPy and on Keras."""
    return tuple(
        backend.build(net, parameters=parameters(net), training=training(**recipe))
        for backend in (NumpyBackend(), KerasBackend())
    )


def assert_close(ours: dict[str, Any], theirs: dict[str, Any], tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype, name
        np.testing.assert_allclose(
            theirs[name], array, rtol=0, atol=tolerance * max(1, np.abs(array).max()), err_msg=name
        )


@pytest.mark.parametrize("bptt_steps", [None, 3])
@pytest.mark.parametrize("layers", [2])
@pytest.mark.parametrize(
    ("sequences", "loss"), [(False, "mse"), (False, "cross_entropy"), (True, "mse"), (True, "binary_cross_entropy")]
)
@pytest.mark.parametrize("cell", CELLS.names())
def test_outputs_states_loss_and_gradients(
    cell: str, sequences: bool, loss: str, layers: int, bptt_steps: int | None
) -> None:
    net = network(cell, sequences=sequences, loss=loss, layers=layers)
    data = batch(net, ragged=True, holes=sequences)
    ours, theirs = both(net, bptt_steps=bptt_steps)
    expected, got = (model.predict(data.inputs, data.lengths, states=True) for model in (ours, theirs))
    np.testing.assert_allclose(got.outputs, expected.outputs, rtol=0, atol=1e-12)
    assert_close(expected.states, got.states, 1e-12)
    (expected_loss, expected_gradients), (got_loss, got_gradients) = (
        model.loss_and_gradients(data) for model in (ours, theirs)
    )
    assert got_loss == pytest.approx(expected_loss, rel=1e-12)
    assert_close(expected_gradients, got_gradients, 1e-9)


@pytest.mark.parametrize("name", activations.names())
@pytest.mark.parametrize("cell", CELLS.names())
def test_every_activation(cell: str, name: str) -> None:
    gates = {"recurrent_activation": name} if cell == "carry" else {}
    net = network(cell, activation=name, **gates)
    data = batch(net)
    ours, theirs = both(net)
    assert_close(ours.loss_and_gradients(data)[1], theirs.loss_and_gradients(data)[1], 1e-9)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("rmsprop", {"momentum": 0.5, "centered": True}),
        ("adam", {"amsgrad": True}),
        ("adamw", {"weight_decay": 0.01}),
    ],
)
def test_twenty_steps_of_every_optimiser(rule: str, options: dict[str, Any]) -> None:
    net = network("carry")
    data = batch(net, ragged=True)
    ours, theirs = both(net, rule=rule, **options)
    for _ in range(20):
        expected, got = ours.train_step(data), theirs.train_step(data)
    assert got.loss == pytest.approx(expected.loss, rel=1e-8)
    assert got.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-8)
    np.testing.assert_allclose(got.outputs, expected.outputs, rtol=0, atol=1e-8)
    assert_close(ours.state_dict(), theirs.state_dict(), 1e-8)


def test_training_goes_on_on_the_other_backend() -> None:
    """Five steps on NumPy, five on Keras, five on NumPy are fifteen on NumPy."""
    net = network("carry")
    data = batch(net)
    whole, moving = both(net, rule="adam")
    for _ in range(5):
        moving.train_step(data)
    back, _ = both(net, rule="adam")
    back.load_state_dict(moving.state_dict())
    _, again = both(net, rule="adam")
    for _ in range(5):
        back.train_step(data)
    again.load_state_dict(back.state_dict())
    for model, steps in ((again, 5), (whole, 15)):
        for _ in range(steps):
            model.train_step(data)
    assert_close(whole.state_dict(), again.state_dict(), 1e-10)


def test_nothing_is_updated_by_a_loss_that_is_not_finite() -> None:
    net = network("simple")
    data = batch(net)
    _, model = both(net, rule="adam")
    before = model.state_dict()
    data.targets[0, 0] = np.inf
    assert not np.isfinite(model.train_step(data).loss)
    for name, array in model.state_dict().items():
        assert np.array_equal(array, before[name]), name


def test_carry_is_a_keras_layer(keras: Any) -> None:
    from rnnlab.backends.keras import Carry, CarryCell

    inputs = keras.Input(shape=(None, 14))
    assert keras.layers.RNN(CarryCell(16))(inputs).shape == (None, 16)
    assert Carry(16, return_sequences=True)(keras.Input(shape=(120, 14))).shape == (None, 120, 16)
    last, h, c = Carry(16, return_state=True)(inputs)
    assert last.shape == h.shape == c.shape == (None, 16)


def test_carry_starts_as_its_arguments_say(keras: Any) -> None:
    from rnnlab.backends.keras import CarryCell

    cell = CarryCell(8, forget_bias=2.0, kernel_initializer=keras.initializers.GlorotUniform(seed=3))
    cell.build((None, 5))
    weights = {weight.name: weight.numpy() for weight in cell.weights}
    assert (weights["bf"] == 2).all()
    assert (weights["bi"] == 0).all()
    assert np.abs(weights["Wi"] - weights["Wf"]).max() > 0.01  # one seed, and yet four different matrices
    np.testing.assert_allclose(weights["Uk"].T @ weights["Uk"], np.eye(8), atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in saving, Keras's own
def test_carry_is_saved_and_loaded_by_keras(keras: Any, tmp_path: Path) -> None:
    from rnnlab.backends.keras import Carry

    inputs = keras.Input(shape=(None, 3))
    options = {"recurrent_activation": "tanh", "forget_bias": 0.5}
    model = keras.Model(inputs, Carry(4, return_sequences=True, cell_options=options)(inputs))
    model.save(tmp_path / "carry.keras")
    loaded = keras.models.load_model(tmp_path / "carry.keras")
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    assert np.array_equal(loaded(x).numpy(), model(x).numpy())


def test_a_masked_end_leaves_the_last_output(keras: Any) -> None:
    from rnnlab.backends.keras import Carry

    layer, x = Carry(4), np.random.default_rng(1).normal(size=(2, 6, 3)).astype("float32")
    mask = np.arange(6)[None] < np.array([[6], [4]])
    whole, cut = layer(x).numpy(), layer(x[:, :4]).numpy()
    masked = layer(x, mask=mask).numpy()
    np.testing.assert_allclose(masked[0], whole[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(masked[1], cut[1], rtol=0, atol=1e-6)


def test_carry_against_a_plain_loop_of_tensorflow(keras: Any) -> None:
    """The equations as printed, written out once more, with TensorFlow's own gradient."""
    import tensorflow as tf

    net = network("carry")
    data, start_at = batch(net), parameters(net)
    p = {name.removeprefix("layers.0."): tf.constant(array) for name, array in start_at.items()}
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
    expected = {name: value.numpy() for name, value in tape.gradient(loss, p).items()}
    for model in both(net):
        got_loss, gradients = model.loss_and_gradients(data)
        assert got_loss == pytest.approx(float(loss), rel=1e-12)
        assert_close(expected, {name.removeprefix("layers.0."): g for name, g in gradients.items()}, 1e-11)


def test_one_config_trains_alike_on_both_backends(tmp_path: Path) -> None:
    ours = rnnlab.train(TINY, runs=tmp_path)
    theirs, again = (rnnlab.train(TINY, ["backend=keras"], runs=tmp_path) for _ in range(2))
    assert theirs.summary["backend"] == "keras"
    for mine, other in zip(ours.metrics, theirs.metrics, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"seconds", "crc"}:
            assert other[name] == pytest.approx(mine[name], rel=1e-8), name
    assert_close(ours.weights("last"), theirs.weights("last"), 1e-8)
    for name, array in theirs.weights("last").items():
        assert np.array_equal(array, again.weights("last")[name]), f"{name} differs between two runs of one seed"


def test_a_run_is_evaluated_on_the_other_backend(tmp_path: Path) -> None:
    run = rnnlab.train(TINY, runs=tmp_path)
    own, other = run.evaluate(), run.evaluate(["backend=keras"])
    assert other.experiment.backend == "keras"
    assert other.metrics == pytest.approx(own.metrics, rel=1e-10)
