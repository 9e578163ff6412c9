"""Plain JAX: `lax.scan` over time, `value_and_grad`, a hand-written Adam, all in one `jit`."""

from collections.abc import Callable
from typing import Any, final

from rnnlab.bench.checking import Figures
from rnnlab.bench.contenders._merged import merged, parted
from rnnlab.bench.contenders.base import AbstractContender, Array, knows
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Work

Tensor = Any
Tensors = dict[str, Any]
_ACTIVATIONS = frozenset({"tanh", "sigmoid", "relu", "hard_sigmoid"})


@final
class JaxScan(AbstractContender):
    """Parameters and moments go in and come out; their old buffers are given up for the new."""

    framework = "jax"
    packages = ("jax",)
    install = "pip install 'rnnlab[jax]'"

    @classmethod
    def suits(cls, work: Work) -> bool:
        return knows(work, _ACTIVATIONS)

    def build(self) -> None:
        import jax

        batch = self.work.batch()
        self._x, self._y = jax.numpy.asarray(batch.inputs.swapaxes(0, 1)), jax.numpy.asarray(batch.targets)
        parameters = {name: jax.numpy.asarray(array) for name, array in merged(self.work).items()}
        zeros = [{name: jax.numpy.zeros_like(value) for name, value in parameters.items()} for _ in range(2)]
        self._state = (parameters, *zeros, jax.numpy.zeros((), "int32"))
        self._train = jax.jit(self._updated, donate_argnums=0)

    def step(self) -> None:
        import jax

        self._state = jax.block_until_ready(self._train(self._state, self._x, self._y))

    def figures(self) -> Figures:
        import jax

        loss, found = jax.jit(jax.value_and_grad(self._loss))(self._state[0], self._x, self._y)
        return Figures(float(loss), parted(self.work, found))

    def product(self, matrix: Array) -> Callable[[], object]:
        import jax

        tensor = jax.numpy.asarray(matrix)
        multiply = jax.jit(jax.numpy.matmul)
        return lambda: jax.block_until_ready(multiply(tensor, tensor))

    def _updated(self, state: Any, x: Tensor, y: Tensor) -> Any:
        import jax

        parameters, means, squares, count = state
        found = jax.grad(self._loss)(parameters, x, y)
        norm = jax.numpy.sqrt(sum(jax.numpy.sum(g * g) for g in found.values()))
        scale, count = CLIP_NORM / jax.numpy.maximum(norm, CLIP_NORM), count + 1
        rate = LEARNING_RATE * jax.numpy.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        clipped = {name: g * scale for name, g in found.items()}
        means = {name: BETA_1 * means[name] + (1 - BETA_1) * g for name, g in clipped.items()}
        squares = {name: BETA_2 * squares[name] + (1 - BETA_2) * g * g for name, g in clipped.items()}
        moved = {n: p - rate * means[n] / (jax.numpy.sqrt(squares[n]) + EPSILON) for n, p in parameters.items()}
        return moved, means, squares, count

    def _loss(self, p: Tensors, x: Tensor, y: Tensor) -> Tensor:
        import jax

        zero, layers = jax.numpy.zeros((x.shape[1], self.work.shape.units)), self.work.cell.layers
        states, _ = jax.lax.scan(lambda states, x: (self._layers(p, x, states), None), [(zero, zero)] * layers, x)
        return jax.numpy.mean((states[-1][0] @ p["head.W"] + p["head.b"] - y) ** 2)

    def _layers(self, p: Tensors, x: Tensor, states: list[Any]) -> list[Any]:
        """Return every layer's state after one step."""
        after = []
        for number, (h, before) in enumerate(states):
            own = {name: p[f"layers.{number}.{name}"] for name in ("W", "U", "b")}
            x, c = self._cell(x @ own["W"] + h @ own["U"] + own["b"], before, p.get(f"layers.{number}.Vo"))
            after.append((x, c))
        return after

    def _cell(self, total: Tensor, c: Tensor, Vo: Tensor) -> tuple[Tensor, Tensor]:
        import jax

        options, units = self.work.cell.model_dump(), self.work.shape.units
        act = getattr(jax.nn, options["activation"])
        if Vo is None:
            return act(total), c
        i, f = jax.numpy.split(getattr(jax.nn, options["recurrent_activation"])(total[:, : 2 * units]), 2, axis=1)
        k, o = jax.numpy.split(total[:, 2 * units :], 2, axis=1)
        return act(o + c @ Vo), i * act(k) + c * f


CONTENDER = JaxScan
