"""Keras's own optimisers, with their slots as the named flat vectors that every backend stores."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import keras
import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Training
from rnnlab.backends.keras.engines.base import AbstractEngine

Array = NDArray[Any]
Tensor = Any
ops = keras.ops
_CLASSES = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}


class _HeldRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of the next update, at full precision; an optimiser's own variable rounds it to float32."""

    def __init__(self, dtype: str) -> None:
        self.rate = keras.Variable(0.0, dtype=dtype, trainable=False)

    def __call__(self, step: Any) -> Any:
        return self.rate.value

    def get_config(self) -> dict[str, Any]:
        return {"dtype": self.rate.dtype}


@final
class KerasOptimizer:
    """A Keras optimiser and its state.

    Attributes:
        trained: The variables that it updates.
        rate: A variable, the learning rate of the next update.

    Args:
        engine: What Keras runs on.
        training: The update rule and the clipping.
        variables: What it updates, in the order of the network's parameters.
        dtype: Of the variables.
    """

    def __init__(
        self, engine: AbstractEngine, training: Training, variables: Sequence[Any], *, dtype: np.dtype[Any]
    ) -> None:
        self._engine, self._training, rule = engine, training, training.optimizer
        numbers = rule.options.model_dump(exclude={"type", "learning_rate"})
        held = _HeldRate(dtype.name)
        if dtype == np.float64:  # beside which Keras rounds a Python float to float32; some of its checks want one
            numbers = {
                name: np.float64(value) if isinstance(value, float) else value for name, value in numbers.items()
            }
        self.optimizer = getattr(keras.optimizers, _CLASSES[rule.name])(learning_rate=held, **numbers)
        self.optimizer.build(variables)
        self._names = rule.slot_names()
        self.trained, self.rate = list(variables), held.rate

    @property
    def slots(self) -> list[Any]:
        """The optimiser's own variables."""
        return list(self.optimizer.variables)

    def clipped(self, gradients: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the clipped gradients, and their global norm before that; of finite gradients it is finite."""
        norm = _global_norm(gradients)
        bound, value = self._training.clip_norm, self._training.clip_value
        clipped = list(gradients)
        if bound is not None:
            clipped = [gradient * (bound / ops.maximum(norm, bound)) for gradient in clipped]
        if value is not None:
            clipped = [ops.clip(gradient, -value, value) for gradient in clipped]
        return clipped, norm

    def apply(self, gradients: Sequence[Tensor]) -> None:
        """Do one update at the rate that `rate` holds."""
        self.optimizer.apply(gradients, self.trained)

    @property
    def step(self) -> int:
        """The number of updates done."""
        return int(self._engine.array(self.optimizer.iterations.value))

    def arrays(self) -> dict[str, Array]:
        """Return `step` and one flat vector for each slot."""
        step = np.array([self.step], np.int64)
        return {"step": step} | {
            name: np.concatenate([np.ravel(self._engine.array(part.value)) for part in self._parts(name)])
            for name in self._names
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


def _global_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together, taken of g/max|g| because the squares of g may overflow."""
    largest = ops.max(ops.stack([ops.max(ops.abs(gradient)) for gradient in gradients]))
    scale = ops.where(largest > 0, largest, ops.ones_like(largest))
    return scale * ops.sqrt(sum(ops.sum(ops.square(gradient / scale)) for gradient in gradients))
