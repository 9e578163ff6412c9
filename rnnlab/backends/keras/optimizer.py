"""Keras's own optimisers, with their slots as the named flat vectors that every backend stores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras
import numpy as np

from rnnlab.backends.base import Training
from rnnlab.core.batch import Array
from rnnlab.core.errors import UsageError
from rnnlab.optim.rules.base import AbstractOptimizer

Tensor = Any
ops = keras.ops


class _ExactRate(keras.optimizers.schedules.LearningRateSchedule):
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

    It updates all parameters as one flat vector: a dozen operations, where one for each parameter takes longer to
    trace than the rest of a training step does. Weight decay is done here, by Keras's formula: of a part of a vector it
    cannot be done there.

    Attributes:
        trained: The variables that it updates.
        rate: A variable, the learning rate of the next update.

    Args:
        array: Returns a tensor of the engine as an array.
        variables: What it updates, in the order of the network's parameters.

    Raises:
        UsageError: The update rule has no counterpart in Keras.
    """

    def __init__(
        self, array: Callable[[Tensor], Array], training: Training, variables: Sequence[Any], *, dtype: np.dtype[Any]
    ) -> None:
        self._array, self._training, rule = array, training, training.optimizer
        rate = _ExactRate(dtype.name)
        self.optimizer = _counterpart(rule, rate, dtype)
        decay, self.optimizer.weight_decay = self.optimizer.weight_decay, None
        shares = [np.full(np.prod(one.shape, dtype=int), (decay or 0) * (len(one.shape) > 1)) for one in variables]
        self._decay = ops.convert_to_tensor(np.concatenate(shares).astype(dtype)) if decay else None
        self._names = rule.slot_names()
        self.trained, self.rate = list(variables), rate.rate
        self._flat = keras.Variable(self._values(), dtype=dtype.name)  # the values of all variables, side by side
        self.optimizer.build([self._flat])
        if missing := [name for name in self._names if self._slot(name) is None]:
            raise _refusal(rule, f"Keras's {rule.keras_name} has no variable {missing[0]!r}, a slot of this rule")

    @property
    def changing(self) -> list[Any]:
        """The variables that an update changes: `trained`, the optimiser's own, and all values as one vector."""
        return [*self.trained, *self.optimizer.variables, self._flat]

    def clipped(self, gradients: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the clipped gradients as one vector, and its norm before that; of finite gradients it is finite."""
        gradient = _joined(gradients)
        norm, bound, value = _norm(gradient), self._training.clip_norm, self._training.clip_value
        if bound is not None:
            gradient = gradient * (bound / ops.maximum(norm, bound))
        if value is not None:
            gradient = ops.clip(gradient, -value, value)
        return [gradient], norm

    def apply(self, gradients: Sequence[Tensor]) -> None:
        """Do one update by what `clipped` returned, at the rate in `rate`."""
        if self._decay is not None:
            self._flat.assign(self._flat.value - self._flat.value * self._decay * self.rate.value)
        self.optimizer.apply(gradients, [self._flat])
        ends = np.cumsum([np.prod(variable.shape, dtype=int) for variable in self.trained])[:-1].tolist()
        for variable, part in zip(self.trained, ops.split(self._flat.value, ends), strict=True):
            variable.assign(ops.reshape(part, variable.shape) if len(variable.shape) > 1 else part)

    @property
    def step(self) -> int:
        """The number of updates done."""
        return int(self._array(self.optimizer.iterations.value))

    def arrays(self) -> dict[str, Array]:
        """Return `step` and one flat vector for each slot."""
        step = np.array([self.step], np.int64)
        return {"step": step} | {name: self._array(self._slot(name).value).copy() for name in self._names}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take back what `arrays` returned, here or on another backend; the parameters must be loaded before."""
        self._flat.assign(self._values())
        self.optimizer.iterations.assign(int(arrays["step"][0]))
        for name in self._names:
            self._slot(name).assign(arrays[name])

    def _values(self) -> Array:
        return np.concatenate([np.ravel(self._array(variable.value)) for variable in self.trained])

    def _slot(self, name: str) -> Any:
        return next((one for one in self.optimizer.variables if one.path.endswith(f"_{name}")), None)


def _counterpart(rule: AbstractOptimizer[Any], rate: _ExactRate, dtype: np.dtype[Any]) -> Any:
    """Return the Keras optimiser of the same equation, with the same options."""
    kind = getattr(keras.optimizers, rule.keras_name or "", None)
    if kind is None:
        raise _refusal(rule, "it names no optimizer of keras.optimizers as `keras_name`")
    numbers = rule.options.model_dump(exclude={"type", "learning_rate"})
    if dtype == np.float64:  # beside which Keras rounds a Python float to float32; some of its checks want one
        numbers = {name: np.float64(value) if isinstance(value, float) else value for name, value in numbers.items()}
    try:
        return kind(learning_rate=rate, **numbers)
    except (TypeError, ValueError) as error:
        raise _refusal(rule, f"Keras's {rule.keras_name} does not take its options: {error}") from error


def _refusal(rule: AbstractOptimizer[Any], why: str) -> UsageError:
    problem = f"the optimizer {rule.name!r} cannot run on Keras: {why}"
    return UsageError(problem, where="training.optimizer", hint="set backend: numpy, or choose another optimizer")


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Return tensors of any shape as one vector, (P,)."""
    return ops.concatenate([ops.reshape(part, (-1,)) if len(part.shape) > 1 else part for part in parts])


def _norm(gradient: Tensor) -> Tensor:
    """Return the Euclidean norm, taken of g/max|g| because the squares of g may overflow."""
    largest = ops.max(ops.abs(gradient))
    scale = ops.where(largest > 0, largest, ops.ones_like(largest))
    return scale * ops.sqrt(ops.sum(ops.square(gradient / scale)))
