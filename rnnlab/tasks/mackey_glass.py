"""The Mackey-Glass series, 84 steps ahead: a chaotic series that is predictable from its past."""

from copy import copy
from functools import cache, partial
from typing import Self

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, within_lengths
from rnnlab.tasks._fitted import Predictor, fitted
from rnnlab.tasks.base import AbstractTask, Part, Published, Reference, TaskOptions, Threshold, too_short

DELAY = 17
GAIN, DECAY = 0.2, 0.1
START = 1.2
SUBSTEPS = 10
TRANSIENT, TRAINING, VALIDATION, TEST = 1020, 12_000, 4_000, 4_000
# Two delays: as many samples determine the state of the equation.
WARM_UP = 2 * DELAY
_PARTS = {
    "train": slice(TRAINING),
    "validation": slice(TRAINING, TRAINING + VALIDATION),
    "test": slice(TRAINING + VALIDATION, None),
}


class MackeyGlassOptions(TaskOptions):
    """The horizon."""

    horizon: int = Field(84, ge=1, le=500, description="steps from the newest input to the target")


class MackeyGlass(AbstractTask):
    """Mackey-Glass series, 84 steps ahead.

    Input: the normalised Mackey-Glass series (delay 17, one sample a unit of time) from a random place of a long
    series. Target: its value 84 steps later, at every step from the 35th on. The loss is NRMSE².

        x'(t) = 0.2·x(t-17)/(1 + x(t-17)¹⁰) - 0.1·x(t),   x(t) = 1.2 for t ≤ 0,   one sample a unit of time

    One orbit of 21,020 samples is computed once: 1,020 are left out, 12,000 are for training, 4,000 for validation and
    4,000 for a test, and no window and no target crosses from one to another. A window starts anywhere in its part. x
    has mean 0 and variance 1 over the training samples. The reference predictors are fitted to the training samples;
    their losses are exact for the windows that can be drawn from the validation samples.

    What the literature calls NRMSE at 84 is the root of this loss: the error 84 steps after the last known value, in
    standard deviations. The best constant scores 1 in that unit and persistence, about 1.65, is worse; the baseline is
    a curve through the present value, fitted, which leaves 0.83. The first 34 steps are not scored: the equation's
    state is a whole delay of x, with its slopes, which the delay before determines.

    Source: Mackey, Glass 1977; the horizon of 84 after Jaeger, Haas 2004, "Harnessing nonlinearity".
    Differs: Reservoirs are measured by a free run of 84 steps of a one-step model; here the network answers 84 steps
        ahead at once. One step ahead is no test, as a linear regression on 18 past values errs by 6e-4. The success
        rule, an NRMSE of 0.1, is ours.

    Example:
        >>> task = MackeyGlass(MackeyGlassOptions())
        >>> [round(one.loss, 1) for one in task.references((134, 134))]
        [1.0, 0.8, 0.7, 0.2]
    """

    name = "mackey_glass"
    Options = MackeyGlassOptions
    loss = "mse"
    return_sequences = True
    input_features = 1
    output_features = 1
    input_names = output_names = ("x",)
    default_timesteps = (WARM_UP + 100, WARM_UP + 100)
    solved = Threshold({"loss": 0.01})
    published = (Published("Evolino: NRMSE 1.9e-3 at 84 steps; a NumPy re-run reached 0.291", "schmidhuber-problems"),)

    def __init__(self, options: MackeyGlassOptions) -> None:
        super().__init__(options)
        self.horizon = options.horizon
        self.forecasts = (0, options.horizon)
        self._series, self.mean, self.deviation = _normalised()
        self._drawn = self._series[_PARTS["validation"]]

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        longest = VALIDATION - self.horizon
        too_long = f"takes at most {longest:,} steps of the validation part" if timesteps[1] > longest else None
        return too_short(timesteps, WARM_UP + 1, f"the first {WARM_UP} are not scored") or too_long

    def part(self, part: Part) -> Self:
        one = copy(self)
        one._drawn = self._series[_PARTS[part]]
        return one

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest = timesteps[1]
        lengths = draw_lengths(rng, batch_size, timesteps)
        start = rng.integers(0, self._starts(longest), size=batch_size)
        inside = within_lengths(lengths, longest)
        steps = start[:, None] + np.arange(longest)
        inputs, targets = self._drawn[steps] * inside, self._drawn[steps + self.horizon] * inside
        mask = inside & (np.arange(longest) >= WARM_UP)
        return Batch(inputs[:, :, None], targets[:, :, None], mask, lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        known: dict[str, tuple[int, ...]] = {
            "constant: the mean": (),
            "fitted: a straight line through the present value": (0,),
            "fitted: linear in four values, six steps apart": (0, 6, 12, 18),
        }
        references = [
            *(self._reference(name, lags, _line(lags, self.horizon), timesteps) for name, lags in known.items()),
            self._reference("fitted: a curve through the present value", (0,), _curve(self.horizon), timesteps),
        ]
        return tuple(sorted(references, key=lambda reference: -reference.loss))

    def correct(self, outputs: Array, batch: Batch) -> Array:
        """Return which windows have an NRMSE below 0.1."""
        squares = (np.square(outputs - batch.targets)[:, :, 0] * batch.mask).sum(axis=1)
        return np.asarray(squares < 0.01 * batch.mask.sum(axis=1))

    def oracle(self, batch: Batch) -> Array:
        x = batch.inputs[:, :, 0] * self.deviation + self.mean
        outputs = np.zeros(batch.inputs.shape)
        # One step at a time, because a whole solution is a hundred times larger than the value used of it.
        for t in range(WARM_UP, x.shape[1]):
            ahead = continued(x[:, t - WARM_UP : t + 1], self.horizon)[:, -1]
            outputs[:, t, 0] = (ahead - self.mean) / self.deviation
        return outputs

    def _starts(self, longest: int) -> int:
        return len(self._drawn) - longest - self.horizon + 1

    def _reference(self, name: str, lags: tuple[int, ...], predict: Predictor, timesteps: Lengths) -> Reference:
        """Return the reference that predicts from the values `lags` steps back; its loss is that over all windows."""
        weight = self._weight(timesteps)
        now = np.arange(len(weight)) + WARM_UP
        missed = predict(_seen(self._drawn, now, lags)) - self._drawn[now + self.horizon]
        loss = float(weight @ np.square(missed))
        return Reference(name, loss, partial(_predict, lags=lags, predict=predict), needs_memory=any(lags))

    def _weight(self, timesteps: Lengths) -> Array:
        """Return how often each sample is a scored step, over all starts and lengths; from the first scored, sum 1."""
        low, high = timesteps
        step = np.arange(WARM_UP, high)
        reached = np.minimum(1.0, (high - step) / (high - low + 1))  # the share of lengths that have this step
        weight = np.convolve(np.ones(self._starts(high)), reached)
        return np.asarray(weight / weight.sum())


def _predict(batch: Batch, *, lags: tuple[int, ...], predict: Predictor) -> Array:
    outputs, now = np.zeros(batch.inputs.shape), np.arange(WARM_UP, batch.inputs.shape[1])
    for row, series in zip(outputs[:, :, 0], batch.inputs[:, :, 0], strict=True):
        row[now] = predict(_seen(series, now, lags))
    return outputs


def _seen(series: Array, now: Array, lags: tuple[int, ...]) -> Array:
    """Return the values `lags` steps before each step of `now`, (N, lags)."""
    return np.asarray(series[now[:, None] - np.array(lags, dtype=int)])


@cache
def _normalised() -> tuple[Array, float, float]:
    """Return the series with mean 0 and variance 1 over its training samples, their mean and standard deviation."""
    x = orbit(TRANSIENT + TRAINING + VALIDATION + TEST)[TRANSIENT:]
    mean, deviation = float(x[:TRAINING].mean()), float(x[:TRAINING].std())
    return (x - mean) / deviation, mean, deviation


def _training_samples(lags: tuple[int, ...], horizon: int) -> tuple[Array, Array]:
    """Return the values `lags` steps before each step of the training samples, and their targets."""
    series = _normalised()[0][_PARTS["train"]]
    now = np.arange(WARM_UP, TRAINING - horizon)
    return _seen(series, now, lags), series[now + horizon]


@cache
def _line(lags: tuple[int, ...], horizon: int) -> Predictor:
    seen, targets = _training_samples(lags, horizon)
    solution = np.linalg.lstsq(np.insert(seen, 0, 1.0, axis=1), targets, rcond=None)[0]
    return lambda known: np.asarray(solution[0] + known @ solution[1:])


@cache
def _curve(horizon: int) -> Predictor:
    return fitted(*_training_samples((0,), horizon))


def orbit(samples: int, *, substeps: int = SUBSTEPS) -> Array:
    """Return x(1), x(2), … x(samples), (samples,), one per unit of time.

        x'(t) = 0.2·x(t-17)/(1 + x(t-17)¹⁰) - 0.1·x(t),      x(t) = 1.2 for t ≤ 0

    Within one delay, x(t-17) is known and the rest is linear in x, so a Runge-Kutta step of fourth order is a fixed
    linear recurrence and a whole delay is a cumulative sum. Between the grid points of the delay before, x is read off
    its cubic Hermite interpolant, which keeps the order. With ten steps per unit the first 300 samples are correct to
    3e-9.

    Only + - × ÷ are used, which IEEE 754 rounds identically everywhere: otherwise chaos would give another orbit on
    another machine.

    Source: Mackey, Glass 1977, "Oscillation and chaos in physiological control systems".

    Example:
        >>> orbit(2).round(4).tolist()  # q + (1.2 - q)·e^(-t/10), q = 2.4/(1 + 1.2¹⁰) = 0.3337, in the first delay
        [1.1176, 1.043]
    """
    grid, middle = np.full(DELAY * substeps + 1, START), np.full(DELAY * substeps, START)
    return _following(grid, middle, samples)


def continued(history: Array, samples: int, *, substeps: int = 2) -> Array:
    """Return the next `samples` values, (…, samples), after the last 35 of an orbit, (…, 35), all one unit apart.

    The samples of the first delay give the slopes in the second, and so its cubic Hermite interpolant. That is correct
    to 1e-5, which finer steps would not improve.
    """
    now = history[..., DELAY:]
    slope = _production(history[..., : DELAY + 1]) - DECAY * now
    s = np.arange(2 * substeps) / (2 * substeps)
    left, right = now[..., :-1, None], now[..., 1:, None]
    dense = (1 + 2 * s) * (1 - s) ** 2 * left + s**2 * (3 - 2 * s) * right  # (…, 17, 2·substeps)
    dense += s * (1 - s) ** 2 * slope[..., :-1, None] + s**2 * (s - 1) * slope[..., 1:, None]
    dense = np.concatenate([dense.reshape(*now.shape[:-1], -1), now[..., -1:]], axis=-1)
    return _following(dense[..., ::2], dense[..., 1::2], samples)


def _following(grid: Array, middle: Array, samples: int) -> Array:
    """Return the next samples, (…, samples), after x at the grid points of a delay and half way between."""
    series, substeps = [], middle.shape[-1] // DELAY
    for _ in range(-(-samples // DELAY)):
        grid, middle = _next_delay(grid, middle, substeps)
        series.append(grid[..., substeps::substeps])
    return np.concatenate(series, axis=-1)[..., :samples]


def _next_delay(grid: Array, middle: Array, substeps: int) -> tuple[Array, Array]:
    """Return x at the grid points, (…, N + 1), and half way between, (…, N), one delay later."""
    h = 1 / substeps
    z = DECAY * h
    forcing, between = _production(grid), _production(middle)
    # Runge-Kutta of fourth order for x' = F(t) - 0.1·x, with its four stages multiplied out.
    push = (1 - z + z**2 / 2 - z**3 / 4) * forcing[..., :-1] + (4 - 2 * z + z**2 / 2) * between + forcing[..., 1:]
    keep = np.cumprod(np.full(push.shape[-1], 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24))
    start = grid[..., -1:]
    later = np.concatenate([start, keep * (start + np.cumsum(h / 6 * push / keep, axis=-1))], axis=-1)
    slope = forcing - DECAY * later
    halfway = (later[..., :-1] + later[..., 1:]) / 2 + h / 8 * (slope[..., :-1] - slope[..., 1:])
    return later, halfway


def _production(x: Array) -> Array:
    square = x * x
    fourth = square * square
    return np.asarray(GAIN * x / (1 + fourth * fourth * square))


TASKS = (MackeyGlass,)
