"""A network as a Keras model on TensorFlow: the same parameters, batches and numbers as on NumPy."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnlab.backends.base import AbstractModel, Network, Prediction, StepResult, Training
from rnnlab.backends.keras.build import head_layer, loss_of, recording_layer, recurrent_layer
from rnnlab.backends.keras.optimizer import Slots
from rnnlab.core.batch import Batch

Array = NDArray[Any]
Tensor = Any
_PREDICT_STEPS = 256  # predictions run in stretches of this many steps, so that their memory does not grow with T


class KerasModel(AbstractModel):
    """Stock Keras layers under one `keras.Model`, trained by its own optimiser on the gradient of its own loss.

    Attributes:
        model: The `keras.Model`: (B, T, I) to the raw outputs of every step (B, T, O).
    """

    def __init__(self, network: Network, training: Training | None, *, parameters: Mapping[str, Array]) -> None:
        super().__init__(network, training)
        self._layers = [recurrent_layer(network.cell, network.precision) for _ in range(network.cell.options.layers)]
        self._head, self._loss = head_layer(network), loss_of(network)
        inputs = keras.Input((None, network.input_features), dtype=network.precision)
        x = inputs
        for layer in self._layers:
            x = layer(x)[0]
        self.model = keras.Model(inputs, self._head(x))
        variables = [variable for layer in [*self._layers, self._head] for variable in layer.weights]
        self._variables = dict(zip(network.parameters(), variables, strict=True))
        self._assign(parameters)
        self._slots = Slots(training.optimizer, variables, network.dtype) if training else None
        self._update: Callable[..., Any] = tf.function(self._update_eagerly, reduce_retracing=True)
        self._gradients: Callable[..., Any] = tf.function(self._gradients_eagerly, reduce_retracing=True)
        self._stretch: Callable[..., Any] = tf.function(self._stretch_eagerly, reduce_retracing=True)

    def train_step(self, batch: Batch) -> StepResult:
        if self.training is None or self._slots is None:
            raise RuntimeError("this model was built without `training`")
        training = self.training
        rate = training.learning_rate * training.schedule.factor(self._slots.step)
        loss, outputs, norm = self._update(*self._tensors(batch), tf.constant(rate, self.network.precision))
        return StepResult(
            loss=float(loss),
            outputs=self._spread(outputs.numpy(), batch),
            gradient_norm=float(norm),
            learning_rate=rate,
        )

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        loss, _, gradients = self._gradients(*self._tensors(batch))
        return float(loss), {name: value.numpy() for name, value in zip(self._variables, gradients, strict=True)}

    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        batch_size, timesteps, _ = inputs.shape
        ends = np.full(batch_size, timesteps) if lengths is None else lengths
        kept, state = [], self._initial_state(batch_size)
        for start in range(0, timesteps, _PREDICT_STEPS):
            x = tf.constant(inputs[:, start : start + _PREDICT_STEPS], self.network.precision)
            h, state = self._stretch(x, state)
            kept.append(self._head(h).numpy())
        outputs = np.concatenate(kept, axis=1)  # (B, T, O)
        if not self.network.return_sequences:
            outputs = outputs[np.arange(batch_size), ends - 1]
        return Prediction(outputs, self._states(inputs) if states else {})

    def parameters(self) -> dict[str, Array]:
        return {name: variable.numpy().copy() for name, variable in self._variables.items()}

    def state_dict(self) -> dict[str, Array]:
        slots = self._slots.arrays() if self._slots else {}
        parameters = {f"parameters/{name}": array for name, array in self.parameters().items()}
        return parameters | {f"optimizer/{name}": array for name, array in slots.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self._assign({name: state[f"parameters/{name}"] for name in self._variables})
        if self._slots:
            found = {name.removeprefix("optimizer/"): array for name, array in state.items()}
            self._slots.load(found)

    def _update_eagerly(self, inputs: Tensor, places: Tensor, targets: Tensor, rate: Tensor) -> tuple[Tensor, ...]:
        loss, outputs, gradients = self._gradients_eagerly(inputs, places, targets)
        assert self.training is not None
        assert self._slots is not None
        norm = tf.linalg.global_norm(gradients)
        training = self.training
        clipped = gradients
        if training.clip_norm is not None:
            clipped, _ = tf.clip_by_global_norm(clipped, training.clip_norm, use_norm=norm)
        if training.clip_value is not None:
            clipped = [tf.clip_by_value(g, -training.clip_value, training.clip_value) for g in clipped]
        if tf.math.is_finite(loss) and tf.math.is_finite(norm):  # else the weights stay those of the last good step
            self._slots.update(clipped, rate)
        return loss, outputs, norm

    def _gradients_eagerly(self, inputs: Tensor, places: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Any]:
        variables = [variable.value for variable in self._variables.values()]
        with tf.GradientTape() as tape:
            outputs = self._head(tf.gather_nd(self._features(inputs), places))  # (N, O)
            loss = self._loss(targets, outputs)
        return loss, outputs, tape.gradient(loss, variables)

    def _features(self, inputs: Tensor) -> Tensor:
        """Return the last layer's outputs (B, T, H); the gradient is cut where truncated back-propagation cuts it."""
        timesteps = inputs.shape[1]
        stretch = (self.training.bptt_steps if self.training else None) or timesteps
        parts, state = [], self._initial_state(tf.shape(inputs)[0])
        for start in range(0, timesteps, stretch):
            h, state = self._stretch_eagerly(inputs[:, start : start + stretch], state)
            state = [[tf.stop_gradient(array) for array in arrays] for arrays in state]
            parts.append(h)
        return tf.concat(parts, axis=1)

    def _stretch_eagerly(self, x: Tensor, state: list[list[Tensor]]) -> tuple[Tensor, list[list[Tensor]]]:
        after = []
        for layer, before in zip(self._layers, state, strict=True):
            x, *final = layer(x, initial_state=before)
            after.append(final)
        return x, after

    def _states(self, inputs: Array) -> dict[str, Array]:
        """Return every state after every step, (B, T, H), from layers that record them."""
        cell = self.network.cell
        seen: dict[str, Array] = {}
        x = tf.constant(inputs, self.network.precision)
        for number, layer in enumerate(self._layers):
            recorder = recording_layer(cell, self.network.precision)
            recorder.build(x.shape)
            recorder.set_weights(layer.get_weights())
            x, *states = tf.split(recorder(x), 1 + len(cell.states), axis=-1)
            seen |= {f"layers.{number}.{name}": array.numpy() for name, array in zip(cell.states, states, strict=True)}
        return seen

    def _tensors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs (B, T, I), the places (row, step) of the N scored steps, and their targets."""
        places = np.argwhere(batch.mask)  # row by row
        targets = batch.targets[batch.mask] if self.network.return_sequences else batch.targets[places[:, 0]]
        dtype = "int32" if self.network.loss_function.integer_targets else self.network.precision
        return (
            tf.constant(batch.inputs, self.network.precision),
            tf.constant(places, tf.int32),
            tf.constant(targets.astype(dtype)),
        )

    def _spread(self, rows: Array, batch: Batch) -> Array:
        if not self.network.return_sequences:
            return rows
        outputs = np.zeros((*batch.mask.shape, rows.shape[-1]), rows.dtype)
        outputs[batch.mask] = rows
        return outputs

    def _initial_state(self, batch_size: Any) -> list[list[Tensor]]:
        shape = (batch_size, self.network.cell.options.units)
        return [[tf.zeros(shape, self.network.precision) for _ in self.network.cell.states] for _ in self._layers]

    def _assign(self, parameters: Mapping[str, Array]) -> None:
        for name, variable in self._variables.items():
            variable.assign(parameters[name])
