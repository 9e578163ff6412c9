"""JAX: everything is compiled by XLA."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

import jax
import keras
import numpy as np

from rnnlab.backends.keras.engines import base
from rnnlab.backends.keras.engines.base import AbstractEngine, Lane, Tensor, Tensors
from rnnlab.backends.keras.optimizer import KerasOptimizer
from rnnlab.core.batch import Array, batches_per_unit

_MOST_FORMS = 16  # of which the compiled programs are kept
# Values of the variables, whether all was finite so far, losses, outputs and norms of the updates.
_Block = tuple[list[Tensor], Tensor, list[Tensor]]


@final
class JaxEngine(AbstractEngine):
    """Pure functions, compiled; XLA spreads their work over the processors itself."""

    name = "jax"

    def __init__(self, cpus: int) -> None:
        # XLA looks there for the size of its pool of threads, as it makes it for the first computation.
        os.environ.setdefault("NPROC", str(cpus))
        # Otherwise products of float32 on a GPU are rounded, and no longer those of NumPy.
        jax.config.update("jax_default_matmul_precision", "highest")
        self._blocks: dict[str, base.Block] = {}

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

    def compile_block(
        self, loss: base.Loss, updater: KerasOptimizer, *, form: str, width: int, xla: bool
    ) -> base.Block:
        if form not in self._blocks:
            if len(self._blocks) == _MOST_FORMS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[form] = _block_of(loss, updater)
        return self._blocks[form]


def _gradients_of(loss: base.Loss) -> base.Gradients:
    def gradients(values: Tensors, arrays: Tensors) -> tuple[Tensor, Tensor, list[Tensor]]:
        (total, outputs), found = jax.value_and_grad(loss, has_aux=True)(list(values), arrays)
        return total, outputs, found

    return gradients


def _block_of(loss: base.Loss, updater: KerasOptimizer) -> base.Block:
    """Return the training of networks like that of `updater`, in one program for each number of them.

    It is compiled for a fixed number of updates, of which it does as many as it is called for, and for a fixed number
    of networks: XLA rounds differently in a program for others.
    """
    gradients, changing = _gradients_of(loss), updater.changing
    count, dtype = len(updater.trained), np.dtype(updater.rate.dtype)

    def update(
        state: list[Tensor], arrays: list[Tensor], rate: Tensor
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor, Tensor]]:
        total, outputs, found = gradients(state[:count], arrays)
        clipped, norm = updater.clipped(found)
        with keras.StatelessScope([*zip(changing, state, strict=True), (updater.rate, rate)]) as scope:
            updater.apply(clipped)
        return [scope.get_current_value(variable) for variable in changing], (total, outputs, norm)

    def block(state: list[Tensor], good: Tensor, arrays: list[Tensor], rates: Tensor, updates: Tensor) -> _Block:
        def body(number: Tensor, before: _Block) -> _Block:
            state, good, kept = before
            new, results = update(state, [array[number] for array in arrays], rates[number])
            good &= jax.numpy.isfinite(results[0]) & jax.numpy.isfinite(results[2])  # else the last good weights stay
            state = [jax.numpy.where(good, one, other) for one, other in zip(new, state, strict=True)]
            put = partial(jax.lax.dynamic_update_index_in_dim, index=number, axis=0)
            return state, good, [put(all_, one) for all_, one in zip(kept, results, strict=True)]

        _, results = jax.eval_shape(update, state, [array[0] for array in arrays], rates[0])
        empty = [jax.numpy.zeros((len(rates), *one.shape), one.dtype) for one in results]
        after: _Block = jax.lax.fori_loop(0, updates, body, (state, good, empty))
        return after

    @jax.jit
    def stack(states: list[list[Tensor]]) -> list[Tensor]:
        return [jax.numpy.stack(same) for same in zip(*states, strict=True)]

    @partial(jax.jit, static_argnums=1)
    def unstack(stacked: list[Tensor], number: int) -> list[list[Tensor]]:
        return [[array[place] for array in stacked] for place in range(number)]

    alone, together = jax.jit(block), jax.jit(jax.vmap(block, in_axes=(0, 0, 0, 0, None)))

    def run(lanes: Sequence[Lane], most: int) -> list[base.Results]:
        states = [[variable.value for variable in lane.updater.changing] for lane in lanes]
        states += states[:1] * (most - len(lanes))  # lanes without a network compute what nobody reads
        state, train = (states[0], alone) if most == 1 else (stack(states), together)
        good: Tensor = np.ones(() if most == 1 else most, bool)
        updates, of_one = len(lanes[0].rates), lanes[0].arrays[0][0].size
        parts, capacity = [], max(1, batches_per_unit(of_one) // most)
        for start in range(0, updates, capacity):
            part = slice(start, min(start + capacity, updates))
            arrays = [
                _filled([lane.arrays[n][part] for lane in lanes], capacity, most) for n in range(len(lanes[0].arrays))
            ]
            rates = _filled([lane.rates[part].astype(dtype) for lane in lanes], capacity, most)
            state, good, results = train(state, good, arrays, rates, np.int32(part.stop - start))
            done = part.stop - start
            parts.append([np.array(one)[:done] if most == 1 else np.array(one)[:, :done] for one in results])
        for lane, values in zip(lanes, [state] if most == 1 else unstack(state, most), strict=False):
            for variable, value in zip(lane.updater.changing, values, strict=True):
                variable.assign(value)
        whole = [np.concatenate(same, axis=int(most > 1)) for same in zip(*parts, strict=True)]
        return [_to_the_first_bad(*(one if most == 1 else one[n] for one in whole)) for n in range(len(lanes))]

    return run


def _filled(arrays: Sequence[Array], updates: int, most: int) -> Array:
    """Return arrays of each network, (K, …), with zeros for more updates, and for more networks: of one no axis."""
    whole = np.zeros((most, updates, *arrays[0].shape[1:]), arrays[0].dtype)
    for place, array in enumerate(arrays):
        whole[place, : len(array)] = array
    return whole if most > 1 else whole[0]


def _to_the_first_bad(losses: Array, outputs: Array, norms: Array) -> base.Results:
    bad = np.flatnonzero(~(np.isfinite(losses) & np.isfinite(norms)))
    done = bad[0] + 1 if len(bad) else len(losses)
    return losses[:done], outputs[:done], norms[:done]


ENGINE = JaxEngine
