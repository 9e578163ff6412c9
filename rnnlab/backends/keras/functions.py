"""A network as functions of its parameters that an engine compiles: its layers, its loss and its predictions."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, final

import keras

from rnnlab.backends.base import Network
from rnnlab.backends.keras import Way
from rnnlab.backends.keras.derived.layer import DerivedLayer
from rnnlab.backends.keras.derived.packs import Namespace
from rnnlab.backends.keras.engines.base import AbstractEngine, Tensor
from rnnlab.backends.keras.stock import keras_weights, recurrent_layer

States = list[list[Tensor]]
ops = keras.ops


@final
class NetworkFunctions:
    """The layers of a network, its loss and its predictions; the parameters are arguments of each."""

    def __init__(self, network: Network, *, engine: AbstractEngine, way: Way, bptt_steps: int | None) -> None:
        self.network, self.bptt_steps, self._engine = network, bptt_steps, engine
        cell, precision = network.cell, network.precision
        features = [network.input_features] + [cell.options.units] * (cell.options.layers - 1)
        self._head, self._loss = head_layers(network), loss_of(network)
        for dense, count in zip(self._head, (cell.options.units, network.input_features), strict=False):
            dense.build((None, count))
        self._derived, self._layers = list[DerivedLayer](), list[Any]()
        if way.path == "derived":
            self._derived = [DerivedLayer(engine, cell, input_features=count) for count in features]
        else:
            self._layers = [recurrent_layer(cell, precision, unroll=way.path == "unrolled") for _ in features]
            for layer, count in zip(self._layers, features, strict=True):
                layer.build((None, None, count))
        self._names = list(network.parameters())

    def loss(self, values: Sequence[Tensor], arrays: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return Σ weight · loss over the scored steps, and the raw outputs.

        Args:
            values: Of the parameters, in their order.
            arrays: Inputs (B, T, I), targets and weights of (B,) or, for sequences, of (B, T) steps; then, where it
                matters that some sequences of a batch end before the others, the steps of each, (B,).
        """
        inputs, targets, weights, *given = arrays
        lengths = given[0] if given else None
        every_step = self.network.return_sequences or lengths is not None
        state = self.initial_state(inputs.shape[0])
        with self._scope(values):
            features, _ = self._features(values, inputs, state, every_step=every_step, lengths=lengths)
            if lengths is not None and not self.network.return_sequences:
                index = ops.expand_dims(ops.expand_dims(lengths - 1, -1), -1)
                features = ops.squeeze(ops.take_along_axis(features, index, axis=1), axis=1)  # (B, H)
            shown = inputs
            if self.network.output.inputs and not self.network.return_sequences:
                shown = inputs[:, -1]
                if lengths is not None:
                    shown = ops.squeeze(ops.take_along_axis(inputs, index, axis=1), axis=1)  # (B, I)
            outputs = self._outputs(features, shown)
            return ops.sum(self._loss.call(targets, outputs) * weights), outputs

    def stretch(self, values: Sequence[Tensor], inputs: Tensor, state: States) -> tuple[Tensor, States]:
        """Return the raw outputs (B, T, O) of some steps, and the state after them."""
        with self._scope(values):
            features, after = self._features(values, inputs, state, every_step=True)
            return self._outputs(features, inputs), after

    def states(self, values: Sequence[Tensor], inputs: Tensor) -> list[list[Tensor]]:
        """Return for each layer its states after every step, (T, B, size) each: by the cell's own equation."""
        cell, x, seen = self.network.cell, ops.transpose(inputs, (1, 0, 2)), []
        xp, sizes = Namespace(inputs.dtype), cell.state_sizes()
        named = dict(zip(self._names, values, strict=True))
        for number, before in enumerate(self.initial_state(inputs.shape[0])):
            prefix = f"layers.{number}."
            own = {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}

            def step(flowing: list[Tensor], at: list[Tensor], own: Any = own) -> tuple[list[Tensor], list[Tensor]]:
                taken = cell.step(xp, own, at[0], dict(zip(sizes, flowing, strict=True)))
                after = [taken.state[name] for name in sizes]
                return after, [taken.output, *after]

            widths = [cell.options.units, *sizes.values()]
            _, (x, *states) = self._engine.scan(step, before, [x], widths=widths)
            seen.append(states)
        return seen

    def _outputs(self, features: Tensor, inputs: Tensor) -> Tensor:
        first, *rest = (dense(x) for dense, x in zip(self._head, (features, inputs), strict=False))
        return first + rest[0] if rest else first

    def initial_state(self, batch_size: int) -> States:
        """Return zeros, (B, size) for each array of each layer's state."""
        cell, precision = self.network.cell, self.network.precision
        return [list(cell.initial_state(ops, batch_size, precision).values()) for _ in range(cell.options.layers)]

    def _features(
        self,
        values: Sequence[Tensor],
        inputs: Tensor,
        state: States,
        *,
        every_step: bool,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, States]:
        """Return the last layer's outputs, (B, T, H) or the last step's (B, H), and the states after."""
        if not self._derived:
            return self._through_layers(inputs, state, every_step=every_step, lengths=lengths)
        x, after, start, flows = ops.transpose(inputs, (1, 0, 2)), [], 0, self._flows(inputs, lengths)
        for number, (layer, before) in enumerate(zip(self._derived, state, strict=True)):
            own = values[start : start + len(layer.names)]
            start += len(layer.names)
            is_last = number == len(self._derived) - 1
            x, final_state = layer(own, x, before, every_step=every_step or not is_last, flows=flows)
            after.append(final_state)
        return (ops.transpose(x, (1, 0, 2)) if every_step else x), after

    def _flows(self, inputs: Tensor, lengths: Tensor | None) -> Tensor | None:
        """Return of each step 0 where its gradient is cut, at multiples of a window before the end: (T, B or 1, 1)."""
        timesteps = inputs.shape[1]
        if self.bptt_steps is None or self.bptt_steps >= timesteps:
            return None
        ends = ops.convert_to_tensor([timesteps], "int32") if lengths is None else lengths
        left = ops.expand_dims(ends, 0) - ops.expand_dims(ops.arange(timesteps, dtype="int32"), 1)  # (T, B)
        return ops.expand_dims(ops.cast(ops.mod(left, self.bptt_steps) != 0, inputs.dtype), -1)

    def _through_layers(
        self, inputs: Tensor, state: States, *, every_step: bool, lengths: Tensor | None
    ) -> tuple[Tensor, States]:
        """The same by the layers themselves; the gradient is cut where truncated back-propagation cuts it."""
        timesteps = inputs.shape[1]
        window = min(self.bptt_steps or timesteps, timesteps)
        is_shifted = lengths is not None and window < timesteps
        mask = None
        if is_shifted:  # so that all sequences end at the last step, and one cut is one for all
            late = ops.expand_dims(timesteps - lengths, 1)  # (B, 1)
            steps = ops.expand_dims(ops.arange(timesteps, dtype="int32"), 0)  # (1, T)
            mask = steps >= late
            inputs = _along_time(inputs, ops.mod(steps - late, timesteps))
        parts, starts = [], [0, *range(timesteps % window or window, timesteps, window)]
        for start, stop in pairwise([*starts, timesteps]):
            x, after = inputs[:, start:stop], []
            for layer, before in zip(self._layers, state, strict=True):
                x, *final_state = layer(x, initial_state=before, mask=None if mask is None else mask[:, start:stop])
                after.append([ops.stop_gradient(array) for array in final_state])
            state = after
            parts.append(x)
        whole = ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        whole = _along_time(whole, ops.mod(steps + late, timesteps)) if is_shifted else whole
        return (whole if every_step else whole[:, -1]), state

    def _scope(self, values: Sequence[Tensor]) -> Any:
        """Return the scope in which the Keras layers compute with these values."""
        weights = [variable for layer in [*self._layers, *self._head] for variable in layer.weights]
        named = dict(zip(self._names, values, strict=True))
        given = keras_weights(self.network, named, only_head=not self._layers)
        return keras.StatelessScope(state_mapping=list(zip(weights, given, strict=True)))


def head_layers(network: Network) -> list[Any]:
    """Return the parts of the output layer, whose results are added: of the last layer's outputs, of the inputs."""
    has_bias = {"head": network.output.bias} | ({"head_inputs": False} if network.output.inputs else {})
    return [
        keras.layers.Dense(network.output_features, use_bias=use_bias, dtype=network.precision, name=name)
        for name, use_bias in has_bias.items()
    ]


def loss_of(network: Network) -> Any:
    """Return Keras's loss on raw outputs, its mean over rows."""

    def of_sigmoids() -> Any:
        return keras.losses.BinaryCrossentropy(from_logits=True, dtype=network.precision)

    losses: dict[str, Callable[[], Any]] = {
        "mse": lambda: keras.losses.MeanSquaredError(dtype=network.precision),
        "sigmoid_mse": lambda: _SigmoidMeanSquaredError(dtype=network.precision),
        "sigmoid_mse_classes": lambda: _SigmoidsOfClasses(dtype=network.precision),
        "sigmoid_mse_bits": lambda: _SigmoidMeanSquaredError(dtype=network.precision),
        "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=network.precision),
        **dict.fromkeys(("binary_cross_entropy", "sigmoid_cross_entropy", "sigmoid_cross_entropy_bits"), of_sigmoids),
        "sigmoid_cross_entropy_classes": lambda: _CrossEntropyOfClasses(from_logits=True, dtype=network.precision),
    }
    return losses[network.loss]()


@final
class _SigmoidMeanSquaredError(keras.losses.MeanSquaredError):
    def call(self, y_true: Tensor, y_pred: Tensor) -> Any:
        return super().call(y_true, ops.sigmoid(y_pred))


@final
class _SigmoidsOfClasses(keras.losses.MeanSquaredError):
    def call(self, y_true: Tensor, y_pred: Tensor) -> Any:
        return super().call(ops.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype), ops.sigmoid(y_pred))


@final
class _CrossEntropyOfClasses(keras.losses.BinaryCrossentropy):
    def call(self, y_true: Tensor, y_pred: Tensor) -> Any:
        return super().call(ops.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype), y_pred)


def _along_time(array: Tensor, steps: Tensor) -> Tensor:
    """Return for each row of (B, T, F) its values at these steps, (B, T)."""
    return ops.take_along_axis(array, ops.expand_dims(steps, -1), axis=1)
