"""A network that learns at every time step of a stream: step by step as in the equations, or by machine code of them.

Its gradient goes forward, by eligibility traces: the gradient of a step's loss is the one through this step alone, plus
what flows to the states before it times their traces.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends._recipe import Stream
from rnnlab.backends.base import AbstractModel, BlockResult, Prediction, StepResult, nothing
from rnnlab.backends.numpy.lanes import Form, Member, train_together
from rnnlab.backends.numpy.pool import NamedVector
from rnnlab.backends.numpy.reference import step_gradients
from rnnlab.backends.numpy.shard import below
from rnnlab.backends.numpy.updating import Update
from rnnlab.core.batch import Batch
from rnnlab.core.losses import too_far
from rnnlab.core.namespace import NUMPY
from rnnlab.equations.evaluate import evaluate
from rnnlab.equations.graph import ordered
from rnnlab.equations.traces import traces_along
from rnnlab.optim.clipping import clip_by_global_norm, clip_by_value

Array = NDArray[Any]


class _Step(NamedTuple):
    """What a step gives: its loss, the raw outputs, whether an output is too far from its target."""

    loss: float
    outputs: Array
    is_wrong: bool


@final
class ContinualModel(AbstractModel):
    """A network of one layer on one stream.

    Args:
        whole: The same network, which predicts whole sequences; it has the same parameters in the same memory.
        parameters: These.
        compiled: Whether machine code does the steps, where there is some.

    Attributes:
        stream: How it runs along the stream.
        form: What it has in common with networks that can share a call with it.
        traces: Which traces there are; none where the gradient is cut to the step.
    """

    def __init__(self, whole: AbstractModel, parameters: NamedVector, *, compiled: bool = False) -> None:
        network, training = whole.network, whole.training
        assert training is not None
        assert training.stream is not None
        super().__init__(network, training)
        self.stream: Stream = training.stream
        self._recipe, self._whole, self._parameters = training, whole, parameters
        cell = network.cell
        self.traces = traces_along(cell, network.input_features, training.bptt_steps)
        self._slots = training.optimizer.initial_slots(parameters.flat.size, network.dtype)
        self._gradients = NamedVector({name: array.shape for name, array in parameters.views.items()}, network.dtype)
        self._states = NamedVector({name: (1, size) for name, size in cell.state_sizes().items()}, network.dtype)
        shapes = {f"{number} {name}": shape for (number, name), shape in self.traces.shapes.items()}
        self._traces = NamedVector(shapes or {"": (0,)}, network.dtype)
        self._along = {
            "states": self._states.flat,
            "traces": self._traces.flat,
            "factor": np.ones(1, network.dtype),  # of the learning rate
            "steps": np.zeros(1, np.int64),  # since the last reset
            "sequences": np.zeros(1, np.int64),  # in all
            "streams": np.zeros(1, np.int64),  # that have ended
        }
        self.form = Form.of(network, training)
        self._member = Member(self.form, training, parameters.flat, self._slots, self._along) if compiled else None
        vectors = {"parameters": parameters.flat, "gradients": self._gradients.flat, "decays": network.in_matrices()}
        self._update = Update(training.optimizer, vectors | self._slots)

    @property
    def streams(self) -> int:
        return int(self._along["streams"][0])

    def member(self, batch_size: int) -> Member | None:
        """Return what machine code trains, beside others; None where NumPy does the steps."""
        return self._member

    def train_block(self, batch: Batch, *, updates: int, meanwhile: Callable[[], None] = nothing) -> BlockResult:
        meanwhile()
        assert batch.size == updates
        if self._member:
            return train_together([self._member], [batch], updates)[0]
        results, last = list[StepResult](), self.streams + self.stream.left(self.streams)
        with np.errstate(over="ignore", invalid="ignore"):
            for row in range(updates):
                results.append(self._train_once(batch.rows(row, row + 1), nothing))
                is_finite = math.isfinite(results[-1].loss) and math.isfinite(results[-1].gradient_norm)
                if not is_finite or self.streams >= last:
                    break
        return BlockResult.of(results)

    def _train_once(self, batch: Batch, meanwhile: Callable[[], None]) -> StepResult:
        """Learn from a sequence: an update at each scored step of it."""
        along, recipe, stream = self._along, self._recipe, self.stream
        outputs = self.network.empty_outputs(1, batch.inputs.shape[1])
        base = recipe.learning_rate * recipe.schedule.factor(int(along["sequences"][0]))
        first_rate, losses, norms = base * float(along["factor"][0]), list[float](), list[float]()
        if stream.reset == "both":
            self._clear()
        for t in range(int(batch.lengths[0])):
            self._gradients.flat.fill(0)
            step = self._step(batch, t, 1.0)
            if batch.mask[0, t]:
                outputs[(0, t) if self.network.return_sequences else 0] = step.outputs
                losses.append(step.loss)
                norms.append(self._clip())
                if not (math.isfinite(losses[-1]) and math.isfinite(norms[-1])):
                    return StepResult(losses[-1], outputs, norms[-1], first_rate)
                self._slots["step"] += 1
                self._update.step(int(self._slots["step"][0]), base * float(along["factor"][0]))
            along["steps"] += 1
            along["factor"] *= along["factor"].dtype.type(stream.decay)
            if step.is_wrong and stream.ends_at_errors:
                self._end_stream()
                break
        along["sequences"] += 1
        if stream.reset == "sequence" or (stream.steps is not None and along["steps"][0] >= stream.steps):
            self._end_stream()
        scored = max(len(losses), 1)
        return StepResult(sum(losses) / scored, outputs, sum(norms) / scored, first_rate)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        """Return what all steps add up to, of each sequence from the zero state and at the same weights."""
        before = {name: array.copy() for name, array in self._along.items()}
        self._gradients.flat.fill(0)
        scored, total = int(np.count_nonzero(batch.mask)), 0.0
        share = 1 / (batch.size if self._recipe.sums_steps else scored)
        for row in range(batch.size):
            self._clear()
            for t in range(int(batch.lengths[row])):
                total += self._step(batch.rows(row, row + 1), t, share).loss
        self._take(before)
        return total / scored, self._gradients.copies()

    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        return self._whole.predict(inputs, lengths, states=states)

    def parameters(self) -> dict[str, Array]:
        return self._parameters.copies()

    def state_dict(self) -> dict[str, Array]:
        state = {f"parameters/{name}": array for name, array in self._parameters.copies().items()}
        state |= {f"optimizer/{name}": array.copy() for name, array in self._slots.items()}
        return state | {f"stream/{name}": array.copy() for name, array in self._along.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self._parameters.fill_from(below("parameters/", state))
        for name, slot in self._slots.items():
            slot[...] = state[f"optimizer/{name}"]
        self._take(below("stream/", state))

    def _take(self, along: Mapping[str, Array]) -> None:
        for name, array in self._along.items():
            array[...] = along[name]

    def _clear(self) -> None:
        for name in ("states", "traces"):
            self._along[name].fill(0)

    def _end_stream(self) -> None:
        self._clear()
        self._along["steps"].fill(0)
        self._along["factor"].fill(1)
        self._along["streams"] += 1

    def _step(self, batch: Batch, t: int, share: float) -> _Step:
        """Go on by a step; if it is scored, add its gradient times `share`."""
        network, own = self.network, below("layers.0.", self._parameters.views)
        x = batch.inputs[:, t].astype(network.dtype)  # (1, I)
        state = {name: array.copy() for name, array in self._states.views.items()}
        step = network.cell.step(NUMPY, own, x, state)
        done = _Step(0.0, np.zeros(0), False)
        if batch.mask[0, t]:
            done, output_gradient = self._score(batch, t, x=x, output=step.output, share=share)
            nothing_later = {name: np.zeros_like(array) for name, array in state.items()}
            back = step_gradients(
                network.cell,
                own,
                inputs=x,
                state=state,
                step=step,
                output_gradient=output_gradient,
                state_gradient=nothing_later,
            )
            for name, gradient in back.parameters.items():
                self._gradients.views[f"layers.0.{name}"][...] += gradient
            self._add_by_traces(back.state)
        self._move_traces(own, x, state)
        for name, array in self._states.views.items():
            array[...] = step.state[name]
        return done

    def _score(self, batch: Batch, t: int, *, x: Array, output: Array, share: float) -> tuple[_Step, Array]:
        """Add the gradients of the output layer; return what a scored step gives, and dL/d output, (1, H)."""
        p, g, loss = self._parameters.views, self._gradients.views, self.network.loss_function
        read = {"head.W": output, "head.V": x}
        y = np.asarray(sum(given @ p[name] for name, given in read.items() if name in p) + p.get("head.b", 0))
        targets = batch.targets[:, t] if self.network.return_sequences else batch.targets
        targets = targets if loss.integer_targets else targets.astype(y.dtype)
        dy = loss.gradient(y, targets) * y.dtype.type(share)  # (1, O)
        for name, given in read.items():
            if name in g:
                g[name][...] += given.T @ dy
        if "head.b" in g:
            g["head.b"][...] += dy[0]
        value, is_wrong = float(loss.values(y, targets)[0]), False
        if self.stream.tolerance is not None:
            is_wrong = bool(too_far(loss.answers(y), targets, self.stream.tolerance)[0])
        return _Step(value, y[0], is_wrong), dy @ p["head.W"].T

    def _add_by_traces(self, flow: Mapping[str, Array]) -> None:
        """Add, for what flows to each unit of the states before the step, that times its traces."""
        for (number, state), (rows, units) in self.traces.shapes.items():
            source, first = self.traces.sources[number], 0
            whole = flow[state] * self._traces.views[f"{number} {state}"]  # (R, H)
            summed = whole.reshape(rows, source.width, units // source.width).sum(axis=-1)  # units that share a feature
            for operand, name in source.products:
                self._gradients.views[f"layers.0.{name}"][...] += summed[first : first + operand.width]
                first += operand.width
            for name in source.vectors:
                self._gradients.views[f"layers.0.{name}"][...] += summed[-1]

    def _move_traces(self, own: Mapping[str, Array], x: Array, state: Mapping[str, Array]) -> None:
        """Take the traces from those before the step to those after it."""
        nodes, old = self.traces.nodes, {name: array.copy() for name, array in self._traces.views.items()}
        leaves = {node: x for node in ordered(nodes) if node.operation == "input"}
        leaves |= {node: state[node.detail] for node in ordered(nodes) if node.operation == "state"}
        found = evaluate(nodes, leaves, xp=NUMPY, parameters=own)
        for (number, name), shape in self.traces.shapes.items():
            source, new = self.traces.sources[number], np.zeros(shape, x.dtype)
            if name in source.slopes:
                read = [found[operand] for operand, _ in source.products] + [np.ones_like(x[:, :1])] * bool(
                    source.vectors
                )
                new += np.concatenate(read, axis=1).T * found[source.slopes[name]]
            for (after, before), node in self.traces.keeps.items():
                if after == name and (number, before) in self.traces.shapes:
                    new += found[node] * old[f"{number} {before}"]
            self._traces.views[f"{number} {name}"][...] = new

    def _clip(self) -> float:
        """Clip the gradient, and return its norm before."""
        recipe, gradients = self._recipe, self._gradients.flat
        norm = clip_by_global_norm(gradients, recipe.clip_norm if recipe.clip_norm is not None else np.inf)
        if recipe.clip_value is not None:
            clip_by_value(gradients, recipe.clip_value)
        return norm
