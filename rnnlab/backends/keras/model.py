"""A network as a Keras model: its layers, the functions of its parameters that an engine compiles, and its training."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras
import numpy as np

from rnnlab.backends.base import AbstractModel, Network, Prediction, StepResult, Training, nothing
from rnnlab.backends.keras import Plan
from rnnlab.backends.keras.engines.base import AbstractEngine, Array, Tensor
from rnnlab.backends.keras.handwritten import HANDWRITTEN
from rnnlab.backends.keras.layers import Carry, EquationCell
from rnnlab.backends.keras.optimizer import KerasOptimizer
from rnnlab.cells.base import AbstractCell
from rnnlab.cells.carry import CarryOptions
from rnnlab.core.batch import Batch

States = list[list[Tensor]]
ops = keras.ops
_PREDICT_STEPS = 256  # predictions run in stretches of this many steps, so that their memory does not grow with T
_PREDICT_ROWS = 64  # larger batches are filled up to a multiple: those of a validation set then have one shape


@final
class KerasModel(AbstractModel):
    """Keras layers under one `keras.Model`, updated by Keras's own optimiser by the gradient of Keras's own loss.

    Attributes:
        model: The `keras.Model`: (B, T, I) to the raw outputs of every step (B, T, O).
    """

    def __init__(
        self,
        network: Network,
        training: Training | None,
        *,
        parameters: Mapping[str, Array],
        engine: AbstractEngine,
        plan: Plan,
    ) -> None:
        super().__init__(network, training)
        self._engine = engine
        bptt_steps = training.bptt_steps if training else None
        self._functions = NetworkFunctions(network, engine=engine, plan=plan, bptt_steps=bptt_steps)
        self.model, self._variables = self._functions.model, self._functions.variables
        self._assign(parameters)
        variables = list(self._variables.values())
        self._gradients = engine.compile_gradients(self._functions.loss, xla=plan.xla)
        # Without XLA, whose compiling takes longer than it saves on the few predictions of a training.
        self._record: Callable[..., Any] = engine.compile_function(self._functions.states, xla=False)
        self._stretch: Callable[..., Any] = engine.compile_function(self._functions.stretch, xla=False)
        self._optimizer = KerasOptimizer(engine.array, training, variables, dtype=network.dtype) if training else None
        self._updates = 0  # the optimiser's own count; to ask a device for it takes a tenth of a small step
        if self._optimizer:
            width = network.cell.options.units * network.cell.options.layers
            self._step = engine.compile_step(self._functions.loss, self._optimizer, width=width, xla=plan.xla)

    def train_step(self, batch: Batch, *, meanwhile: Callable[[], None] = nothing) -> StepResult:
        if self.training is None or self._optimizer is None:
            raise RuntimeError("this model was built without `training`")
        meanwhile()
        rate = self.training.learning_rate * self.training.schedule.factor(self._updates)
        loss, outputs, norm = self._step(self._arrays(batch), rate)
        self._updates += math.isfinite(loss) and math.isfinite(norm)  # as the engine does
        return StepResult(loss=loss, outputs=self._scored(outputs, batch), gradient_norm=norm, learning_rate=rate)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        loss, _, gradients = self._gradients(self._values(), [self._engine.tensor(a) for a in self._arrays(batch)])
        arrays = [self._engine.array(gradient) for gradient in gradients]
        return float(loss), dict(zip(self._variables, arrays, strict=True))

    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
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
        count, dtype = np.count_nonzero(batch.mask), self.network.dtype
        inputs = _padded(batch.inputs.astype(dtype, copy=False), padding)
        kind = "int32" if self.network.loss_function.integer_targets else dtype
        targets = batch.targets.astype(kind)
        if self.network.return_sequences:
            return [inputs, _padded(targets, padding), _padded(batch.mask / dtype.type(count), padding)]
        weights, ends = np.full(batch.size, 1 / count, dtype), batch.mask.argmax(axis=1).astype("int32")
        is_uniform = (ends == inputs.shape[1] - 1).all()
        return [inputs, targets, weights] if is_uniform else [inputs, targets, weights, ends]

    def _scored(self, outputs: Array, batch: Batch) -> Array:
        if not self.network.return_sequences:
            return outputs
        return np.where(batch.mask[:, :, None], outputs[:, : batch.mask.shape[1]], 0)

    def _states(self, inputs: Array) -> dict[str, Array]:
        """Return every state after every step, (B, T, H)."""
        states = self._record(self._values(), self._engine.tensor(inputs.astype(self.network.dtype)))
        return {
            f"layers.{number}.{name}": self._engine.array(array).swapaxes(0, 1)
            for number, of_layer in enumerate(states)
            for name, array in zip(self.network.cell.states, of_layer, strict=True)
        }

    def _values(self) -> list[Any]:
        return [variable.value for variable in self._variables.values()]

    def _assign(self, parameters: Mapping[str, Array]) -> None:
        for name, variable in self._variables.items():
            variable.assign(parameters[name])


def _padded(array: Array, steps: int) -> Array:
    """Return a (B, T, …) array with this many zero steps after its own."""
    return np.pad(array, [(0, 0), (0, steps)] + [(0, 0)] * (array.ndim - 2)) if steps else array


@final
class NetworkFunctions:
    """The layers of a network, its loss and its predictions.

    Attributes:
        model: The `keras.Model`, (B, T, I) to the raw outputs of every step (B, T, O).
        variables: Its weights by the parameters' full names, in their fixed order.
    """

    def __init__(self, network: Network, *, engine: AbstractEngine, plan: Plan, bptt_steps: int | None) -> None:
        self.network, self.bptt_steps, self._engine = network, bptt_steps, engine
        self.layers = [
            recurrent_layer(network.cell, network.precision, unroll=plan.path == "unrolled")
            for _ in range(network.cell.options.layers)
        ]
        self._head, self._loss = head_layer(network), loss_of(network)
        inputs = keras.Input((None, network.input_features), dtype=network.precision)
        x = inputs
        for layer in self.layers:
            x = layer(x)[0]
        self.model = keras.Model(inputs, self._head(x))
        weights = [variable for layer in [*self.layers, self._head] for variable in layer.weights]
        self.variables = dict(zip(network.parameters(), weights, strict=True))
        self._handwritten = self._handwritten_layers() if plan.path == "handwritten" else []

    def loss(self, values: Sequence[Tensor], arrays: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return Σ weight · loss over the scored steps, and the raw outputs.

        Args:
            values: Of the parameters, in their order.
            arrays: Inputs (B, T, I), targets and weights of (B,) or, for sequences, of (B, T) steps; then, where the
                sequences of a batch end at different steps, each one's last step, (B,).
        """
        inputs, targets, weights, *ends = arrays
        every_step = self.network.return_sequences or bool(ends)
        with self._scope(values):
            features, _ = self._features(values, inputs, self.initial_state(inputs.shape[0]), every_step=every_step)
            if ends:
                index = ops.expand_dims(ops.expand_dims(ends[0], -1), -1)
                features = ops.squeeze(ops.take_along_axis(features, index, axis=1), axis=1)  # (B, H)
            outputs = self._head(features)
            return ops.sum(self._loss.call(targets, outputs) * weights), outputs

    def stretch(self, values: Sequence[Tensor], inputs: Tensor, state: States) -> tuple[Tensor, States]:
        """Return the raw outputs (B, T, O) of some steps, and the state after them."""
        with self._scope(values):
            features, after = self._features(values, inputs, state, every_step=True)
            return self._head(features), after

    def states(self, values: Sequence[Tensor], inputs: Tensor) -> list[list[Tensor]]:
        """Return for each layer its states after every step, (T, B, H) each: by the cell's own equation."""
        cell, x, seen = self.network.cell, ops.transpose(inputs, (1, 0, 2)), []
        named = dict(zip(self.variables, values, strict=True))
        for number, before in enumerate(self.initial_state(inputs.shape[0])):
            prefix = f"layers.{number}."
            own = {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}

            def step(flowing: list[Tensor], at: list[Tensor], own: Any = own) -> tuple[list[Tensor], list[Tensor]]:
                taken = cell.step(ops, own, at[0], dict(zip(cell.states, flowing, strict=True)))
                after = [taken.state[name] for name in cell.states]
                return after, [taken.output, *after]

            widths = [cell.options.units] * (1 + len(before))
            _, (x, *states) = self._engine.scan(step, before, [x], widths=widths)
            seen.append(states)
        return seen

    def initial_state(self, batch_size: int) -> States:
        """Return zeros, (B, H) for each array of each layer's state."""
        cell, precision = self.network.cell, self.network.precision
        shape = (batch_size, cell.options.units)
        return [[ops.zeros(shape, dtype=precision) for _ in cell.states] for _ in range(cell.options.layers)]

    def _features(
        self, values: Sequence[Tensor], inputs: Tensor, state: States, *, every_step: bool
    ) -> tuple[Tensor, States]:
        """Return the last layer's outputs, (B, T, H) or the last step's (B, H), and the states after."""
        if not self._handwritten:
            return self._through_layers(inputs, state, every_step=every_step)
        x, after, start = ops.transpose(inputs, (1, 0, 2)), [], 0
        for number, (layer, before) in enumerate(zip(self._handwritten, state, strict=True)):
            own = values[start : start + len(layer.names)]
            start += len(layer.names)
            is_last = number == len(self._handwritten) - 1
            x, final_state = layer(own, x, before, every_step=every_step or not is_last)
            after.append(final_state)
        return (ops.transpose(x, (1, 0, 2)) if every_step else x), after

    def _through_layers(self, inputs: Tensor, state: States, *, every_step: bool) -> tuple[Tensor, States]:
        """The same by the layers themselves; the gradient is cut where truncated back-propagation cuts it."""
        stretch = self.bptt_steps or inputs.shape[1]
        parts = []
        for start in range(0, inputs.shape[1], stretch):
            x, after = inputs[:, start : start + stretch], []
            for layer, before in zip(self.layers, state, strict=True):
                x, *final_state = layer(x, initial_state=before)
                after.append([ops.stop_gradient(array) for array in final_state])
            state = after
            parts.append(x)
        whole = ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        return (whole if every_step else whole[:, -1]), state

    def _handwritten_layers(self) -> list[Any]:
        cell = self.network.cell
        kind, features = HANDWRITTEN.get(cell.name), [self.network.input_features]
        features += [cell.options.units] * (cell.options.layers - 1)
        return [kind(self._engine, cell, input_features=count, bptt_steps=self.bptt_steps) for count in features]

    def _scope(self, values: Sequence[Tensor]) -> Any:
        return keras.StatelessScope(state_mapping=list(zip(self.variables.values(), values, strict=True)))


def recurrent_layer(cell: AbstractCell, precision: str, **settings: Any) -> Any:
    """Return a layer that gives the output of every step (B, T, H) and its last states, unless `settings` differ.

    Its weights have the order of the cell's own parameters.
    """
    options = cell.options
    whole: dict[str, Any] = {"return_sequences": True, "return_state": True, "dtype": precision} | settings
    if cell.name == "simple":
        return keras.layers.SimpleRNN(options.units, activation=options.activation, **whole)
    if isinstance(options, CarryOptions):
        gates = options.model_dump(include={"activation", "recurrent_activation", "forget_bias"})
        return Carry(options.units, cell_options=gates, **whole)
    return keras.layers.RNN(EquationCell(cell.name, options.model_dump(), dtype=precision), **whole)


def head_layer(network: Network, **settings: Any) -> Any:
    """Return the linear output layer."""
    return keras.layers.Dense(network.output_features, dtype=network.precision, **settings)


def loss_of(network: Network) -> Any:
    """Return Keras's loss on raw outputs, its mean over rows."""
    losses = {
        "mse": lambda: keras.losses.MeanSquaredError(dtype=network.precision),
        "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=network.precision),
        "binary_cross_entropy": lambda: keras.losses.BinaryCrossentropy(from_logits=True, dtype=network.precision),
    }
    return losses[network.loss]()
