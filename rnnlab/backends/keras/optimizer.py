"""Keras's own optimisers, with their slots as the named flat vectors that every backend stores."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnlab.optim.rules.base import AbstractOptimizer

Array = NDArray[Any]
_CLASSES = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}


class _HeldRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of the next update, at full precision; an optimiser's own variable rounds it to float32."""

    def __init__(self, dtype: str) -> None:
        self.rate = keras.Variable(0.0, dtype=dtype, trainable=False)

    def __call__(self, step: Any) -> Any:
        return self.rate.value

    def get_config(self) -> dict[str, Any]:
        return {"dtype": self.rate.dtype}


class Slots:
    """A Keras optimiser and its state.

    Args:
        rule: The update rule, configured.
        variables: What it updates, in the order of the network's parameters.
        dtype: Of the variables.
    """

    def __init__(self, rule: AbstractOptimizer[Any], variables: Sequence[Any], dtype: np.dtype[Any]) -> None:
        numbers = rule.options.model_dump(exclude={"type", "learning_rate"})
        self.held = _HeldRate(dtype.name)
        # Keras rounds a Python float to float32, also beside float64 variables.
        exact = {name: dtype.type(value) if isinstance(value, float) else value for name, value in numbers.items()}
        self.optimizer = getattr(keras.optimizers, _CLASSES[rule.name])(learning_rate=self.held, **exact)
        self.optimizer.build(variables)
        self._names = rule.slot_names()
        self._variables = variables

    def update(self, gradients: Sequence[Any], rate: Any) -> None:
        """Do one update of the variables at this rate."""
        self.held.rate.assign(rate)
        self.optimizer.apply(gradients, self._variables)

    @property
    def step(self) -> int:
        """The number of updates done."""
        return int(self.optimizer.iterations.numpy())

    def arrays(self) -> dict[str, Array]:
        """Return `step` and one flat vector for each slot."""
        step = np.array([self.step], np.int64)
        return {"step": step} | {
            name: np.concatenate([np.ravel(part.numpy()) for part in self._parts(name)]) for name in self._names
        }

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take back what `arrays` gave, here or on another backend."""
        self.optimizer.iterations.assign(int(arrays["step"][0]))
        for name in self._names:
            start = 0
            for part in self._parts(name):
                size = int(np.prod(part.shape))
                part.assign(arrays[name][start : start + size].reshape(part.shape))
                start += size

    def _parts(self, name: str) -> list[Any]:
        return [variable for variable in self.optimizer.variables if variable.path.endswith(f"_{name}")]
