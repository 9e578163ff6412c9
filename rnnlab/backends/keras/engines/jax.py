"""JAX: everything is compiled by XLA."""

import os
from collections.abc import Callable, Sequence
from typing import Any, final

import jax
import keras
import numpy as np

from rnnlab.backends.keras.engines import base
from rnnlab.backends.keras.engines.base import AbstractEngine, Array, Tensor, Tensors
from rnnlab.backends.keras.optimizer import KerasOptimizer


@final
class JaxEngine(AbstractEngine):
    """Pure functions, compiled; XLA spreads their work over the processors itself."""

    name = "jax"

    def __init__(self, cpus: int) -> None:
        # XLA looks there for the size of its pool of threads, as it makes it for the first computation.
        os.environ.setdefault("NPROC", str(cpus))
        # Otherwise products of float32 on a GPU are rounded, and no longer those of NumPy.
        jax.config.update("jax_default_matmul_precision", "highest")

    def facts(self) -> dict[str, Any]:
        return {
            "engine": self.name,
            "version": jax.__version__,
            "devices": [str(device) for device in jax.devices()],
            "threads": int(os.environ["NPROC"]),
            "matmul_precision": jax.config.jax_default_matmul_precision,
        }

    def tensor(self, array: Array) -> Tensor:
        return jax.numpy.asarray(array)

    def array(self, tensor: Tensor) -> Array:
        return np.array(tensor)

    def scan(
        self, body: base.ScanBody, initial: Tensors, sequences: Tensors, *, widths: Sequence[int], reverse: bool = False
    ) -> base.Scanned:
        flowing, kept = jax.lax.scan(body, initial, sequences, reverse=reverse)
        return flowing, kept

    def with_gradient(self, forward: base.Forward, backward: base.Backward) -> base.Function:
        function = jax.custom_vjp(lambda *given: forward(*given)[0])
        function.defvjp(forward, backward)
        wrapped: base.Function = function
        return wrapped

    def compile_function(self, function: Callable[..., Any], *, xla: bool) -> Callable[..., Any]:
        compiled: Callable[..., Any] = jax.jit(function)
        return compiled

    def compile_gradients(self, loss: base.Loss, *, xla: bool) -> base.Gradients:
        gradients: base.Gradients = jax.jit(_gradients_of(loss))
        return gradients

    def compile_step(self, loss: base.Loss, updater: KerasOptimizer, *, width: int, xla: bool) -> base.Step:
        gradients, changing = _gradients_of(loss), [*updater.trained, *updater.slots]
        count, dtype = len(updater.trained), np.dtype(updater.rate.dtype)

        def step(
            state: list[Tensor], arrays: list[Tensor], rate: Tensor
        ) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
            total, outputs, found = gradients(state[:count], arrays)
            clipped, norm = updater.clipped(found)
            good = jax.numpy.isfinite(total) & jax.numpy.isfinite(norm)  # else the last good weights stay
            mapping = [*zip(changing, state, strict=True), (updater.rate, rate)]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                updater.apply(clipped)
            new = [scope.get_current_value(variable) for variable in changing]
            kept = [jax.numpy.where(good, after, before) for after, before in zip(new, state, strict=True)]
            return kept, total, outputs, norm

        compiled = jax.jit(step)

        def run(arrays: Sequence[Array], rate: float) -> tuple[float, Array, float]:
            state = [variable.value for variable in changing]
            state, total, outputs, norm = compiled(state, list(arrays), dtype.type(rate))
            for variable, value in zip(changing, state, strict=True):
                variable.assign(value)
            return float(total), self.array(outputs), float(norm)

        return run


def _gradients_of(loss: base.Loss) -> base.Gradients:
    def gradients(values: Tensors, arrays: Tensors) -> tuple[Tensor, Tensor, list[Tensor]]:
        (total, outputs), found = jax.value_and_grad(loss, has_aux=True)(list(values), arrays)
        return total, outputs, found

    return gradients


ENGINE = JaxEngine
