"""Carry as a layer of Keras's own kind, and whole runs on the Keras backend, on the engine under test."""

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.cells import CELLS
from rnnlab.core.errors import UsageError
from tests.backends.contenders import TOLERANCES, assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
TINY = {
    "task": "temporal_order",
    "cell": {"type": "carry", "units": 6},
    "shape": {"timesteps": [20, 24]},
    "training": {"steps": 6, "batch_size": 8, "evaluate_every": 2, "clip_norm": 0.5},
    "evaluation": {"sequences": 30},
}


@pytest.fixture
def tiny(engine: str) -> dict[str, Any]:
    """A config in the finest precision that Keras has on this engine."""
    return {**TINY, "engine": engine, "precision": "float64" if engine == "tensorflow" else "float32"}


def numbers(tensor: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


def test_carry_is_a_keras_layer(keras: Any) -> None:
    from rnnlab.backends.keras import Carry, CarryCell

    inputs = keras.Input(shape=(None, 14))
    assert keras.layers.RNN(CarryCell(16))(inputs).shape == (None, 16)
    assert Carry(16, return_sequences=True)(keras.Input(shape=(120, 14))).shape == (None, 120, 16)
    last, h, c = Carry(16, return_state=True)(inputs)
    assert last.shape == h.shape == c.shape == (None, 16)


def test_carry_starts_as_its_arguments_ask(keras: Any) -> None:
    from rnnlab.backends.keras import CarryCell

    cell = CarryCell(8, forget_bias=2.0, kernel_initializer=keras.initializers.GlorotUniform(seed=3))
    cell.build((None, 5))
    weights = {weight.name: numbers(weight) for weight in cell.weights}
    assert (weights["bf"] == 2).all()
    assert (weights["bi"] == 0).all()
    assert np.abs(weights["Wi"] - weights["Wf"]).max() > 0.01  # one seed, and yet four different matrices
    np.testing.assert_allclose(weights["Uk"].T @ weights["Uk"], np.eye(8), atol=1e-5)


def test_carry_is_saved_and_loaded_by_keras(keras: Any, tmp_path: Path) -> None:
    from rnnlab.backends.keras import Carry

    inputs = keras.Input(shape=(None, 3))
    options = {"recurrent_activation": "tanh", "forget_bias": 0.5}
    model = keras.Model(inputs, Carry(4, return_sequences=True, **options)(inputs))
    model.save(tmp_path / "carry.keras")
    loaded = keras.models.load_model(tmp_path / "carry.keras")
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    assert np.array_equal(numbers(loaded(x)), numbers(model(x)))


def test_carry_keeps_all_its_arguments(keras: Any, tmp_path: Path) -> None:
    from rnnlab.backends.keras import Carry

    options = {"kernel_initializer": keras.initializers.GlorotUniform(seed=3), "activation": "relu"}
    ways = {"go_backwards": True, "return_sequences": True, "return_state": True, "unroll": True}
    inputs = keras.Input((7, 3))
    layer = Carry(4, zero_output_for_mask=True, **options, **ways)
    keras.Model(inputs, layer(inputs)).save(tmp_path / "carry.keras")
    loaded = keras.models.load_model(tmp_path / "carry.keras").layers[-1]
    names = [*ways, "zero_output_for_mask"]
    assert [getattr(loaded, name) for name in names] == [getattr(layer, name) for name in names]
    again = type(loaded).from_config(loaded.get_config())
    again.build((None, 7, 3))  # draws by the same seed
    assert np.array_equal(numbers(again.cell.weights[0]), numbers(layer.cell.weights[0]))
    assert loaded.cell.get_config()["activation"] == "relu"


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ({"dropout": 0.2}, "the cell 'carry' has no argument 'dropout' — put keras.layers.Dropout between the layers"),
        ({"recurrent_dropout": 0.2}, "no argument 'recurrent_dropout' — put keras.layers.Dropout between the layers"),
        ({"kernel_regularizer": "l2"}, "no argument 'kernel_regularizer' — set weight_decay in the optimizer, or"),
        ({"forget_bais": 2.0}, "no argument 'forget_bais' — did you mean 'forget_bias'?"),
        ({"forget_bias": "much"}, "an argument of the cell 'carry' cannot be used: forget_bias: "),
        ({"activation": "swish"}, "an argument of the cell 'carry' cannot be used: activation: "),
    ],
)
def test_an_argument_that_a_cell_does_not_have(keras: Any, arguments: dict[str, Any], reported: str) -> None:
    from rnnlab.backends.keras import Carry

    with pytest.raises(UsageError, match=re.escape(reported)):
        Carry(4, **arguments)


def test_every_cell_is_a_layer(keras: Any) -> None:
    """By the name of its class, with the options of the cell as arguments, in the place of any layer."""
    from rnnlab.backends import keras as layers

    names = ["".join(part.capitalize() for part in name.split("_")) for name in CELLS.names()]
    assert {"Carry", "Gru", "Lstm", "Simple"} <= set(names)
    for name in names:
        made = getattr(layers, name)(4, activation="tanh", return_sequences=True)
        assert made(np.ones((2, 3, 5), "float32")).shape == (2, 3, 4)
        assert keras.layers.RNN(getattr(layers, f"{name}Cell")(4))(np.ones((2, 3, 5), "float32")).shape == (2, 4)
    with pytest.raises(AttributeError, match="no attribute 'Zebra'"):
        layers.Zebra  # noqa: B018


def test_biases_that_begin_in_a_way_of_their_own(keras: Any) -> None:
    """Chrono: bf is ln U[1, 99], and bi its negative, in every layer made; another layer draws others."""
    from rnnlab.backends.keras import LstmCell

    one, other = LstmCell(50, chrono=100), LstmCell(50, chrono=100)
    for cell in (one, other):
        cell.build((None, 3))
    bi, bf, again = (numbers(cell.weights[place]) for cell, place in ((one, 2), (one, 5), (other, 5)))
    assert [weight.name for weight in one.weights[2:6:3]] == ["bi", "bf"]
    assert np.array_equal(bi, -bf)
    assert not np.array_equal(bf, again)
    assert 0 <= bf.min() < 2 < 4 < bf.max() <= np.log(99)


def test_carry_reads_backwards_in_stretches_and_by_hand(keras: Any) -> None:
    """Each way of calling the layer against the plain one, and that against the cell called step by step."""
    from rnnlab.backends.keras import Carry, CarryCell

    x = np.random.default_rng(2).normal(size=(2, 6, 3)).astype("float32")
    plain = Carry(4, return_sequences=True, return_state=True)
    outputs, h, c = (numbers(one) for one in plain(x))
    weights = plain.get_weights()
    assert [array.shape for array in weights] == [(3, 4), (4, 4), (4,)] * 3 + [(3, 4), (4, 4), (4, 4), (4,)]

    def layer(**ways: Any) -> Any:
        made = Carry(4, **ways)
        made.build((2, None, 3))
        made.set_weights(weights)
        return made

    cell = CarryCell(4)
    cell.build((2, 3))
    cell.set_weights(weights)
    states, by_hand = cell.get_initial_state(2), []
    for step in range(6):
        output, states = cell(x[:, step], states)
        by_hand.append(numbers(output))
    assert (cell.state_size, cell.output_size) == ([4, 4], 4)
    close = {"rtol": 0, "atol": 1e-6}
    np.testing.assert_allclose(np.stack(by_hand, axis=1), outputs, **close)
    np.testing.assert_allclose(numbers(states[1]), c, **close)
    np.testing.assert_allclose(h, outputs[:, -1], **close)
    np.testing.assert_allclose(numbers(layer(go_backwards=True)(x[:, ::-1])), h, **close)
    stateful = layer(stateful=True)
    stateful(x[:, :2])
    np.testing.assert_allclose(numbers(stateful(x[:, 2:])), h, **close)
    given = layer()(x[:, 2:], initial_state=[by_hand[1], numbers(layer(return_state=True)(x[:, :2])[2])])
    np.testing.assert_allclose(numbers(given), h, **close)


def test_a_masked_end_leaves_the_last_output(keras: Any) -> None:
    from rnnlab.backends.keras import Carry

    layer, x = Carry(4), np.random.default_rng(1).normal(size=(2, 6, 3)).astype("float32")
    mask = np.arange(6)[None] < np.array([[6], [4]])
    whole, cut = numbers(layer(x)), numbers(layer(x[:, :4]))
    masked = numbers(layer(x, mask=mask))
    np.testing.assert_allclose(masked[0], whole[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(masked[1], cut[1], rtol=0, atol=1e-6)


def test_one_config_trains_alike_on_both_backends(tiny: dict[str, Any], tmp_path: Path) -> None:
    ours = rnnlab.train(tiny, runs=tmp_path)
    theirs, again = (rnnlab.train(tiny, ["backend=keras"], runs=tmp_path) for _ in range(2))
    assert (ours.summary.backend, theirs.summary.backend) == ("numpy", "keras")
    tolerance = TOLERANCES[tiny["precision"]]["trained"]
    for mine, other in zip(ours.records, theirs.records, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"seconds", "crc"}:
            assert other[name] == pytest.approx(mine[name], rel=tolerance), name
    for name, array in ours.weights("last").items():
        np.testing.assert_allclose(theirs.weights("last")[name], array, rtol=0, atol=tolerance, err_msg=name)
    assert_same_bits(again.weights("last"), theirs.weights("last"))


def test_a_run_records_what_computed_it_and_is_evaluated_elsewhere(
    engine: str, tiny: dict[str, Any], tmp_path: Path
) -> None:
    run = rnnlab.train(tiny, ["backend=keras", "training.steps=1"], runs=tmp_path)
    reported = run.folder.read_provenance().backend.model_dump()
    assert {name: reported[name] for name in ("name", "engine", "version", "path", "xla")} == {
        "name": "keras",
        "engine": engine,
        "version": metadata.version(engine),
        "path": "derived",
        "xla": engine != "torch",
    }
    assert len(reported["devices"]) >= 1
    own, other = rnnlab.evaluate(run), rnnlab.evaluate(run, ["backend=numpy"])
    assert (own.experiment.backend, other.experiment.backend) == ("keras", "numpy")
    assert other.metrics == pytest.approx(own.metrics, rel=TOLERANCES[tiny["precision"]]["gradients"])
