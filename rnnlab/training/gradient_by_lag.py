"""The gradient of the last scored step's loss by lag, computed once or recorded with each evaluation of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends._output import raw_outputs
from rnnlab.backends.base import Network
from rnnlab.backends.numpy.unrolled import Unrolled, layers_of, unroll
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Array, Batch
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask

PREFIX = "gradient/"  # of the names in a record
LAGS = f"{PREFIX}lags"


_SEQUENCES = 16
_MOST_LAGS = 128


@final
@dataclass(frozen=True, slots=True)
class GradientByLag:
    """How much of the gradient of the last scored step's loss is left at the steps before it."""

    # (K,) integers from 0: steps before the last scored one, as far as half of the sequences reach
    lags: NDArray[np.int64]
    # state -> (K,): the median over sequences of the L2 norm, over units, of dL/d state at that lag. A sequence
    # without such a step is not counted
    median: Mapping[str, NDArray[np.float64]]
    # state -> (K,): the median over sequences of that norm as a share of the same sequence's at the nearest lag
    # with a gradient: a loss near 0 makes all of a sequence's gradients small, and that is no vanishing. NaN
    # before that lag
    share: Mapping[str, NDArray[np.float64]]
    # low, high: as `share`, the 10th and the 90th percentile
    low: Mapping[str, NDArray[np.float64]]
    high: Mapping[str, NDArray[np.float64]]


def gradient_by_lag(unrolled: Unrolled, head: Mapping[str, Array], batch: Batch, loss: str) -> GradientByLag:
    """Return how large the gradient of each sequence's last loss is at the states of the steps before.

    Lag 0 is the state after the last scored step itself, lag k the state k steps earlier. Each derivative is total: it
    includes every path from that state to the loss, also through the output of its step where that output is the
    state. The gradient of the last carry is zero, because nothing reads it before the loss. `head`
    has the output layer's parameters by full name, or all of the network.

    Source: Hochreiter 1991, diploma thesis, section 3; Bengio, Simard & Frasconi 1994, IEEE TNN 5:157.

    Example:
        One linear unit with U = 1/2: each step back halves the gradient.

        >>> from rnnlab.backends.base import Network
        >>> from rnnlab.cells.simple import Simple, SimpleOptions
        >>> from rnnlab.backends.numpy.unrolled import layers_of, unroll
        >>> network = Network(Simple(SimpleOptions(units=1, activation="linear")), 1, 1, False, "mse", "float64")
        >>> one = np.ones((1, 1))
        >>> layers = layers_of(network, {"layers.0.W": one, "layers.0.U": one / 2, "layers.0.b": np.zeros(1)})
        >>> batch = Batch(np.ones((1, 3, 1)), np.zeros((1, 1)), np.array([[False, False, True]]), np.array([3]))
        >>> found = gradient_by_lag(unroll(layers, batch.inputs, batch.lengths), {"head.W": one}, batch, "mse")
        >>> found.median["layers.0.h"].tolist()  # the loss is 1.75², its gradient 3.5
        [3.5, 1.75, 0.875]
        >>> found.share["layers.0.h"].tolist()
        [1.0, 0.5, 0.25]
    """
    last = last_scored(batch.mask)
    top = unrolled.steps[-1]
    outputs = np.stack([top[step].output[row] for row, step in enumerate(last)])
    head = {name: np.asarray(array, np.float64) for name, array in head.items() if name.startswith("head.")}
    outputs = raw_outputs(head, outputs, batch.inputs[np.arange(len(last)), last])
    rows = LOSSES[loss].gradient(outputs, _targets(batch, last)) @ head["head.W"].T  # (B, H)
    from_above: list[Array | None] = [
        np.where((last == step)[:, None], rows, 0.0) if (last == step).any() else None for step in range(len(top))
    ]
    norms: dict[str, Array] = {}
    for layer, steps, below in zip(*map(reversed, (unrolled.layers, unrolled.steps, unrolled.inputs)), strict=True):
        nothing = layer.network.cell.initial_state(np, len(last), np.float64)
        state = nothing
        inputs: list[Array | None] = [None] * len(steps)
        lengths = {name: np.zeros((len(last), len(steps))) for name in state}
        for number in reversed(range(len(steps))):
            step, given = steps[number], from_above[number]
            for name, gradient in state.items():
                is_output = given is not None and step.output is step.state[name]
                lengths[name][:, number] = np.linalg.norm(gradient + given if is_output else gradient, axis=-1)
            before = steps[number - 1].state if number else nothing
            back = layer.pulled_back(below[number], before, step, state_gradient=state, output_gradient=given)
            state, inputs[number] = back.state, back.inputs
        from_above = inputs
        norms = {f"{layer.name}.{name}": array for name, array in lengths.items()} | norms
    return _by_lag(norms, last)


def last_scored(mask: Array) -> Array:
    """Return the last scored step of each sequence, (B,), from a mask (B, T).

    Example:
        >>> last_scored(np.array([[True, False, True, False]])).tolist()
        [2]
    """
    return np.asarray(mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1))


def _targets(batch: Batch, last: Array) -> Array:
    per_step = batch.targets.ndim >= 2 and batch.targets.shape[:2] == batch.mask.shape
    if per_step and (batch.targets.ndim == 3 or np.issubdtype(batch.targets.dtype, np.integer)):
        return np.asarray(batch.targets[np.arange(len(last)), last])
    return batch.targets


def _by_lag(norms: Mapping[str, Array], last: Array) -> GradientByLag:
    lags = np.arange(int(np.median(last)) + 1)  # beyond, a few long sequences would stand for all
    at = last[:, None] - lags  # (B, K), below 0 before the start
    found: dict[str, dict[str, Array]] = {"median": {}, "share": {}, "low": {}, "high": {}}
    for name, array in norms.items():
        values = np.where(at >= 0, np.take_along_axis(array, np.maximum(at, 0), axis=1), np.nan)
        found["median"][name] = np.nanmedian(values, axis=0)
        for kind, share in zip(("low", "share", "high"), _shares(values), strict=True):
            found[kind][name] = share
    return GradientByLag(lags, **found)


def _shares(norms: Array) -> Array:
    """Return the 10th, 50th and 90th percentile over sequences of their shares, (3, K), from norms (B, K)."""
    nearest = int(np.argmax((np.nan_to_num(norms) > 0).any(axis=0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = norms / norms[:, nearest, None]
    shares[:, :nearest] = np.nan
    shares[~np.isfinite(shares)] = np.nan
    found, known = np.full((3, norms.shape[1]), np.nan), np.isfinite(shares).any(axis=0)
    found[:, known] = np.nanpercentile(shares[:, known], (10, 50, 90), axis=0)
    return found


@final
class GradientRecorder:
    """Records the gradient by lag during a training, on the same sequences each time."""

    def __init__(self, experiment: Experiment, network: Network, task: AbstractTask) -> None:
        self._network, self._loss = network, task.loss
        longest = experiment.timesteps[1]
        self._batch = task.part("validation").sample(
            stream(experiment.seed, "gradient"), batch_size=_SEQUENCES, timesteps=(longest, longest)
        )

    def record(self, parameters: Mapping[str, Array]) -> dict[str, list[int] | list[float | None]]:
        """Return `gradient/lags`, and for each state the share left at each of these lags; None where there is none."""
        with np.errstate(over="ignore", invalid="ignore"):  # the loss of a network that diverges shows it
            unrolled = unroll(layers_of(self._network, parameters), self._batch.inputs, self._batch.lengths)
            found = gradient_by_lag(unrolled, parameters, self._batch, self._loss)
        places = np.unique(np.linspace(0, len(found.lags) - 1, min(_MOST_LAGS, len(found.lags))).round().astype(int))
        record: dict[str, list[int] | list[float | None]] = {LAGS: found.lags[places].tolist()}
        for name, values in found.share.items():
            record[PREFIX + name] = [float(f"{one:.6g}") if isfinite(one) else None for one in values[places].tolist()]
        return record
