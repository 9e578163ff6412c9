"""A network on Keras, trained by Keras's own optimiser."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, final

import keras
import numpy as np

from rnnlab.backends.base import AbstractModel, BlockResult, Network, Prediction, Training, nothing
from rnnlab.backends.keras import Way
from rnnlab.backends.keras.engines.base import AbstractEngine, Block, Lane, Results
from rnnlab.backends.keras.form import Form, compiled
from rnnlab.backends.keras.optimizer import KerasOptimizer
from rnnlab.core.batch import Array, Batch, checked_inputs

_PREDICT_STEPS = 256  # predictions run in stretches of this many steps, so that their memory does not grow with T
_PREDICT_ROWS = 64  # larger batches are filled up to a multiple: those of a validation set then have one shape


@final
class KerasModel(AbstractModel):
    """Recurrent layers and a head, updated by Keras's own optimiser by the gradient of Keras's own loss.

    Args:
        lanes: Returns how many networks the program trains that trains this one, by the size of a batch.
    """

    def __init__(
        self,
        network: Network,
        training: Training | None,
        *,
        parameters: Mapping[str, Array],
        engine: AbstractEngine,
        way: Way,
        lanes: Callable[[int], int],
    ) -> None:
        super().__init__(network, training)
        self._engine, self.lanes = engine, lanes
        self.form = Form.of(network, training, engine=engine, way=way)
        self._compiled = compiled(self.form)
        self._variables = {
            name: keras.Variable(parameters[name], dtype=network.precision) for name in network.parameters()
        }
        variables = list(self._variables.values())
        self._optimizer = KerasOptimizer(engine.array, training, variables, dtype=network.dtype) if training else None
        self._updates = 0  # the optimiser's own count; to ask a device for it takes a tenth of a small step

    @cached_property
    def block(self) -> Block:
        """Trains this network, and on some engines others of the same form beside it."""
        _, optimizer = self._recipe
        width = self.network.cell.options.units * self.network.cell.options.layers
        form = f"{self.form} {self.form.rule}"
        loss, xla = self._compiled.functions.loss, self.form.way.xla
        return self._engine.compile_block(loss, optimizer, form=form, width=width, xla=xla)

    @property
    def _recipe(self) -> tuple[Training, KerasOptimizer]:
        if self.training is None or self._optimizer is None:
            raise RuntimeError("this model was built without `training`")
        return self.training, self._optimizer

    def train_block(self, batch: Batch, *, updates: int, meanwhile: Callable[[], None] = nothing) -> BlockResult:
        meanwhile()
        return train_together([self], [batch], updates)[0]

    @property
    def minds_ends(self) -> bool:
        """Whether it matters where a sequence ends, and not only which of its steps are scored."""
        return not self.network.return_sequences or bool(self.training and self.training.bptt_steps)

    def has_ends(self, batch: Batch, updates: int) -> Array:
        """Return for each update whether that matters and a sequence of it ends before the longest, (updates,)."""
        if not self.minds_ends:
            return np.zeros(updates, bool)
        longest = max(batch.inputs.shape[1], (self.training and self.training.longest) or 0)
        found: Array = (batch.lengths.reshape(updates, -1) != longest).any(axis=1)
        return found

    def lane(self, batch: Batch, updates: int, *, ends: bool) -> Lane:
        """Return a block of updates as its program takes it."""
        training, optimizer = self._recipe
        factors = [training.schedule.factor(self._updates + number) for number in range(updates)]
        return Lane(optimizer, self._arrays(batch, updates, ends=ends), training.learning_rate * np.array(factors))

    def taken(self, lane: Lane, results: Results, batch: Batch) -> BlockResult:
        """Return the results of a block, and count its updates."""
        losses, outputs, norms = results
        done = len(losses)
        self._updates += done - (not (np.isfinite(losses[-1]) and np.isfinite(norms[-1])))  # as the engine does
        rows = batch.rows(0, done * outputs.shape[1])
        scored = self._scored(outputs.reshape(-1, *outputs.shape[2:]), rows)
        return BlockResult(self._means(losses, rows), norms.astype(np.float64), lane.rates[:done], scored)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        arrays = [array[0] for array in self._arrays(batch, 1, ends=bool(self.has_ends(batch, 1)[0]))]
        loss, _, gradients = self._compiled.gradients(self._values(), [self._engine.tensor(one) for one in arrays])
        found = [self._engine.array(gradient) for gradient in gradients]
        return float(self._means(np.array([loss]), batch)[0]), dict(zip(self._variables, found, strict=True))

    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        inputs = checked_inputs(inputs, self.network.input_features)
        batch_size, timesteps, _ = inputs.shape
        ends = np.full(batch_size, timesteps) if lengths is None else lengths
        rows = batch_size + -batch_size % (_PREDICT_ROWS if batch_size > _PREDICT_ROWS else 1)
        kept, state, values = [], self._compiled.functions.initial_state(rows), self._values()
        for start in range(0, timesteps, _PREDICT_STEPS):
            x = np.zeros((rows, min(_PREDICT_STEPS, timesteps - start), inputs.shape[2]), self.network.dtype)
            x[:batch_size] = inputs[:, start : start + _PREDICT_STEPS]
            y, state = self._compiled.stretch(values, self._engine.tensor(x), state)
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
        for name, variable in self._variables.items():
            variable.assign(state[f"parameters/{name}"])
        if self._optimizer:
            found = {name.removeprefix("optimizer/"): array for name, array in state.items()}
            self._optimizer.load(found)
            self._updates = self._optimizer.step

    def _arrays(self, batch: Batch, updates: int, *, ends: bool) -> list[Array]:
        """Return what `NetworkFunctions.loss` takes, (updates, B, …) each, padded to the longest sequence to come.

        One shape for all batches: an engine compiles a step anew for every shape it meets.
        """
        longest, dtype = (self.training and self.training.longest) or 0, self.network.dtype
        batch = batch.padded(max(longest, batch.mask.shape[1]))
        divisors = self._divisors(batch, updates).reshape(updates, 1, 1)
        inputs = batch.inputs.astype(dtype, copy=False)
        kind = "int32" if self.network.loss_function.integer_targets else dtype
        targets = batch.targets.astype(kind)
        if self.network.return_sequences:
            shares = batch.mask.reshape(updates, -1, batch.mask.shape[1]) / divisors.astype(dtype)
            arrays = [inputs, targets, shares.reshape(batch.mask.shape)]
        else:
            arrays = [inputs, targets, np.repeat(1 / divisors, batch.size // updates).astype(dtype)]
        arrays += [batch.lengths.astype("int32")] if ends else []
        return [array.reshape(updates, -1, *array.shape[1:]) for array in arrays]

    def _divisors(self, batch: Batch, updates: int) -> Array:
        """Return by what the sum of the losses of each update is divided, (updates,)."""
        if self.training is not None and self.training.sums_steps:
            return np.full(updates, batch.size // updates)
        return _scored_steps(batch, updates)

    def _means(self, losses: Array, batch: Batch) -> Array:
        """Return the means over the scored steps, of what `NetworkFunctions.loss` returns for each update."""
        means: Array = losses.astype(float) * (self._divisors(batch, len(losses)) / _scored_steps(batch, len(losses)))
        return means

    def _scored(self, outputs: Array, batch: Batch) -> Array:
        if not self.network.return_sequences:
            return outputs
        return np.where(batch.mask[:, :, None], outputs[:, : batch.mask.shape[1]], 0)

    def _states(self, inputs: Array) -> dict[str, Array]:
        """Return every state after every step, (B, T, size)."""
        states = self._compiled.states(self._values(), self._engine.tensor(inputs.astype(self.network.dtype)))
        return {
            f"layers.{number}.{name}": self._engine.array(array).swapaxes(0, 1)
            for number, of_layer in enumerate(states)
            for name, array in zip(self.network.cell.state_sizes(), of_layer, strict=True)
        }

    def _values(self) -> list[Any]:
        return [variable.value for variable in self._variables.values()]


def _scored_steps(batch: Batch, updates: int) -> Array:
    """Return the number of scored steps of each update, (updates,)."""
    counts: Array = np.count_nonzero(batch.mask.reshape(updates, -1), axis=1)
    return counts


def train_together(models: Sequence[KerasModel], batches: Sequence[Batch], updates: int) -> list[BlockResult]:
    """Train models of the same form and batch size, so many at a time as one program trains."""
    most, found = models[0].lanes(batches[0].size // updates), list[BlockResult]()
    if most == 1:
        return [_train_alone(model, batch, updates) for model, batch in zip(models, batches, strict=True)]
    for start in range(0, len(models), most):
        found += _train_side_by_side(models[start : start + most], batches[start : start + most], updates, most)
    return found


def _train_side_by_side(
    models: Sequence[KerasModel], batches: Sequence[Batch], updates: int, most: int
) -> list[BlockResult]:
    """Train some models by one program, which must not depend on the batches at hand: their ends are always given."""
    given = list(zip(models, batches, strict=True))
    lanes = [model.lane(batch, updates, ends=model.minds_ends) for model, batch in given]
    results = models[0].block(lanes, most)
    return [
        model.taken(lane, of_lane, batch) for (model, batch), lane, of_lane in zip(given, lanes, results, strict=True)
    ]


def _train_alone(model: KerasModel, batch: Batch, updates: int) -> BlockResult:
    """Train a model by a program of its own: one where a sequence of an update ends before the others, or another."""
    ends, size, parts = model.has_ends(batch, updates), batch.size // updates, list[BlockResult]()
    for start, stop in pairwise([0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), updates]):
        rows = batch.rows(start * size, stop * size)
        lane = model.lane(rows, stop - start, ends=bool(ends[start]))
        parts.append(model.taken(lane, model.block([lane], 1)[0], rows))
        if len(parts[-1].losses) < stop - start:
            break
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: Sequence[BlockResult]) -> BlockResult:
    each = [(one.losses, one.gradient_norms, one.learning_rates, one.outputs) for one in parts]
    return BlockResult(*(np.concatenate(same) for same in zip(*each, strict=True)))
