"""A Keras model as an ONNX graph, by tf2onnx, which is installed with the extra `onnx`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from rnnlab.core.errors import EnvironmentFault

_OPSET = 18  # the newest that tf2onnx 1.17 writes; onnxruntime reads it since 1.14
_AXES = ("batch", "time")


def onnx_file(model: Any) -> bytes:
    """Return the content of an `.onnx` file: from `inputs`, (batch, time, I), to `outputs`, any batch and time.

    Args:
        model: A functional model of one input and one output.

    Raises:
        EnvironmentFault: The converter is not installed.
    """
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        hint = "pip install 'rnnlab[onnx]'"
        raise EnvironmentFault(f"the ONNX converter cannot be imported: {error}", hint=hint) from error
    signature = [tf.TensorSpec(model.input.shape, model.input.dtype, name="inputs")]
    function = tf.function(lambda inputs: {"outputs": model(inputs, training=False)}, input_signature=signature)
    with _quiet_converter():
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=_OPSET)
    _name_axes(proto.graph)
    onnx.checker.check_model(proto, full_check=True)  # the converter goes on past what it cannot convert
    content: bytes = proto.SerializeToString()
    return content


def _name_axes(graph: Any) -> None:
    """Call the open axes `batch` and `time`; the converter numbers them."""
    for value in (*graph.input, *graph.output):
        for axis, name in zip(value.type.tensor_type.shape.dim, _AXES, strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = name


@contextmanager
def _quiet_converter() -> Iterator[None]:
    """Keep its remarks from the root logger, where it makes some for float64: they are about speed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
