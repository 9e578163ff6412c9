"""Stock Keras: `SimpleRNN`, or `keras.layers.RNN(CarryCell)`, under `model.fit`, on each of its engines."""

from collections.abc import Callable
from typing import Any, final

import numpy as np

from rnnlab.backends.keras.engines import ENGINES
from rnnlab.bench.checking import Figures
from rnnlab.bench.contenders._keras import product
from rnnlab.bench.contenders.base import AbstractContender, Array, knows
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Work
from rnnlab.core import activations

# A power of two scales a gradient without rounding it, and one this large leaves little of the weight it is taken from.
_LARGE = 1024.0


@final
class Fit(AbstractContender):
    """A `keras.Sequential` as its documentation would write it: Keras's loop, gradient, optimiser and clipping."""

    framework = "keras"
    packages = ("keras",)
    install = "pip install keras"
    engines = tuple(ENGINES.names())
    calls = 16  # batches an epoch: `fit` has a price of its own at each epoch, and a user pays it

    @classmethod
    def suits(cls, work: Work) -> bool:
        return knows(work, frozenset(activations.names()))

    def build(self) -> None:
        from rnnlab.backends.keras.engines import start

        start(self.engine)
        import keras

        batch, size = self.work.batch(), self.work.shape.batch_size
        self._x, self._y = np.tile(batch.inputs, (self.calls, 1, 1)), np.tile(batch.targets, (self.calls, 1))
        self._size, self._model = size, keras.Sequential([keras.Input(batch.inputs.shape[1:]), *self._layers()])
        self._model.set_weights(list(self.work.parameters().values()))
        self._compile(keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, epsilon=EPSILON, global_clipnorm=CLIP_NORM))

    def step(self) -> None:
        self._model.fit(self._x, self._y, batch_size=self._size, shuffle=False, verbose=0)

    def figures(self) -> Figures:
        """Return them from what `fit` itself does to the weights in one step of plain gradient descent."""
        import keras

        self._compile(keras.optimizers.SGD(_LARGE))
        x, y = self._x[: self._size], self._y[: self._size]
        history = self._model.fit(x, y, batch_size=self._size, shuffle=False, verbose=0).history
        moved = zip(self.work.parameters().items(), self._model.get_weights(), strict=True)
        return Figures(history["loss"][0], {name: (before - after) / _LARGE for (name, before), after in moved})

    def product(self, matrix: Array) -> Callable[[], object]:
        return product(matrix)

    def _compile(self, optimizer: Any) -> None:
        self._model.compile(optimizer=optimizer, loss="mse")

    def _layers(self) -> list[Any]:
        import keras

        last = self.work.cell.layers - 1
        return [*(self._layer(n < last) for n in range(last + 1)), keras.layers.Dense(1)]

    def _layer(self, return_sequences: bool) -> Any:
        import keras

        options = self.work.cell
        if options.type == "simple":
            return keras.layers.SimpleRNN(
                options.units, activation=options.activation, return_sequences=return_sequences
            )
        from rnnlab.backends.keras import CarryCell

        gates = options.model_dump(include={"units", "activation", "recurrent_activation"})
        return keras.layers.RNN(CarryCell(**gates), return_sequences=return_sequences)


CONTENDER = Fit
