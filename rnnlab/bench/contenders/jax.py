"""Plain JAX: `lax.scan` over time, `value_and_grad`, a hand-written Adam, all in one `jit`."""

from collections.abc import Callable, Sequence
from typing import Any, final

import jax
from jax import Array as Tensor
from jax import numpy as jnp

from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.recurrence import AbstractNamespace, Recurrence
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

Tensors = dict[str, Tensor]
_NAMES = {"softsign": "soft_sign"}


@final
class _Namespace(AbstractNamespace):
    def own_activation(self, name: str) -> Callable[[Tensor], Tensor] | None:
        found: Callable[[Tensor], Tensor] | None = getattr(jax.nn, _NAMES.get(name, name), None)
        return found

    def joined(self, arrays: Sequence[Tensor]) -> Tensor:
        return jnp.concatenate(arrays, axis=-1)

    def parts(self, array: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        ends = [sum(sizes[: number + 1]) for number in range(len(sizes) - 1)]
        return jnp.split(array, ends, axis=-1)

    def stop_gradient(self, x: Tensor) -> Tensor:
        stopped: Tensor = jax.lax.stop_gradient(x)
        return stopped


@final
class JaxScan(AbstractContender):
    """Parameters and moments are arguments and results; the old buffers are donated to the new."""

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        batch = work.batch()
        self._layers = [
            Recurrence(_Namespace(jnp), work.cell_of_it, features, early=False) for features in work.layer_inputs
        ]
        self._x, self._y = jnp.asarray(batch.inputs.swapaxes(0, 1)), jnp.asarray(batch.targets)
        parameters = {name: jnp.asarray(array) for name, array in work.parameters().items()}
        zeros = [{name: jnp.zeros_like(value) for name, value in parameters.items()} for _ in range(2)]
        self._state = (parameters, *zeros, jnp.zeros((), "int32"))
        self._train = jax.jit(self._updated, donate_argnums=0)

    def step(self) -> None:
        self._state = jax.block_until_ready(self._train(self._state, self._x, self._y))

    def figures(self) -> Figures:
        loss, found = jax.jit(jax.value_and_grad(self._loss))(self._state[0], self._x, self._y)
        return Figures(float(loss), found)

    def tensor(self, matrix: Array) -> Any:
        return jnp.asarray(matrix)

    def _updated(self, state: Any, x: Tensor, y: Tensor) -> Any:
        parameters, means, squares, count = state
        found = jax.grad(self._loss)(parameters, x, y)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in found.values()))
        scale, count = CLIP_NORM / jnp.maximum(norm, CLIP_NORM), count + 1
        rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        clipped = {name: g * scale for name, g in found.items()}
        means = {name: BETA_1 * means[name] + (1 - BETA_1) * g for name, g in clipped.items()}
        squares = {name: BETA_2 * squares[name] + (1 - BETA_2) * g * g for name, g in clipped.items()}
        moved = {n: p - rate * means[n] / (jnp.sqrt(squares[n]) + EPSILON) for n, p in parameters.items()}
        return moved, means, squares, count

    def _loss(self, p: Tensors, x: Tensor, y: Tensor) -> Tensor:
        for number, layer in enumerate(self._layers):
            weights = layer.weights({name: p[full] for name, full in self.work.names(number).items()})
            zeros = tuple(jnp.zeros((x.shape[1], size)) for size in layer.sizes)

            def run(states: Any, xs: Any, layer: Recurrence = layer, weights: Any = weights) -> Any:
                after = layer.step(xs, weights, states)
                return after, after[layer.output]

            last, x = jax.lax.scan(run, zeros, layer.before(weights, x))
        return jnp.mean((last[layer.output] @ p["head.W"] + p["head.b"] - y) ** 2)
