"""A trained network as the model a Keras user would write, and as the files that other programs read."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.keras.functions import head_layers
from rnnlab.backends.keras.stock import keras_weights, recurrent_layer
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.scaling import Scaling

Model = Any
_GRAPH = 1 << 20  # bytes; a SavedModel of few parameters takes a sixth


def keras_model(network: Network, parameters: Mapping[str, NDArray[Any]], scaling: Scaling | None = None) -> Model:
    """Return the network as a functional model: `Input`, one recurrent layer upon another, `Dense`.

    Its layers are called `layers_0` …, `head`, as in the full names of the parameters. It gives raw outputs (logits,
    for a task of classes), of every step where the network returns sequences, else of the last. With the
    `scaling` of one series of a file it reads and returns the units of the file.
    """
    cell, depth = network.cell, network.cell.options.layers
    inputs = x = keras.Input((None, network.input_features), dtype=network.precision, name="inputs")
    if scaling:  # centred first: their difference has no rounding where values are close to the mean
        x = keras.layers.Rescaling(1.0, (-scaling.inputs.mean[0]).tolist(), dtype=network.precision, name="centred")(x)
        factor = (1 / scaling.inputs.divisor[0]).tolist()
        x = keras.layers.Rescaling(factor, dtype=network.precision, name="scaled")(x)
    read = x
    for number in range(depth):
        sequences = network.return_sequences or number < depth - 1
        settings = {"return_sequences": sequences, "return_state": False, "name": f"layers_{number}"}
        x = recurrent_layer(cell, network.precision, **settings)(x)
    first, *rest = head_layers(network)
    x = first(x)
    if rest:
        shown = read if network.return_sequences else read[:, -1]
        x = keras.layers.Add(dtype=network.precision, name="outputs")([x, rest[0](shown)])
    if scaling:
        factor, mean = (one[0].tolist() for one in (scaling.outputs.divisor, scaling.outputs.mean))
        x = keras.layers.Rescaling(factor, mean, dtype=network.precision, name="in_units")(x)
    model = keras.Model(inputs, x, name=cell.name)
    model.set_weights(keras_weights(network, parameters))
    return model


def keras_file(model: Model) -> bytes:
    """Return the content of a `.keras` file, for `keras.models.load_model`.

    Raises:
        EnvironmentFault: There is no space for temporary files, as for each of the following.
    """
    with _temporary_folder(model) as folder:
        model.save(path := folder / "model.keras")
        return path.read_bytes()


def weights_file(model: Model) -> bytes:
    """Return the content of a `.weights.h5` file, for the `load_weights` of a model of the same layers."""
    with _temporary_folder(model) as folder:
        model.save_weights(path := folder / "model.weights.h5")
        return path.read_bytes()


def saved_model(model: Model) -> dict[str, bytes]:
    """Return the files of a SavedModel, for `tf.saved_model.load`; its endpoint `serve` takes any B and T."""
    import tensorflow as tf

    with _temporary_folder(model) as folder:
        root = folder / "model"
        try:
            model.export(root, format="tf_saved_model", verbose=False)
        except tf.errors.ResourceExhaustedError as fault:
            raise _no_space(f"cannot be written to: {fault.message}") from fault
        files = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@contextmanager
def _temporary_folder(model: Model) -> Iterator[Path]:
    """Yield a folder with the space for a model: on a full disk HDF5 ends the process without a message."""
    needed = 2 * sum(weight.size * weight.dtype.itemsize for weight in model.get_weights()) + _GRAPH
    try:
        with TemporaryDirectory() as folder:
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise _no_space(f"needs {needed:,} bytes, and {free:,} are free")
            yield Path(folder)
    except OSError as fault:
        raise _no_space(f"cannot be written to: {fault.strerror or fault}") from fault


def _no_space(problem: str) -> EnvironmentFault:
    hint = "free some space, or name another folder by the variable TMPDIR"
    return EnvironmentFault(f"the folder for temporary files {problem}", hint=hint)
