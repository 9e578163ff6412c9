"""A network on Keras, trained by Keras's own optimiser."""

import math
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np

from rnnlab.backends.base import AbstractModel, Network, Prediction, StepResult, Training
from rnnlab.backends.keras import Way
from rnnlab.backends.keras.engines.base import AbstractEngine, Array
from rnnlab.backends.keras.functions import NetworkFunctions
from rnnlab.backends.keras.optimizer import KerasOptimizer
from rnnlab.core.batch import Batch, checked_inputs

_PREDICT_STEPS = 256  # predictions run in stretches of this many steps, so that their memory does not grow with T
_PREDICT_ROWS = 64  # larger batches are filled up to a multiple: those of a validation set then have one shape


@final
class KerasModel(AbstractModel):
    """Recurrent layers and a head, updated by Keras's own optimiser by the gradient of Keras's own loss."""

    def __init__(
        self,
        network: Network,
        training: Training | None,
        *,
        parameters: Mapping[str, Array],
        engine: AbstractEngine,
        way: Way,
    ) -> None:
        super().__init__(network, training)
        self._engine = engine
        bptt_steps = training.bptt_steps if training else None
        self._functions = NetworkFunctions(network, engine=engine, way=way, bptt_steps=bptt_steps)
        self._variables = self._functions.variables
        self._assign(parameters)
        variables = list(self._variables.values())
        self._gradients = engine.compile_gradients(self._functions.loss, xla=way.xla)
        # Without XLA, whose compiling takes longer than it saves on the few predictions of a training.
        self._record: Callable[..., Any] = engine.compile_function(self._functions.states, xla=False)
        self._stretch: Callable[..., Any] = engine.compile_function(self._functions.stretch, xla=False)
        self._optimizer = KerasOptimizer(engine.array, training, variables, dtype=network.dtype) if training else None
        self._updates = 0  # the optimiser's own count; to ask a device for it takes a tenth of a small step
        if self._optimizer:
            width = network.cell.options.units * network.cell.options.layers
            self._step = engine.compile_step(self._functions.loss, self._optimizer, width=width, xla=way.xla)

    def _train_once(self, batch: Batch, meanwhile: Callable[[], None]) -> StepResult:
        if self.training is None or self._optimizer is None:
            raise RuntimeError("this model was built without `training`")
        meanwhile()
        rate = self.training.learning_rate * self.training.schedule.factor(self._updates)
        loss, outputs, norm = self._step(self._arrays(batch), rate)
        self._updates += math.isfinite(loss) and math.isfinite(norm)  # as the engine does
        loss = self._mean(loss, batch)
        return StepResult(loss=loss, outputs=self._scored(outputs, batch), gradient_norm=norm, learning_rate=rate)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        loss, _, gradients = self._gradients(self._values(), [self._engine.tensor(a) for a in self._arrays(batch)])
        arrays = [self._engine.array(gradient) for gradient in gradients]
        return self._mean(loss, batch), dict(zip(self._variables, arrays, strict=True))

    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        inputs = checked_inputs(inputs, self.network.input_features)
        batch_size, timesteps, _ = inputs.shape
        ends = np.full(batch_size, timesteps) if lengths is None else lengths
        rows = batch_size + -batch_size % (_PREDICT_ROWS if batch_size > _PREDICT_ROWS else 1)
        kept, state, values = [], self._functions.initial_state(rows), self._values()
        for start in range(0, timesteps, _PREDICT_STEPS):
            x = np.zeros((rows, min(_PREDICT_STEPS, timesteps - start), inputs.shape[2]), self.network.dtype)
            x[:batch_size] = inputs[:, start : start + _PREDICT_STEPS]
            y, state = self._stretch(values, self._engine.tensor(x), state)
            kept.append(self._engine.array(y)[:batch_size])
        outputs = np.concatenate(kept, axis=1)  # (B, T, O)
        if not self.network.return_sequences:
            outputs = outputs[np.arange(batch_size), ends - 1]
        return Prediction(outputs, self._states(inputs) if states else {})

    def parameters(self) -> dict[str, Array]:
        return {name: self._engine.array(variable.value).copy() for name, variable in self._variables.items()}

    def state_dict(self) -> dict[str, Array]:
        slots = self._optimizer.arrays() if self._optimizer else {}
        parameters = {f"parameters/{name}": array for name, array in self.parameters().items()}
        return parameters | {f"optimizer/{name}": array for name, array in slots.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self._assign({name: state[f"parameters/{name}"] for name in self._variables})
        if self._optimizer:
            found = {name.removeprefix("optimizer/"): array for name, array in state.items()}
            self._optimizer.load(found)
            self._updates = self._optimizer.step

    def _arrays(self, batch: Batch) -> list[Array]:
        """Return what `NetworkFunctions.loss` takes, each sequence padded to the longest that a training can meet.

        One shape for all batches: an engine compiles a step anew for every shape it meets.
        """
        timesteps = batch.inputs.shape[1]
        padding = max(0, ((self.training and self.training.longest) or timesteps) - timesteps)
        divisor, dtype = self._divisor(batch), self.network.dtype
        inputs = _padded(batch.inputs.astype(dtype, copy=False), padding)
        kind = "int32" if self.network.loss_function.integer_targets else dtype
        targets = batch.targets.astype(kind)
        lengths = batch.lengths.astype("int32")
        has_ends = (lengths != inputs.shape[1]).any()
        if self.network.return_sequences:
            arrays = [inputs, _padded(targets, padding), _padded(batch.mask / dtype.type(divisor), padding)]
            has_ends &= self.training is not None and self.training.bptt_steps is not None
        else:
            arrays = [inputs, targets, np.full(batch.size, 1 / divisor, dtype)]
        return [*arrays, lengths] if has_ends else arrays

    def _divisor(self, batch: Batch) -> int:
        sums_steps = self.training is not None and self.training.sums_steps
        return batch.size if sums_steps else int(np.count_nonzero(batch.mask))

    def _mean(self, loss: Any, batch: Batch) -> float:
        """Return the mean over the scored steps, of what `NetworkFunctions.loss` returns."""
        return float(loss) * (self._divisor(batch) / np.count_nonzero(batch.mask))

    def _scored(self, outputs: Array, batch: Batch) -> Array:
        if not self.network.return_sequences:
            return outputs
        return np.where(batch.mask[:, :, None], outputs[:, : batch.mask.shape[1]], 0)

    def _states(self, inputs: Array) -> dict[str, Array]:
        """Return every state after every step, (B, T, size)."""
        states = self._record(self._values(), self._engine.tensor(inputs.astype(self.network.dtype)))
        return {
            f"layers.{number}.{name}": self._engine.array(array).swapaxes(0, 1)
            for number, of_layer in enumerate(states)
            for name, array in zip(self.network.cell.state_sizes(), of_layer, strict=True)
        }

    def _values(self) -> list[Any]:
        return [variable.value for variable in self._variables.values()]

    def _assign(self, parameters: Mapping[str, Array]) -> None:
        for name, variable in self._variables.items():
            variable.assign(parameters[name])


def _padded(array: Array, steps: int) -> Array:
    """Return a (B, T, …) array with this many zero steps after its own."""
    return np.pad(array, [(0, 0), (0, steps)] + [(0, 0)] * (array.ndim - 2)) if steps else array
