"""Plain TensorFlow: `tf.while_loop` over time under a `GradientTape`, in one `tf.function`, without Keras."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, final

import tensorflow as tf

from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.recurrence import AbstractNamespace, Recurrence
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

Tensor = Any
_MATH = ("log", "logical_and", "logical_or")  # not in `tf` itself


@final
class _Namespace(AbstractNamespace):
    def __getattr__(self, name: str) -> Any:
        return getattr(tf.math if name in _MATH else tf, name)

    def own_activation(self, name: str) -> Callable[[Tensor], Tensor] | None:
        return getattr(tf.nn, name, None)

    def joined(self, arrays: Sequence[Tensor]) -> Tensor:
        return tf.concat(arrays, -1)

    def parts(self, array: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        found: Sequence[Tensor] = tf.split(array, sizes, axis=-1)
        return found

    def clip(self, x: Tensor, low: float, high: float) -> Tensor:
        return tf.clip_by_value(x, low, high)


@final
class TensorflowLoop(AbstractContender):
    """A graph without XLA, which makes the gradient of a loop slower; a hand-written Adam on variables."""

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        with suppress(RuntimeError):  # they can be set only before TensorFlow computes anything
            tf.config.threading.set_inter_op_parallelism_threads(threads)
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        batch = work.batch()
        self._x, self._y = tf.constant(batch.inputs.swapaxes(0, 1).copy()), tf.constant(batch.targets)
        self._p = {name: tf.Variable(array) for name, array in work.parameters().items()}
        self._layers = [
            Recurrence(_Namespace(tf), work.cell_of_it, features, early=False) for features in work.layer_inputs
        ]
        self._means, self._squares = ([tf.Variable(tf.zeros_like(p)) for p in self._p.values()] for _ in range(2))
        self._count = tf.Variable(0.0)
        # Autograph would rewrite Python loops over tensors; there are none.
        self._train, self._measure = (tf.function(f, autograph=False) for f in (self._update, self._find))

    def step(self) -> None:
        self._train().numpy()

    def figures(self) -> Figures:
        loss, found = self._measure()
        return Figures(float(loss), {name: one.numpy() for name, one in zip(self._p, found, strict=True)})

    def tensor(self, matrix: Array) -> Any:
        return tf.constant(matrix)

    def _find(self) -> tuple[Tensor, list[Tensor]]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self._features() @ self._p["head.W"] + self._p["head.b"] - self._y) ** 2)
        return loss, tape.gradient(loss, list(self._p.values()))

    def _update(self) -> Tensor:
        loss, found = self._find()
        clipped, _ = tf.clip_by_global_norm(found, CLIP_NORM)
        count = self._count.assign_add(1.0)
        rate = LEARNING_RATE * tf.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        for p, g, mean, square in zip(self._p.values(), clipped, self._means, self._squares, strict=True):
            m = mean.assign_add((1 - BETA_1) * (g - mean))
            v = square.assign_add((1 - BETA_2) * (g * g - square))
            p.assign_sub(rate * m / (tf.sqrt(v) + EPSILON))
        return loss

    def _features(self) -> Tensor:
        """Return the top layer's last output, (B, H)."""
        shape, p = self.work.shape, {name: tf.convert_to_tensor(value) for name, value in self._p.items()}
        named = [{name: p[full] for name, full in self.work.names(n).items()} for n in range(len(self._layers))]
        weights = [layer.weights(own) for layer, own in zip(self._layers, named, strict=True)]
        zeros = [tuple(tf.zeros((shape.batch_size, size)) for size in layer.sizes) for layer in self._layers]

        def body(t: Tensor, states: Any) -> tuple[Tensor, Any]:
            x, after = self._x[t], []
            for layer, own, before in zip(self._layers, weights, states, strict=True):
                after.append(layer.step((x,), own, before))
                x = after[-1][layer.output]
            return t + 1, after

        steps = shape.timesteps
        _, states = tf.while_loop(lambda t, _: t < steps, body, (tf.constant(0), zeros), maximum_iterations=steps)
        return states[-1][self._layers[-1].output]
