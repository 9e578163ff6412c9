"""A trained network as the model a Keras user would write, and as the files that other programs read."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.keras.build import head_layer, recurrent_layer

Model = Any


def keras_model(network: Network, parameters: Mapping[str, NDArray[Any]]) -> Model:
    """Return the network as a functional model: `Input`, one recurrent layer upon another, `Dense`.

    Its layers are called `layers_0` …, `head`, as in the full names of the parameters. It gives raw outputs (logits,
    for a task of classes), of every step where the network returns sequences, else of the last.

    Args:
        network: What to build.
        parameters: Its parameters by full name.
    """
    cell, depth = network.cell, network.cell.options.layers
    inputs = x = keras.Input((None, network.input_features), dtype=network.precision, name="inputs")
    for number in range(depth):
        sequences = network.return_sequences or number < depth - 1
        settings = {"return_sequences": sequences, "return_state": False, "name": f"layers_{number}"}
        x = recurrent_layer(cell, network.precision, **settings)(x)
    model = keras.Model(inputs, head_layer(network, name="head")(x), name=cell.name)
    model.set_weights([parameters[name] for name in network.parameters()])
    return model


def keras_file(model: Model) -> bytes:
    """Return the content of a `.keras` file, for `keras.models.load_model`."""
    with TemporaryDirectory() as folder:
        model.save(path := Path(folder) / "model.keras")
        return path.read_bytes()


def weights_file(model: Model) -> bytes:
    """Return the content of a `.weights.h5` file, for the `load_weights` of a model of the same layers."""
    with TemporaryDirectory() as folder:
        model.save_weights(path := Path(folder) / "model.weights.h5")
        return path.read_bytes()


def saved_model(model: Model) -> dict[str, bytes]:
    """Return the files of a SavedModel, for `tf.saved_model.load`; its endpoint `serve` takes any B and T."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / "model"
        model.export(root, format="tf_saved_model", verbose=False)
        files = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
