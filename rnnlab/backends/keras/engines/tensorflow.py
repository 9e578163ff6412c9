"""TensorFlow: the default engine."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, final

import numpy as np
import tensorflow as tf

from rnnlab.backends.keras.engines import base
from rnnlab.backends.keras.engines.base import AbstractEngine, Tensor, Tensors
from rnnlab.backends.keras.optimizer import KerasOptimizer
from rnnlab.core.batch import Array


@final
class TensorFlowEngine(AbstractEngine):
    """Graphs, compiled by XLA on request.

    A batch is split into two halves that run side by side, each on its own thread: the products of a small recurrence
    are too small to be split themselves.
    """

    name = "tensorflow"

    def __init__(self, cpus: int) -> None:
        # Otherwise products of float32 on a GPU are rounded to 10 bits, and no longer those of NumPy.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        with suppress(RuntimeError):  # a program that has used TensorFlow before has made its own choice
            tf.config.threading.set_inter_op_parallelism_threads(cpus)
            tf.config.threading.set_intra_op_parallelism_threads(cpus)
            for device in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(device, True)

    def facts(self) -> dict[str, Any]:
        threading = tf.config.threading
        return {
            "engine": self.name,
            "version": tf.__version__,
            "devices": [device.name for device in tf.config.list_logical_devices()],
            "inter_op_threads": threading.get_inter_op_parallelism_threads(),
            "intra_op_threads": threading.get_intra_op_parallelism_threads(),
            "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
        }

    def tensor(self, array: Array) -> Tensor:
        return tf.constant(array)

    def array(self, tensor: Tensor) -> Array:
        return np.asarray(tensor.numpy())

    def scan(
        self, body: base.ScanBody, initial: Tensors, sequences: Tensors, *, widths: Sequence[int], reverse: bool = False
    ) -> base.Scanned:
        timesteps, (batch_size, _), dtype = sequences[0].shape[0], initial[0].shape, initial[0].dtype
        read = [
            tf.TensorArray(s.dtype, timesteps, element_shape=s.shape[1:], clear_after_read=False).unstack(s)
            for s in sequences
        ]
        kept = [tf.TensorArray(dtype, timesteps, element_shape=(batch_size, width)) for width in widths]

        def step(count: Tensor, flowing: list[Tensor], kept: list[Any]) -> tuple[Tensor, list[Tensor], list[Any]]:
            at = timesteps - 1 - count if reverse else count
            flowing, keep = body(flowing, [array.read(at) for array in read])
            return count + 1, flowing, [array.write(at, value) for array, value in zip(kept, keep, strict=True)]

        _, flowing, kept = tf.while_loop(
            lambda count, *_: count < timesteps,
            step,
            (tf.constant(0), list(initial), kept),
            maximum_iterations=timesteps,
        )
        return flowing, [array.stack() for array in kept]

    def with_gradient(self, forward: base.Forward, backward: base.Backward) -> base.Function:
        def with_its_gradient(*given: Tensor) -> tuple[tuple[Tensor, ...], Callable[..., tuple[Tensor, ...]]]:
            outputs, saved = forward(*given)
            return outputs, lambda *gradients: backward(saved, gradients)

        function: base.Function = tf.custom_gradient(with_its_gradient)
        return function

    def compile_function(self, function: Callable[..., Any], *, xla: bool) -> Callable[..., Any]:
        # Autograph would rewrite Python loops over tensors; there are none, and it takes most of the time of a trace.
        compiled: Callable[..., Any] = tf.function(function, jit_compile=xla or None, autograph=False)
        return compiled

    def compile_gradients(self, loss: base.Loss, *, xla: bool) -> base.Gradients:
        gradients: base.Gradients = self.compile_function(_gradients_of(loss), xla=xla)
        return gradients

    def compile_block(
        self, loss: base.Loss, updater: KerasOptimizer, *, form: str, width: int, xla: bool
    ) -> base.Block:
        gradients = self.compile_gradients(loss, xla=xla)

        def settle(found: list[tuple[Tensor, Tensor, list[Tensor]]], rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            losses, outputs, of_parts = zip(*found, strict=True)
            total = tf.add_n(losses)
            clipped, norm = updater.clipped([tf.add_n(same) for same in zip(*of_parts, strict=True)])
            updater.rate.assign(rate)
            good = tf.math.is_finite(total) & tf.math.is_finite(norm)  # else the last good weights stay
            tf.cond(good, lambda: updater.apply(clipped), lambda: None)
            return total, tf.concat(outputs, axis=0), norm

        # XLA takes half a second to compile this, and makes it no faster.
        settle = self.compile_function(settle, xla=False)

        def step(arrays: list[Tensor], rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            values = [tf.convert_to_tensor(variable.value) for variable in updater.trained]
            rows = shards(arrays[0].shape[0], width=width) if xla else [slice(None)]
            return settle([gradients(values, [array[part] for array in arrays]) for part in rows], rate)

        compiled, dtype = self.compile_function(step, xla=False), updater.rate.dtype

        def run(arrays: Sequence[Array], rate: float) -> tuple[float, Array, float]:
            total, outputs, norm = compiled([tf.constant(array) for array in arrays], tf.constant(rate, dtype))
            return float(total), outputs.numpy(), float(norm)

        return base.stepwise(run)


def _gradients_of(loss: base.Loss) -> base.Gradients:
    def gradients(values: Tensors, arrays: Tensors) -> tuple[Tensor, Tensor, list[Tensor]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            total, outputs = loss(values, arrays)
        return total, outputs, tape.gradient(total, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return gradients


def shards(batch_size: int, *, width: int) -> list[slice]:
    """Return the parts into which a batch is split, to be computed side by side and added up in this order.

    `width` are the units of all layers together. A rule of the shape alone: the number of threads at hand changes no
    number. Small batches stay whole.

    Example:
        >>> shards(64, width=32)
        [slice(0, 32, None), slice(32, 64, None)]
        >>> shards(8, width=32)
        [slice(0, 8, None)]
    """
    count = 2 if batch_size % 2 == 0 and batch_size * width >= 1024 else 1
    size = batch_size // count
    return [slice(n * size, (n + 1) * size) for n in range(count)]


ENGINE = TensorFlowEngine
