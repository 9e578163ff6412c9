"""Exported networks compute what the NumPy backend computes, as files that Keras and ONNX runtimes read."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from rnnlab.backends._output import OutputOptions
from rnnlab.backends.base import Network
from rnnlab.backends.keras.engines import start
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.cells import CELLS
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.registry import Registry
from tests.networks import network, parameters

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
SIZES = [(1, 1), (2, 7), (5, 40)]  # B, T
QUICK = {(2, True, "float32"), (1, False, "float64")}
in_saving = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own


@pytest.fixture(scope="module", autouse=True)
def on_tensorflow(engine: str) -> None:
    """Files are written by Keras on TensorFlow, whatever engine has trained."""
    if engine != "tensorflow":
        pytest.skip("one process, one engine")


def built(net: Network) -> Any:
    start()
    from rnnlab.backends.keras.exporting import keras_model

    return keras_model(net, parameters(net))


def assert_agrees(compute: Any, net: Network) -> None:
    """Compare with the NumPy backend at several B and T."""
    peer = NumpyBackend().build(net, parameters=parameters(net))
    for size in SIZES:
        x = np.random.default_rng(size).normal(size=(*size, net.input_features)).astype(net.dtype)
        outputs = np.asarray(compute(x))
        assert outputs.dtype == net.dtype
        np.testing.assert_allclose(outputs, peer.predict(x).outputs, rtol=0, atol=TOLERANCE[net.precision])


every_shape = pytest.mark.parametrize(
    ("cell", "layers", "sequences", "precision"),
    [
        pytest.param(cell, *shape, marks=[] if shape in QUICK else [pytest.mark.soak])
        for cell in CELLS.names()
        for shape in product((1, 2), (False, True), ("float32", "float64"))
    ],
)


@every_shape
def test_the_model_gives_raw_outputs(cell: str, layers: int, sequences: bool, precision: str) -> None:
    net = network(cell, layers=layers, sequences=sequences, precision=precision, loss="cross_entropy")
    assert_agrees(built(net), net)


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize("bias", [False, True])
def test_an_output_layer_that_reads_inputs(bias: bool, sequences: bool) -> None:
    net = replace(network("lstm", sequences=sequences), output=OutputOptions(bias=bias, inputs=True))
    assert_agrees(built(net), net)


@in_saving
def test_a_file_with_an_output_layer_that_reads_inputs(tmp_path: Path) -> None:
    import keras

    from rnnlab.backends.keras.exporting import keras_file

    for sequences in (False, True):
        net = replace(network("simple", sequences=sequences), output=OutputOptions(bias=False, inputs=True))
        (path := tmp_path / "model.keras").write_bytes(keras_file(built(net)))
        assert_agrees(keras.models.load_model(path), net)


@pytest.mark.parametrize(
    ("cell", "layer", "options"),
    [
        ("simple", "SimpleRNN", {"activation": "relu"}),
        ("lstm", "LSTM", {"recurrent_activation": "hard_sigmoid"}),
        ("gru", "GRU", {"reset_after": True}),
        ("gru", "GRU", {"reset_after": False}),
    ],
)
def test_a_cell_that_keras_has_is_stock_keras(cell: str, layer: str, options: dict[str, Any]) -> None:
    net = network(cell, layers=2, **options)
    model = built(net)
    assert [(type(layer).__name__, layer.name) for layer in model.layers] == [
        ("InputLayer", "inputs"), (layer, "layers_0"), (layer, "layers_1"), ("Dense", "head"),
    ]  # fmt: skip
    assert [getattr(layer, "return_sequences", None) for layer in model.layers] == [None, True, False, None]
    assert (model.input_shape, model.output_shape) == ((None, None, 3), (None, 2))
    assert "rnnlab" not in model.to_json()
    assert_agrees(model, net)


@in_saving
@pytest.mark.parametrize("cell", CELLS.names())
@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.soak)])
def test_the_keras_file_is_loaded_by_keras(keras: Any, tmp_path: Path, cell: str, precision: str) -> None:
    from rnnlab.backends.keras.exporting import keras_file

    net = network(cell, layers=2, sequences=True, precision=precision)
    (tmp_path / "x.keras").write_bytes(keras_file(built(net)))
    assert_agrees(keras.models.load_model(tmp_path / "x.keras"), net)


@in_saving
@pytest.mark.parametrize("cell", ["simple", "carry", "lstm", "gru"])
def test_the_weights_fit_a_model_written_by_hand(keras: Any, tmp_path: Path, cell: str) -> None:
    from rnnlab.backends.keras import Carry
    from rnnlab.backends.keras.exporting import weights_file

    net, stock = network(cell, layers=2, precision="float32"), keras.layers
    kind = {"simple": stock.SimpleRNN, "carry": Carry, "lstm": stock.LSTM, "gru": stock.GRU}[cell]
    layers = [kind(5, return_sequences=True), kind(5), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    (tmp_path / "x.weights.h5").write_bytes(weights_file(built(net)))
    model.load_weights(tmp_path / "x.weights.h5")
    assert_agrees(model, net)


@in_saving
def test_a_cell_without_a_layer_of_its_own(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ThirdOptions(SimpleOptions):
        type: Literal["third"] = "third"  # type: ignore[assignment]

    class Third(Simple):
        name = "third"
        Options = ThirdOptions

    from rnnlab.backends.keras.exporting import keras_file

    peer, known = network("simple", layers=2), Registry.get
    monkeypatch.setattr(Registry, "get", lambda self, name: Third if name == "third" else known(self, name))
    net = replace(peer, cell=Third(ThirdOptions(units=5, layers=2)))
    (tmp_path / "x.keras").write_bytes(keras_file(built(net)))
    model = keras.models.load_model(tmp_path / "x.keras")
    assert [type(layer.cell).__name__ for layer in model.layers[1:3]] == ["EquationCell"] * 2
    assert_agrees(model, peer)


@pytest.mark.parametrize("writer", ["keras_file", "weights_file", "saved_model"])
def test_no_space_for_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writer: str) -> None:
    """HDF5 would end the process, and TensorFlow raise an error of its own."""
    model = built(network("carry", layers=1))
    from rnnlab.backends.keras import exporting

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    needed = 2 * sum(weight.nbytes for weight in model.get_weights()) + (1 << 20)
    with pytest.raises(EnvironmentFault) as refused:
        getattr(exporting, writer)(model)
    assert str(refused.value) == (
        f"the folder for temporary files needs {needed:,} bytes, and 1,048,576 are free — "
        "free some space, or name another folder by the variable TMPDIR"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["tensorflow", "system"])
def test_a_disk_that_runs_full_while_a_model_is_written(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    model = built(network("simple", layers=1))
    import tensorflow as tf

    from rnnlab.backends.keras import exporting

    full = tf.errors.ResourceExhaustedError(None, None, "No space left on device")
    fault = full if kind == "tensorflow" else OSError(28, "No space left on device")

    def refuse(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(model, "export", refuse)
    problem = "the folder for temporary files cannot be written to: No space left on device"
    with pytest.raises(EnvironmentFault, match=f"^{problem}"):
        exporting.saved_model(model)
