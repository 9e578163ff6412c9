"""Keras, as `backend: keras` uses it and as its documentation does. Its engine is chosen before it is imported."""

from typing import Any, final

import keras
import numpy as np

from rnnlab.backends.base import AbstractBackend
from rnnlab.backends.keras import KerasBackend
from rnnlab.backends.keras.stock import gradients_of, keras_weights, recurrent_layer
from rnnlab.bench.contenders.base import AbstractContender, AbstractOwn
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

# A power of two scales a gradient without rounding it, and one this large leaves little of the weight it is taken from.
_LARGE = 1024.0


@final
class Keras(AbstractOwn):
    """`backend: keras`: the whole sequence with a gradient of its own, as `keras: {path: auto}` chooses."""

    def _make(self) -> AbstractBackend:
        return KerasBackend(engine=self.engine)

    def devices(self) -> list[str]:
        return list(self._backend.facts(self.work.network())["devices"])

    def kernels(self) -> str:
        return ", ".join(name for name in self.devices() if "cpu" not in name.lower())

    def tensor(self, matrix: Array) -> Any:
        return keras.ops.convert_to_tensor(matrix)


@final
class Fit(AbstractContender):
    """Keras's own layer, or `RNN` of the cell, under `model.fit`: Keras's loop, gradient, optimiser and clipping."""

    calls = 16  # batches per epoch: each epoch of `fit` has a cost of its own, which users pay too

    def __init__(self, work: Work, *, engine: str, threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        batch, layers = work.batch(), work.cell.layers
        self._x, self._y = np.tile(batch.inputs, (self.calls, 1, 1)), np.tile(batch.targets, (self.calls, 1))
        stack = [keras.Input(batch.inputs.shape[1:]), *(self._layer(n < layers - 1) for n in range(layers))]
        self._model = keras.Sequential([*stack, keras.layers.Dense(1)])
        self._model.set_weights(keras_weights(work.network(), work.parameters()))
        self._compile(keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, epsilon=EPSILON, global_clipnorm=CLIP_NORM))

    def step(self) -> None:
        self._fit(self._x, self._y)

    def figures(self) -> Figures:
        """Return them from what `fit` itself does to the weights in one step of plain gradient descent."""
        weights, size = self._model.get_weights(), self.work.shape.batch_size
        self._compile(keras.optimizers.SGD(_LARGE))
        loss = self._fit(self._x[:size], self._y[:size]).history["loss"][0]
        moved = zip(weights, self._model.get_weights(), strict=True)
        return Figures(loss, gradients_of(self.work.network(), [(before - after) / _LARGE for before, after in moved]))

    def tensor(self, matrix: Array) -> Any:
        return keras.ops.convert_to_tensor(matrix)

    def _fit(self, x: Array, y: Array) -> Any:
        return self._model.fit(x, y, batch_size=self.work.shape.batch_size, shuffle=False, verbose=0)

    def _compile(self, optimizer: Any) -> None:
        self._model.compile(optimizer=optimizer, loss="mse")

    def _layer(self, return_sequences: bool) -> Any:
        network = self.work.network()
        return recurrent_layer(network.cell, network.precision, return_sequences=return_sequences, return_state=False)
