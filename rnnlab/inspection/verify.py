"""Whether all backends compute the same numbers for one config, from outputs to weights after training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends import BACKENDS
from rnnlab.backends._output import raw_outputs
from rnnlab.backends.base import AbstractModel, Network, Training
from rnnlab.backends.keras import KerasBackend
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, usual_engine
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch, within_lengths
from rnnlab.core.namespace import FrozenNamespace
from rnnlab.core.streams import stream
from rnnlab.training.source import Source

Array = NDArray[Any]
_REFERENCE = "numpy"
_STEP = 1e-5  # of a central difference
_DIFFERENCES = 1e-6  # for central differences, always taken in float64
# Largest relative difference that two orders of the same sums may make: outputs and states, loss and gradients,
# weights after training.
_TOLERANCES = {"float64": (1e-12, 1e-9, 1e-8), "float32": (1e-5, 1e-4, 1e-3)}
# A long recurrence can amplify a rounding error beyond any fixed tolerance. How far is measured: the reference runs
# once more from parameters rounded once, and other backends may differ by this many times what that changes.
_ROUNDINGS = 32.0
# That goes up to this difference and no further: beyond it not even a first digit would be compared, and a reference
# that is wrong in another way at every call would raise the tolerance itself. An array far smaller than the largest of
# its kind, as a gradient that is zero but for rounding, counts as this part of the largest there.
_MOST, _PART = 0.5, 0.1
# A slope ahead and one behind differ in proportion to the step where the loss is smooth, and whatever the step at a
# kink, such as that of a relu: there the gradient is one of many, and central differences may give another.
_KINK = 0.55  # of the difference is left at half the step; one half where the loss is smooth
_NOISE = 1e3 * float(np.finfo("f8").eps) / _STEP  # times the loss: what rounding may do to a slope, amply


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    Attributes:
        what: What was compared, e.g. `gradient of layers.0.U`.
        against: The other side: a backend, or `central differences`.
        difference: Largest absolute difference over the largest absolute value.
        rounding: What rounding the parameters once changes on the reference itself, in the same unit.
        kink: Whether the loss has a kink here, so that central differences decide nothing.
    """

    what: str
    against: str
    difference: float
    rounding: float
    tolerance: float
    kink: bool = False

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance; a nan is not. What is left out for a kink passes."""
        return self.kink or self.difference <= self.tolerance


def verify(experiment: Experiment, *, steps: int = 20, backends: Sequence[str] | None = None) -> Iterator[Check]:
    """Compare the backends with each other, and the gradient with central differences, on a config's own batches.

    Every backend starts from the same parameters and sees the same batches as a training of this config would.

    Args:
        experiment: The config; where its backend is not `keras`, Keras runs on the engine that is installed.
        steps: Updates after which the weights are compared, at least 1.
        backends: Which are compared with NumPy; left out, all.
    """
    if experiment.backend != KerasBackend.name:
        experiment = experiment.model_copy(update={"engine": usual_engine()})
    task = experiment.build_task()
    network = experiment.network()
    # Engines are compared by updates per sequence, which all have; central differences are of the stream's gradient.
    parameters, recipe = network.draw(experiment.seed), replace(_recipe(experiment), stream=None)
    source = Source.of(experiment, task)
    batches = [source.batches(step, 1) for step in range(steps)]

    is_named = experiment.engine != DEFAULT_ENGINE
    labels = {KerasBackend.name: f"{KerasBackend.name} on {experiment.engine}"} if is_named else {}

    def figures(backend: str, start: dict[str, Array]) -> dict[str, Array]:
        built = experiment.model_copy(update={"backend": backend}).build_backend()
        with built.running():
            return _figures(built.build(network, parameters=start, training=recipe), batches)

    expected = figures(_REFERENCE, parameters)
    rounded = figures(_REFERENCE, _rounded_once(parameters, experiment.seed))
    for name in BACKENDS.names() if backends is None else backends:
        if name != _REFERENCE:
            for what, got in figures(name, parameters).items():
                rounding = _relative(expected[what], rounded[what])
                raised = min(_ROUNDINGS * rounding, _most(what, expected))
                tolerance = max(_fixed_tolerance(what, network.precision), raised)
                yield Check(what, labels.get(name, name), _relative(expected[what], got), rounding, tolerance)
    yield from _central_differences(experiment, network, batches[0])


def _recipe(experiment: Experiment) -> Training:
    """Return how parameters are updated, but for the regularizer: its gradient is none of the loss."""
    return replace(experiment.recipe(), gradient_regularizer=None)


def _figures(model: AbstractModel, batches: list[Batch]) -> dict[str, Array]:
    first = batches[0]
    prediction = model.predict(first.inputs, first.lengths, states=True)
    loss, gradients = model.loss_and_gradients(first)
    inside = within_lengths(first.lengths, first.inputs.shape[1])
    figures = {"outputs": prediction.outputs[inside] if model.network.return_sequences else prediction.outputs}
    figures |= {f"state {name}": array for name, array in prediction.states.items()}
    figures |= {"loss": np.array(loss)} | {f"gradient of {name}": array for name, array in gradients.items()}
    for batch in batches:
        model.train_step(batch)
    return figures | {f"after {len(batches)} steps, {name}": array for name, array in model.parameters().items()}


def _fixed_tolerance(what: str, precision: str) -> float:
    exact, close, trained = _TOLERANCES[precision]
    if what.startswith("after"):
        return trained
    return close if what == "loss" or what.startswith("gradient") else exact


def _most(what: str, figures: dict[str, Array]) -> float:
    """Return the largest difference to which rounding may raise the tolerance of an array, in the array's own unit."""
    kind = what.split()[0]
    largest = max(_size(array) for name, array in figures.items() if name.split()[0] == kind)
    return _MOST * max(1.0, _PART * largest / (_size(figures[what]) or 1.0))


def _rounded_once(parameters: dict[str, Array], seed: int) -> dict[str, Array]:
    return {
        name: array + np.spacing(array) * stream(seed, f"verify/rounding/{name}").choice([-1, 1], array.shape)
        for name, array in parameters.items()
    }


def _central_differences(experiment: Experiment, network: Network, batch: Batch) -> Iterator[Check]:
    """Compare each parameter's gradient with the slope of the loss along one random direction, in float64.

    What the equation gives to `stop_gradient` has the values of the start in every run, as the gradient assumes; so
    have the states in which a window of truncated back-propagation begins.
    """
    double = replace(network, precision="float64")
    start, xp, recipe = double.draw(experiment.seed), FrozenNamespace(), _recipe(experiment)
    engine = NumpyBackend(options=experiment.numpy)
    with engine.running():
        model = engine.build(double, parameters=start, training=recipe)
        _, gradients = model.loss_and_gradients(batch)
    loss = _loss(double, start, batch=batch, xp=xp, recipe=recipe)
    for name, value in start.items():
        direction = stream(experiment.seed, f"verify/direction/{name}").normal(size=value.shape)
        direction /= np.linalg.norm(direction)
        slopes, jumps = [], []
        for step in (_STEP, _STEP / 2):
            ahead, behind = (
                _loss(
                    double, {**start, name: value + sign * step * direction}, batch=batch, xp=xp.again(), recipe=recipe
                )
                for sign in (1, -1)
            )
            slopes.append((ahead - behind) / (2 * step))
            jumps.append(abs((ahead - loss) - (loss - behind)) / step)
        slope = (4 * slopes[1] - slopes[0]) / 3  # Richardson: the error falls with the fourth power of the step
        scale = max(float(np.linalg.norm(gradients[name])), 1e-4)  # along one direction it may be near zero by chance
        difference = abs(float((gradients[name] * direction).sum()) - slope) / scale
        noise = abs(slopes[1] - slopes[0]) / scale
        tolerance = max(_DIFFERENCES, noise)
        has_kink = jumps[1] > max(_KINK * jumps[0], _DIFFERENCES * scale, _NOISE * abs(loss))
        kink = difference > tolerance and has_kink
        yield Check(f"gradient of {name}", "central differences", difference, noise, tolerance, kink)


def _loss(
    network: Network, parameters: dict[str, Array], *, batch: Batch, xp: FrozenNamespace, recipe: Training
) -> float:
    """Return what the gradient of a batch is of, by the cell's own `step`, so that `xp` sees what it stops."""
    x, cell, window = batch.inputs.swapaxes(0, 1), network.cell, recipe.bptt_steps  # (T, B, I)
    for layer in range(cell.options.layers):
        own = {name: parameters[f"layers.{layer}.{name}"] for name in network.layer_parameters(layer)}
        state, outputs = cell.initial_state(np, batch.size, network.dtype), []
        for t, inputs in enumerate(x):
            if window is not None:
                begins = ((batch.lengths - t) % window == 0)[:, None]  # (B, 1)
                state = {name: np.where(begins, xp.stop_gradient(array), array) for name, array in state.items()}
            step = cell.step(xp, own, inputs, state)
            state = step.state
            outputs.append(step.output)
        x = np.stack(outputs)  # (T, B, H)
    scored = raw_outputs(parameters, x.swapaxes(0, 1)[batch.mask], batch.inputs[batch.mask])  # (N, O)
    targets = batch.targets[batch.mask] if network.return_sequences else batch.targets
    losses = network.loss_function.values(scored, targets)
    return float(losses.sum()) / (batch.size if recipe.sums_steps else losses.size)


def _relative(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max()) / (_size(ours) or 1.0)


def _size(array: Array) -> float:
    return float(np.abs(array).max())
