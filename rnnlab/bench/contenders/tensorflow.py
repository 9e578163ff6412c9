"""Plain TensorFlow: `tf.while_loop` over time under a `GradientTape`, in one `tf.function`, without Keras."""

from contextlib import suppress
from typing import Any, final

import tensorflow as tf

from rnnlab.bench.contenders.base import AbstractContender, packed, unpacked
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

Tensor = Any


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
        self._p = {name: tf.Variable(array) for name, array in packed(work).items()}
        self._means, self._squares = ([tf.Variable(tf.zeros_like(p)) for p in self._p.values()] for _ in range(2))
        self._count = tf.Variable(0.0)
        # Autograph would rewrite Python loops over tensors; there are none.
        self._train, self._measure = (tf.function(f, autograph=False) for f in (self._update, self._find))

    def step(self) -> None:
        self._train().numpy()

    def figures(self) -> Figures:
        loss, found = self._measure()
        return Figures(float(loss), unpacked(self.work, dict(zip(self._p, found, strict=True))))

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
        zeros = [tf.zeros((shape.batch_size, shape.units)) for _ in range(2 * self.work.cell.layers)]

        def body(t: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            x, after = self._x[t], []
            for layer in range(self.work.cell.layers):
                h, c = states[2 * layer : 2 * layer + 2]
                W, U, b = (p[f"layers.{layer}.{name}"] for name in "WUb")
                x, c = self._cell(x @ W + h @ U + b, c, p.get(f"layers.{layer}.Vo"))
                after += [x, c]
            return t + 1, after

        steps = shape.timesteps
        _, states = tf.while_loop(lambda t, _: t < steps, body, (tf.constant(0), zeros), maximum_iterations=steps)
        return states[-2]

    def _cell(self, total: Tensor, c: Tensor, Vo: Tensor | None) -> tuple[Tensor, Tensor]:
        options, units = self.work.cell.model_dump(), self.work.shape.units
        act = getattr(tf.nn, options["activation"])
        if Vo is None:
            return act(total), c
        gates, k, o = tf.split(total, [2 * units, units, units], axis=1)
        i, f = tf.split(getattr(tf.nn, options["recurrent_activation"])(gates), 2, axis=1)
        return act(o + c @ Vo), i * act(k) + c * f
