"""A trained network in a file that other programs read: Keras, TensorFlow, ONNX runtimes, NumPy."""

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, start, usual_engine
from rnnlab.core.arguments import require_one_of
from rnnlab.core.errors import RnnlabError, UsageError
from rnnlab.core.named_files import home_expanded
from rnnlab.core.registry import nearest
from rnnlab.core.scaling import Scaling
from rnnlab.core.system_errors import reported
from rnnlab.inspection.onnx_file import onnx_file
from rnnlab.runs.find import open_run
from rnnlab.runs.run import Run, Which
from rnnlab.storage import RunFolder
from rnnlab.storage.files import write_atomic, write_folder
from rnnlab.storage.reading import kind

Format = Literal["keras", "keras-weights", "npz", "onnx", "savedmodel"]

ENDINGS: Mapping[Format, str] = {
    "keras": ".keras",
    "keras-weights": ".weights.h5",
    "npz": ".npz",
    "onnx": ".onnx",
    "savedmodel": ".savedmodel",
}
# Python that loads a file; a cell that Keras does not have needs the module of its layer.
_LOADING: Mapping[Format, str] = {
    "keras": "import {modules}; model = keras.models.load_model({file})",
    "keras-weights": "model.load_weights({file})  # a model of the same layers",
    "npz": "import numpy; arrays = numpy.load({file})  # arrays['head.W']",
    "onnx": "import onnxruntime; model = onnxruntime.InferenceSession({file})  # model.run(None, {{'inputs': x}})",
    "savedmodel": "import tensorflow; model = tensorflow.saved_model.load({file})  # model.serve(x)",
}
_WITHOUT_GRAPH = ("keras-weights", "npz")
_ELSEWHERE = "choose another place with --out"


@dataclass(frozen=True, slots=True)
class Export:
    """What was written.

    Attributes:
        path: The file; a folder for `savedmodel`.
        format: Its format.
        weights: Which weights.
        step: The training step they are of.
        bytes: The size of the file, or of all files of the folder.
        inputs: (B, T, I) of the network, None where any size will do.
        outputs: (B, O), or (B, T, O) for a network that returns sequences; raw, i.e. logits for classes.
        dtype: Of inputs, parameters and outputs.
        load: Python that loads it.
        scaling: How the inputs and outputs relate to the columns of the file that was learnt; None: there was no file.
        in_units: Whether the model does that scaling itself: it reads and returns the units of the file.
    """

    path: Path
    format: Format
    weights: Which
    step: int
    bytes: int
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    dtype: str
    load: str
    scaling: Scaling | None = None
    in_units: bool = False


def export(
    run: Run | str | Path,
    format: Format,
    *,
    weights: Which = "best",
    out: str | Path | None = None,
    series: str | None = None,
    force: bool = False,
    allow_nonfinite: bool = False,
) -> Export:
    """Write a run's network for other programs, whatever backend trained it; the run folder is only read.

    The network has no mask: it reads whole sequences, so those of one batch have one length. A network that learnt the
    columns of a file reads and returns the file's units: its scaling is part of the model. With `npz` and
    `keras-weights` it is beside the weights, in the result and, of `npz`, as `inputs.mean` and the like.

    Args:
        run: The run, or its path or name.
        format: `keras` (a model), `keras-weights` (for a model of the same layers), `npz` (arrays by full name),
            `onnx`, `savedmodel` (a folder).
        weights: `best` by validation loss, or `last`.
        out: Where to; left out, `RUN-WEIGHTS.ENDING` in the current folder.
        series: Of a file with several series, the one whose scale the model has; left out, the model has none.
        force: Whether to replace what is there.
        allow_nonfinite: Whether to write weights that contain NaN or infinity too, for inspection.

    Raises:
        UsageError: Nothing may be written at that place, or there is no such format or series.
        VerificationError: The weights are damaged, or of another network.
        EnvironmentFault: A system error, or a missing package. What existed before is left as it was.
    """
    require_one_of("format", format, ENDINGS)
    run = open_run(run)
    path = home_expanded(out) if out is not None else Path(f"{run.name}-{weights}{ENDINGS[format]}")
    _check_place(path, format, force=force)
    experiment = run.experiment()
    network = experiment.network()
    arrays = run.weights(weights, allow_nonfinite=allow_nonfinite)
    scaling = _scaling_of(arrays.scaling, series)
    inside = scaling if scaling and len(scaling.series) == 1 and format not in _WITHOUT_GRAPH else None
    content = _content(format, network, arrays, scaling=scaling if format == "npz" else inside)
    if isinstance(content, bytes):
        write_atomic(path, content, elsewhere=_ELSEWHERE)
    else:
        write_folder(path, content, elsewhere=_ELSEWHERE)
    return Export(
        path=path,
        format=format,
        weights=weights,
        step=arrays.step,
        bytes=len(content) if isinstance(content, bytes) else sum(map(len, content.values())),
        inputs=(None, None, network.input_features),
        outputs=(None, *([None] if network.return_sequences else []), network.output_features),
        dtype=network.precision,
        load=_LOADING[format].format(file=repr(str(path)), modules=_modules(network) if format == "keras" else ""),
        scaling=scaling,
        in_units=inside is not None,
    )


def _modules(network: Network) -> str:
    """Return what registers the layers of a model with Keras."""
    from rnnlab.backends.keras import stock  # imports Keras

    return "keras" if stock.has_stock_layer(network.cell) else "keras, rnnlab.backends.keras.layers"


def _scaling_of(scaling: Scaling | None, series: str | None) -> Scaling | None:
    if series is None:
        return scaling
    if scaling is None or series not in scaling.series:
        known = nearest(series, scaling.series) if scaling else "the run's data are not the series of a file"
        raise UsageError(f"the network has learnt no series {series!r}", where="--series", hint=known)
    return scaling.only(scaling.series.index(series))


def _check_place(path: Path, format: Format, *, force: bool) -> None:
    """Pass if `path` may be written: it is outside any run's folder, and new or to be replaced."""
    where, ending = str(path), ENDINGS[format]
    named = path.name not in {"", ".."} if format == "savedmodel" else path.name.endswith(ending)
    if not named:
        expected = "a name for a folder" if format == "savedmodel" else f"a name that ends in {ending}"
        raise UsageError(f"expected {expected}", where=where, hint=_ELSEWHERE)
    with reported("look at", path, elsewhere=_ELSEWHERE):
        if not path.parent.is_dir():
            raise UsageError("the folder for it does not exist", where=where, hint=f"create it first, or {_ELSEWHERE}")
    real = Path(os.path.realpath(path.parent)) / path.name
    if any(_is_run(folder) for folder in (real, *real.parents)):
        raise UsageError("is inside a run's folder, which must contain only that run", where=where, hint=_ELSEWHERE)
    found = kind(path)
    if format == "savedmodel":
        fitting, expected = found == "folder" and kind(path / "saved_model.pb") == "file", "a SavedModel"
    else:
        fitting, expected = found != "folder", "a file"
    if found != "missing" and not fitting:
        raise UsageError(f"already exists, and is not {expected}", where=where, hint=_ELSEWHERE)
    if found != "missing" and not force:
        raise UsageError("already exists", where=where, hint=f"replace it with --force, or {_ELSEWHERE}")


def _is_run(folder: Path) -> bool:
    try:
        RunFolder.open(folder)
    except RnnlabError:
        return False
    return True


def _content(
    format: Format, network: Network, arrays: Mapping[str, NDArray[Any]], *, scaling: Scaling | None
) -> bytes | dict[str, bytes]:
    if format == "npz":
        file = io.BytesIO()
        named: Any = {name: arrays[name] for name in network.parameters()}  # those of the run have any order
        if scaling:
            named |= scaling.arrays() | ({"series": np.array(scaling.series)} if len(scaling.series) > 1 else {})
        np.savez(file, **named)
        return file.getvalue()
    if format == "onnx":
        return onnx_file(network, arrays, scaling)
    # Files of Keras are the same on all engines; only TensorFlow has SavedModels, and Keras's double precision.
    start(DEFAULT_ENGINE if format == "savedmodel" or network.precision == "float64" else usual_engine())
    from rnnlab.backends.keras import exporting  # imports Keras

    writers: Mapping[str, Callable[[Any], bytes | dict[str, bytes]]] = {
        "keras": exporting.keras_file,
        "keras-weights": exporting.weights_file,
        "savedmodel": exporting.saved_model,
    }
    return writers[format](exporting.keras_model(network, arrays, scaling))
