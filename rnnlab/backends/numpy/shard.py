"""Forward and back through time for some rows of a batch: all that one processor does of a training step."""

from collections.abc import Mapping
from itertools import pairwise
from typing import final

import numpy as np

from rnnlab.backends._output import raw_outputs
from rnnlab.backends.base import Network
from rnnlab.backends.numpy.chunks import Chunk, chunks, groups
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape
from rnnlab.backends.numpy.pool import NamedVector
from rnnlab.backends.numpy.regularizer import GradientRegularizer
from rnnlab.core.batch import Array, Batch
from rnnlab.equations.plan import plan_of


@final
class Shard:
    """The layers and the gradients of some rows; parameters are read only, and shared."""

    def __init__(self, network: Network, parameters: Mapping[str, Array], layer_class: type[AbstractLayer]) -> None:
        self.network, self._parameters = network, parameters
        # the part of these rows in the gradient of the mean loss, by full name
        self.gradients = NamedVector({name: array.shape for name, array in parameters.items()}, network.dtype)
        self._layers = [
            layer_class(
                plan_of(network.cell, network.layer_features(layer)),
                below(f"layers.{layer}.", parameters),
                below(f"layers.{layer}.", self.gradients.views),
            )
            for layer in range(network.cell.options.layers)
        ]
        self._tapes: list[list[Tape]] = []  # by chunk, then by layer
        self._regularizers: list[GradientRegularizer] = []

    def learn(
        self, batch: Batch, *, divisor: int, window: int | None, recompute: bool, regularizer: float = 0.0
    ) -> tuple[float, Array]:
        """Fill the gradients; return the sum of the losses of the scored steps, and the raw outputs, zero elsewhere.

        Args:
            batch: These rows, longest sequence first.
            divisor: By what the gradient of the sum of the losses is divided.
            window: The gradient is cut at every multiple of this many steps before a sequence's end; None for nowhere.
            recompute: Whether to keep states only now and then, and go forward again before going back.
            regularizer: The weight of `GradientRegularizer`, which has to see all rows of a batch.
        """
        self._begin_regularizers(regularizer)
        self.gradients.flat.fill(0)
        self._batch, self._divisor, self._cut_every = batch, divisor, window
        self._outputs = self.network.empty_outputs(*batch.inputs.shape[:2])
        self._scored_steps, self._scored_rows = self._places()
        state, total = self._begin(batch.size), 0.0
        rows, every_step = self._layers[0].chunk_rows(), self.network.return_sequences
        for chunk_list in chunks(batch.lengths, rows_at_once=rows, window=window, every_step=every_step):
            loss, state = self._window(groups(chunk_list, recompute=recompute), state)
            total += loss
        for layer in self._layers:
            layer.finish()
        for number, one in enumerate(self._regularizers):
            self.gradients.views[f"layers.{number}.U"] += regularizer * one.gradient()
        return total, self._outputs

    def predict(self, inputs: Array, lengths: Array) -> Array:
        """Return the raw outputs, of sequences by descending length; memory does not grow with the number of steps."""
        outputs, state = self.network.empty_outputs(*inputs.shape[:2]), self._begin(len(inputs))
        (cut,) = chunks(lengths, rows_at_once=self._layers[0].chunk_rows())
        reads_inputs = self.network.output.inputs
        for chunk in cut:
            h, state = self._forward(inputs, chunk, state, self._tape(0))
            if self.network.return_sequences:
                x = inputs[: chunk.rows, chunk.start : chunk.stop].swapaxes(0, 1) if reads_inputs else h
                outputs[: chunk.rows, chunk.start : chunk.stop] = self._head(h, x).swapaxes(0, 1)
            else:
                over = np.flatnonzero(lengths[: chunk.rows] <= chunk.stop)
                last = lengths[over] - 1
                top = h[last - chunk.start, over]
                outputs[over] = self._head(top, inputs[over, last] if reads_inputs else top)
        return outputs

    def states(self, inputs: Array) -> dict[str, Array]:
        """Return every state after every step by name, `layers.0.h` …, (B, T, H) each."""
        batch_size, timesteps, _ = inputs.shape
        state, seen = self._begin(batch_size), dict[str, list[Array]]()
        (cut,) = chunks(np.full(batch_size, timesteps), rows_at_once=self._layers[0].chunk_rows())
        for chunk in cut:
            _, state = self._forward(inputs, chunk, state, self._tape(0))
            for number, layer in enumerate(self._layers):
                for name, array in layer.states(self._tape(0)[number]).items():
                    seen.setdefault(f"layers.{number}.{name}", []).append(array.swapaxes(0, 1).copy())
        return {name: np.concatenate(parts, axis=1) for name, parts in seen.items()}

    def _window(self, parts: list[list[Chunk]], state: list[State]) -> tuple[float, list[State]]:
        """Go forward and back through the groups of a window; return the loss, and the state after it."""
        inputs, starts = self._batch.inputs, [state]
        for group in parts[:-1]:
            for chunk in group:
                _, state = self._forward(inputs, chunk, state, self._tape(0))
            starts.append(state)
        total, after, gradient = 0.0, starts[-1], None
        for group in reversed(parts):
            state, seen = starts.pop(), []
            for number, chunk in enumerate(group):
                h, state = self._forward(inputs, chunk, state, self._tape(number))
                seen.append(h)
            after = state if group is parts[-1] else after
            for number in range(len(group) - 1, -1, -1):
                loss, from_above = self._score(group[number], seen[number])
                total += loss
                if gradient is not None or any(one is not None for one in from_above):
                    gradient = self._back(from_above, group[number], gradient, self._tape(number))
                    gradient = self._truncated(gradient, group[number].start)
        return total, after

    def _truncated(self, gradient: list[State], start: int) -> list[State] | None:
        """Return what flows to the steps before `start`: nothing of the rows that are cut there."""
        if self._cut_every is None:
            return gradient
        rows = len(next(iter(gradient[0].values())))
        flows = (self._batch.lengths[:rows] - start) % self._cut_every != 0  # (rows,)
        if flows.all():
            return gradient
        return [{name: array * flows[:, None] for name, array in state.items()} for state in gradient]

    def _begin(self, batch_size: int) -> list[State]:
        for layer in self._layers:
            layer.begin(self.network.dtype)
        return [self.network.cell.initial_state(np, batch_size, self.network.dtype) for _ in self._layers]

    def _begin_regularizers(self, weight: float) -> None:
        if weight and not self._regularizers:
            self._regularizers = [GradientRegularizer(one.cell.activation, one.parameters) for one in self._layers]
        for one in self._regularizers:
            one.begin()

    def _tape(self, number: int) -> list[Tape]:
        while len(self._tapes) <= number:
            self._tapes.append([Tape() for _ in self._layers])
        return self._tapes[number]

    def _places(self) -> tuple[Array, Array]:
        """Return the steps and the rows that are scored, by step."""
        if self.network.return_sequences:
            steps, rows = np.nonzero(self._batch.mask.T)
            return steps, rows
        rows = np.argsort(self._batch.lengths, kind="stable")
        return self._batch.lengths[rows] - 1, rows

    def _forward(self, inputs: Array, chunk: Chunk, state: list[State], tapes: list[Tape]) -> tuple[Array, list[State]]:
        """Return the last layer's outputs, (T, rows, H), and the states after the chunk."""
        x = inputs[: chunk.rows, chunk.start : chunk.stop].swapaxes(0, 1)
        after = []
        for layer, before, tape in zip(self._layers, state, tapes, strict=True):
            x, final_state = layer.forward(x, {name: array[: chunk.rows] for name, array in before.items()}, tape)
            after.append(final_state)
        return x, after

    def _score(self, chunk: Chunk, h: Array) -> tuple[float, list[Array | None]]:
        """Return the loss of a chunk's scored steps, and for each step the gradient of its output, None for none."""
        by_step: list[Array | None] = [None] * (chunk.stop - chunk.start)
        first, last = self._scored_steps.searchsorted((chunk.start, chunk.stop)).tolist()
        if first == last:
            return 0.0, by_step
        steps, rows = self._scored_steps[first:last], self._scored_rows[first:last]
        features = h[steps - chunk.start, rows]  # (N, H)
        at = (rows, steps) if self.network.return_sequences else (rows,)
        x = self._batch.inputs[rows, steps] if self.network.output.inputs else features
        self._outputs[at] = y = self._head(features, x)
        loss = self.network.loss_function
        targets = self._batch.targets[at]
        targets = targets if loss.integer_targets else targets.astype(self.network.dtype)
        dy = loss.gradient(y, targets)
        dy /= self._divisor
        g = self.gradients.views
        g["head.W"] += np.dot(features.T, dy)
        if "head.V" in g:
            g["head.V"] += np.dot(x.T, dy)
        if "head.b" in g:
            g["head.b"] += dy.sum(axis=0)
        _sort_by_step(np.dot(dy, self._parameters["head.W"].T), steps - chunk.start, rows, (by_step, h.shape[1:]))
        return float(loss.values(y, targets).sum()), by_step

    def _back(
        self, gradients: OutputGradients, chunk: Chunk, state: list[State] | None, tapes: list[Tape]
    ) -> list[State]:
        """Go back through all layers of a chunk, and return the gradients of the states before it."""
        nothing = self.network.cell.initial_state(np, chunk.rows, self.network.dtype)
        before = [nothing] * len(self._layers)
        for number in range(len(self._layers) - 1, -1, -1):
            later = nothing if state is None else _for_rows(state[number], chunk.rows)
            if self._regularizers:
                states = self._layers[number].states(tapes[number])["h"]
                self._regularizers[number].take(states, gradients, later["h"])
            below, before[number] = self._layers[number].backward(
                tapes[number], gradients, state_gradient=later, need_inputs=number > 0
            )
            if below is not None:
                gradients = list(below)
        return before

    def _head(self, features: Array, inputs: Array) -> Array:
        """Return raw outputs (…, O) of (…, H), and of (…, I) where the output layer reads inputs; else of anything."""
        rows = [array.reshape(-1, array.shape[-1]) for array in (features, inputs)]
        outputs = raw_outputs(self._parameters, *rows)
        return outputs.reshape(*features.shape[:-1], self.network.output_features)


def below(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays whose names begin so, without the prefix."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _for_rows(state: State, rows: int) -> State:
    """Return the gradient of a state for more rows: those that are over by then have none."""
    missing = rows - len(next(iter(state.values())))
    return {name: np.pad(array, ((0, missing), (0, 0))) for name, array in state.items()} if missing else state


def _sort_by_step(
    gradients: Array, steps: Array, rows: Array, into: tuple[list[Array | None], tuple[int, ...]]
) -> None:
    """Put the gradients of scored rows (N, H), `steps` ascending, into the list by step, (B, H) each."""
    by_step, shape = into
    starts = np.flatnonzero(steps[1:] != steps[:-1]) + 1
    for first, last in pairwise([0, *starts.tolist(), len(steps)]):
        if last - first == shape[0] and rows[first] == 0 and rows[last - 1] == last - first - 1:  # all, in order
            whole = gradients[first:last]
        else:
            whole = np.zeros(shape, gradients.dtype)
            whole[rows[first:last]] = gradients[first:last]
        by_step[int(steps[first])] = whole
