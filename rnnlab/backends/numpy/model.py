"""A network on NumPy: stacked layers, the linear output layer, the loss, clipping and the update."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import (
    AbstractBackend,
    AbstractModel,
    AbstractObserver,
    Network,
    Prediction,
    StepResult,
    Training,
)
from rnnlab.backends.numpy.fast import KERNELS
from rnnlab.backends.numpy.layer import AbstractLayer, State
from rnnlab.backends.numpy.reference import ReferenceLayer
from rnnlab.backends.numpy.vector import NamedVector
from rnnlab.core.batch import Batch
from rnnlab.optim.clipping import clip_by_global_norm, clip_by_value

Array = NDArray[Any]
_PREDICT_STEPS = 256  # predictions run in stretches of this many steps, so that their memory does not grow with T


class NumpyBackend(AbstractBackend):
    """Builds NumPy models.

    Args:
        reference: Use the readable layer even where a fast kernel exists.
    """

    name = "numpy"

    def __init__(self, *, reference: bool = False) -> None:
        self.reference = reference

    def facts(self, network: Network) -> dict[str, Any]:
        return {"name": self.name, "path": "fast" if self._has_kernel(network) else "reference"}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold BLAS at one thread: at these sizes two cost more than they bring, and on a busy machine far more."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):
            yield

    def observers(self, model: AbstractModel) -> list[AbstractObserver]:
        return []

    def build(
        self, network: Network, *, parameters: Mapping[str, Array], training: Training | None = None
    ) -> "NumpyModel":
        layer_class = KERNELS.get(network.cell.name) if self._has_kernel(network) else ReferenceLayer
        return NumpyModel(network, training, parameters=parameters, layer_class=layer_class)

    def _has_kernel(self, network: Network) -> bool:
        return network.cell.name in KERNELS.names() and not self.reference


class NumpyModel(AbstractModel):
    """Parameters and gradients live in one flat vector each; the layers hold views into them."""

    def __init__(
        self,
        network: Network,
        training: Training | None,
        *,
        parameters: Mapping[str, Array],
        layer_class: type[AbstractLayer],
    ) -> None:
        super().__init__(network, training)
        shapes = {name: parameter.shape for name, parameter in network.parameters().items()}
        self._parameters = NamedVector(shapes, network.dtype)
        self._gradients = NamedVector(shapes, network.dtype)
        self._parameters.fill_from(parameters)
        self._layers = [
            layer_class(network.cell, _of_layer(self._parameters.views, layer), _of_layer(self._gradients.views, layer))
            for layer in range(network.cell.options.layers)
        ]
        self._slots = training.optimizer.initial_slots(self._parameters.flat.size, network.dtype) if training else {}

    @np.errstate(over="ignore", invalid="ignore")  # divergence is the caller's to see, in the result
    def train_step(self, batch: Batch) -> StepResult:
        if self.training is None:
            raise RuntimeError("this model was built without `training`")
        training, gradients = self.training, self._gradients.flat
        loss, outputs = self._forward_backward(batch, stretch=training.bptt_steps)
        norm = clip_by_global_norm(gradients, training.clip_norm if training.clip_norm is not None else np.inf)
        if training.clip_value is not None:
            clip_by_value(gradients, training.clip_value)
        rate = training.learning_rate * training.schedule.factor(int(self._slots["step"][0]))
        if math.isfinite(loss) and math.isfinite(norm):  # else the weights stay those of the last good step
            training.optimizer.update(self._parameters.flat, gradients, self._slots, learning_rate=rate)
        return StepResult(loss=loss, outputs=outputs, gradient_norm=norm, learning_rate=rate)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        loss, _ = self._forward_backward(batch, stretch=self.training.bptt_steps if self.training else None)
        return loss, self._gradients.copies()

    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        batch_size, timesteps, _ = inputs.shape
        ends = np.full(batch_size, timesteps) if lengths is None else lengths
        outputs = self._empty_outputs(batch_size, timesteps)
        seen: dict[str, list[Array]] = {}
        state = self._initial_state(batch_size)
        for start in range(0, timesteps, _PREDICT_STEPS):
            stop = min(start + _PREDICT_STEPS, timesteps)
            h, state = self._forward(self._time_major(inputs[:, start:stop]), state)
            if self.network.return_sequences:
                outputs[:, start:stop] = self._head(h.reshape(-1, h.shape[-1])).reshape(*h.shape[:2], -1).swapaxes(0, 1)
            else:
                rows = np.flatnonzero((ends > start) & (ends <= stop))
                outputs[rows] = self._head(h[ends[rows] - 1 - start, rows])
            if states:
                self._collect_states(seen)
        return Prediction(outputs, {name: np.concatenate(parts, axis=1) for name, parts in seen.items()})

    def parameters(self) -> dict[str, Array]:
        return self._parameters.copies()

    def state_dict(self) -> dict[str, Array]:
        parameters = {f"parameters/{name}": array for name, array in self._parameters.copies().items()}
        return parameters | {f"optimizer/{name}": array.copy() for name, array in self._slots.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self._parameters.fill_from(_below("parameters/", state))
        slots = _below("optimizer/", state)
        for name, slot in self._slots.items():
            slot[...] = slots[name]

    def _forward_backward(self, batch: Batch, *, stretch: int | None) -> tuple[float, Array]:
        """Fill the gradients; return the mean loss and the raw outputs of the scored steps.

        Steps after the longest sequence are not computed. Each stretch goes forward and then back at once, with the
        state carried on and the gradient cut, so that memory is that of one stretch.
        """
        timesteps, batch_size = int(batch.lengths.max()), batch.size
        scored = batch.mask[:, :timesteps].T  # (T, B)
        outputs = self._empty_outputs(batch_size, batch.inputs.shape[1])
        self._gradients.flat.fill(0)
        total, count = 0.0, int(np.count_nonzero(scored))
        state = self._initial_state(batch_size)
        for start in range(0, timesteps, stretch or timesteps):
            stop = min(start + (stretch or timesteps), timesteps)
            h, state = self._forward(self._time_major(batch.inputs[:, start:stop]), state)
            steps, rows = np.nonzero(scored[start:stop])
            if len(steps) == 0:
                continue
            places = (rows, steps + start) if self.network.return_sequences else (rows,)
            features = h[steps, rows]  # (N, H)
            outputs[places] = y = self._head(features)
            targets = self._as_targets(batch.targets[places])
            total += float(self.network.loss_function.values(y, targets).sum())
            dy = self.network.loss_function.gradient(y, targets)
            dy /= count
            self._back_through_layers(_by_step(self._back_through_head(features, dy), steps, rows, h.shape))
        return total / count, outputs

    def _forward(self, x: Array, state: list[State]) -> tuple[Array, list[State]]:
        after = []
        for layer, before in zip(self._layers, state, strict=True):
            x, final = layer.forward(x, before)
            after.append(final)
        return x, after  # (T, B, H)

    def _head(self, features: Array) -> Array:
        p = self._parameters.views
        return np.asarray(np.dot(features, p["head.W"]) + p["head.b"])  # (N, O)

    def _back_through_head(self, features: Array, dy: Array) -> Array:
        g = self._gradients.views
        g["head.W"] += np.dot(features.T, dy)
        g["head.b"] += dy.sum(axis=0)
        return np.asarray(np.dot(dy, self._parameters.views["head.W"].T))  # (N, H)

    def _back_through_layers(self, gradients: Sequence[Array | None]) -> None:
        for number in range(len(self._layers) - 1, -1, -1):
            below = self._layers[number].backward(gradients, need_inputs=number > 0)
            if below is not None:
                gradients = list(below)

    def _collect_states(self, seen: dict[str, list[Array]]) -> None:
        for number, layer in enumerate(self._layers):
            for name, array in layer.states().items():
                seen.setdefault(f"layers.{number}.{name}", []).append(array.swapaxes(0, 1).copy())  # (B, T, H)

    def _initial_state(self, batch_size: int) -> list[State]:
        return [self.network.cell.initial_state(np, batch_size, self.network.dtype) for _ in self._layers]

    def _time_major(self, inputs: Array) -> Array:
        return inputs.swapaxes(0, 1).astype(self.network.dtype, order="C")  # (T, B, I)

    def _as_targets(self, targets: Array) -> Array:
        return targets if self.network.loss_function.integer_targets else targets.astype(self.network.dtype)

    def _empty_outputs(self, batch_size: int, timesteps: int) -> Array:
        steps = (timesteps,) if self.network.return_sequences else ()
        return np.zeros((batch_size, *steps, self.network.output_features), self.network.dtype)


def _by_step(gradients: Array, steps: Array, rows: Array, shape: tuple[int, ...]) -> list[Array | None]:
    """Sort the gradients of scored rows (N, H) by step, `steps` ascending: (B, H) or None for each of the T steps."""
    timesteps, batch_size, units = shape
    edges = np.searchsorted(steps, np.arange(timesteps + 1))
    by_step: list[Array | None] = []
    for first, last in pairwise(edges):
        if first == last:
            by_step.append(None)
        elif last - first == batch_size:
            by_step.append(gradients[first:last])
        else:
            spread = np.zeros((batch_size, units), gradients.dtype)
            spread[rows[first:last]] = gradients[first:last]
            by_step.append(spread)
    return by_step


def _of_layer(views: Mapping[str, Array], layer: int) -> dict[str, Array]:
    return _below(f"layers.{layer}.", views)


def _below(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
