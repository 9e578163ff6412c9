"""Plain JAX: `lax.scan` over time, `value_and_grad`, a hand-written Adam, all in one `jit`."""

from typing import Any, final

import jax
from jax import Array as Tensor
from jax import numpy as jnp

from rnnlab.bench.contenders.base import AbstractContender, packed, unpacked
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

Tensors = dict[str, Tensor]


@final
class JaxScan(AbstractContender):
    """Parameters and moments are arguments and results; the old buffers are donated to the new."""

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        batch = work.batch()
        self._x, self._y = jnp.asarray(batch.inputs.swapaxes(0, 1)), jnp.asarray(batch.targets)
        parameters = {name: jnp.asarray(array) for name, array in packed(work).items()}
        zeros = [{name: jnp.zeros_like(value) for name, value in parameters.items()} for _ in range(2)]
        self._state = (parameters, *zeros, jnp.zeros((), "int32"))
        self._train = jax.jit(self._updated, donate_argnums=0)

    def step(self) -> None:
        self._state = jax.block_until_ready(self._train(self._state, self._x, self._y))

    def figures(self) -> Figures:
        loss, found = jax.jit(jax.value_and_grad(self._loss))(self._state[0], self._x, self._y)
        return Figures(float(loss), unpacked(self.work, found))

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
        zero, layers = jnp.zeros((x.shape[1], self.work.shape.units)), self.work.cell.layers
        states, _ = jax.lax.scan(lambda states, x: (self._layers(p, x, states), None), [(zero, zero)] * layers, x)
        return jnp.mean((states[-1][0] @ p["head.W"] + p["head.b"] - y) ** 2)

    def _layers(self, p: Tensors, x: Tensor, states: list[Any]) -> list[Any]:
        """Return every layer's state after one step."""
        after = []
        for number, (h, before) in enumerate(states):
            own = {name: p[f"layers.{number}.{name}"] for name in ("W", "U", "b")}
            x, c = self._cell(x @ own["W"] + h @ own["U"] + own["b"], before, p.get(f"layers.{number}.Vo"))
            after.append((x, c))
        return after

    def _cell(self, total: Tensor, c: Tensor, Vo: Tensor | None) -> tuple[Tensor, Tensor]:
        options, units = self.work.cell.model_dump(), self.work.shape.units
        act = getattr(jax.nn, options["activation"])
        if Vo is None:
            return act(total), c
        i, f = jnp.split(getattr(jax.nn, options["recurrent_activation"])(total[:, : 2 * units]), 2, axis=1)
        k, o = jnp.split(total[:, 2 * units :], 2, axis=1)
        return act(o + c @ Vo), i * act(k) + c * f
