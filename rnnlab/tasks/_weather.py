"""A synthetic year of hourly weather whose unpredictable part is known in closed form."""

from functools import cached_property
from typing import Any, Self

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.losses import sigmoid
from rnnlab.core.streams import stream
from rnnlab.tasks.base import Part, Reference, SuccessRule, Threshold, always, last_step, too_short

DAY, YEAR = 24, 8760  # hours; 365 whole days, so that every hour of the day is equally frequent
STATIONS = 12
FEATURES = STATIONS + 2
SEASON = STATIONS + 1  # the yearly clock
DAILY, YEARLY, NOISE = 0.8, 0.8, 0.6  # amplitude, amplitude, standard deviation: 0.8²/2 + 0.8²/2 + 0.6² = 1
KEEP = 0.9  # of this hour's weather, in the next hour
ARRIVING, DELAY = 0.8, 3  # of a shock at station 1, at station 0, hours later


class Weather:
    """Twelve stations with a daily cycle, a yearly cycle and weather, and two clocks.

    At hour t of the year, at station j:

        x_j(t) = 0.8·cos(2π(t - 3 - j)/24) + 0.8·cos(2π(t - 720 - 480j)/8760) + w_j(t)
        w_j(t) = 0.9·w_j(t-1) + 0.6·√(1 - 0.9²)·e_j(t)          so that w_j has a standard deviation of 0.6
        e_0(t) = 0.8·e_1(t-3) + 0.6·f(t);   e_1 … e_11 and f are independent, U[-√3, √3], so of variance 1
        x_12(t) = cos(2πt/24),   x_13(t) = cos(2πt/8760)

    The weather of station 1 reaches station 0 three hours later. A clock determines the time only together with its
    direction, rising or falling. Every window starts at a uniform hour of the year. Mean 0 and variance 1 for each
    station.

    With a = 0.9^h the loss h hours ahead is: 1 for the constant 0; for persistence
    0.64·(1 - cos(2πh/24)) + 0.64·(1 - cos(2πh/8760)) + 0.72·(1 - a); 0.36·(1 - a²) when the time and the
    present weather at station 0 are known; less, by least squares, when the present weather at station 1 is known too:
    the weather of the two has the covariance 0.36·0.8·0.9³ now, and that at station 0 in h hours has
    0.36·0.8·0.9^|h-3| with that at station 1 now. What arrives from station 1 in the next m = min(h, 3) hours explains
    0.64 of what those hours add, 0.36·0.9^(2(h-m))·(1 - 0.9^(2m)); the rest is the loss of the oracle.

    These know the time, which takes two readings of a clock. The present alone leaves two hours of the year, before and
    after its turn. The weather at all twelve stations, as each implies it, gives how likely they are. The mean of the
    two forecasts, weighted by that, is the baseline. Its loss is measured, on 20,000 hours of its own: by how much its
    squared distance from the oracle exceeds that of the forecast that knows the time.

    Args:
        horizon: h, hours from the last input to the target, 1 or more.
    """

    features = FEATURES
    names = (*(f"station {n}" for n in range(STATIONS)), "clock of the day", "clock of the year")
    target = 0
    scaling = None
    solved: SuccessRule
    default_timesteps = (120, 120)

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.known_now = NOISE**2 * (1 - KEEP ** (2 * horizon))
        self._arriving = min(horizon, DELAY)
        added = NOISE**2 * KEEP ** (2 * (horizon - self._arriving)) * (1 - KEEP ** (2 * self._arriving))
        self.oracle_loss = self.known_now - ARRIVING**2 * added
        self.solved = Threshold({"excess_loss": float(f"{0.1 * self.oracle_loss:.2g}")})
        self.year = _year()

    def success(self, timesteps: Lengths) -> SuccessRule:
        return self.solved

    def warnings(self, timesteps: Lengths) -> list[str]:
        return []

    def facts(self) -> dict[str, Any]:
        return {}

    def part(self, part: Part) -> Self:
        return self

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, DELAY + 1, f"station 1 reaches station 0 after {DELAY} hours")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest, rows = timesteps[1], np.arange(batch_size)
        lengths = draw_lengths(rng, batch_size, timesteps)
        start = rng.integers(0, YEAR, size=batch_size)
        weather = _draw_weather(rng, batch_size=batch_size, hours=longest + self.horizon)  # (T + h, B, 12)
        inputs = self.year[(start[:, None] + np.arange(longest)) % YEAR]  # (B, T, 14)
        inputs[:, :, :STATIONS] += weather[:longest].swapaxes(0, 1)
        inputs[~within_lengths(lengths, longest)] = 0.0
        ahead = lengths - 1 + self.horizon
        targets = self.year[(start + ahead) % YEAR, 0] + weather[ahead, rows, 0]
        return Batch(inputs, targets[:, None], last_step_mask(lengths, longest), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        turn = 2 * np.pi * self.horizon
        cycles = DAILY**2 * (1 - np.cos(turn / DAY)) + YEARLY**2 * (1 - np.cos(turn / YEAR))
        persistence = float(cycles + 2 * NOISE**2 * (1 - KEEP**self.horizon))
        constant = (DAILY**2 + YEARLY**2) / 2 + NOISE**2
        references = (
            Reference("constant: the mean", constant, always(0.0)),
            Reference("persistence: the last value again", persistence, last_value),
            Reference("knows the time and the weather", self.known_now, self._present, needs_memory=True),
            Reference("measured: the present of all stations", self._measured, self._memoryless),
            Reference("knows the time and the weather of two stations", self._both_now, self._pair, needs_memory=True),
        )
        # Half a day ahead the last value is worse than the mean.
        return tuple(sorted((one for one in references if one.loss <= constant), key=lambda one: -one.loss))

    def correct(self, outputs: Array, batch: Batch) -> Array:
        return np.asarray(np.abs(outputs - self.oracle(batch))[:, 0] < 0.1)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        return {"excess_loss": float(np.square(outputs - self.oracle(batch)).mean())}

    def oracle(self, batch: Batch) -> Array:
        hours = np.arange(-DELAY, 1)
        last = batch.lengths[:, None] - 1
        seen = batch.inputs[np.arange(batch.size)[:, None], last + hours, 1]  # (B, 4): station 1, up to now
        weather = seen - self.year[(_hour(batch)[:, None] + hours) % YEAR, 1]
        shocks = weather[:, 1:] - KEEP * weather[:, :-1]
        fading = KEEP ** (self.horizon - np.arange(1, self._arriving + 1))
        arriving = np.einsum("bk,k->b", shocks[:, : self._arriving], fading)
        return np.asarray(self._present(batch) + ARRIVING * arriving[:, None])

    @cached_property
    def _measured(self) -> float:
        # No input depends on the horizon, and the oracle stands for the target, of which the rest is noise.
        batch = Weather(1).sample(stream(0, "task/forecast/baseline"), batch_size=20_000, timesteps=(DELAY + 1,) * 2)
        best = self.oracle(batch)
        extra = np.square(self._memoryless(batch) - best) - np.square(self._pair(batch) - best)
        return self._both_now + float(extra.mean())

    @cached_property
    def _pair_weights(self) -> tuple[Array, float]:
        """Return how much of the weather at stations 0 and 1 is left, (2,), and the loss of that forecast."""
        now = ARRIVING * KEEP**DELAY
        with_ahead = np.array([KEEP**self.horizon, ARRIVING * KEEP ** abs(self.horizon - DELAY)])
        weights = np.linalg.solve([[1.0, now], [now, 1.0]], with_ahead)
        return weights, float(NOISE**2 * (1 - with_ahead @ weights))

    @property
    def _both_now(self) -> float:
        return self._pair_weights[1]

    def _pair(self, batch: Batch) -> Array:
        return self._from(_hour(batch), last_step(batch))[:, None]

    def _memoryless(self, batch: Batch) -> Array:
        present = last_step(batch)
        hour = np.rint(np.arccos(np.clip(present[:, SEASON], -1, 1)) * YEAR / (2 * np.pi)).astype(int)
        one, other = hour % YEAR, -hour % YEAR
        likely = sigmoid(self._likelihood(one, present) - self._likelihood(other, present))
        return np.asarray(likely * self._from(one, present) + (1 - likely) * self._from(other, present))[:, None]

    def _from(self, hour: Array, present: Array) -> Array:
        """Return the forecasts, (B,), from the hours of the year and the present inputs, (B, 14)."""
        weather = present[:, :2] - self.year[hour, :2]
        left = np.einsum("bk,k->b", weather, self._pair_weights[0])
        return np.asarray(self.year[(hour + self.horizon) % YEAR, 0] + left)

    def _likelihood(self, hour: Array, present: Array) -> Array:
        """Return the logarithm, but for a constant, of how likely the weather is that the hours imply, (B,)."""
        weather = (present - self.year[hour])[:, :STATIONS] / NOISE
        shared = ARRIVING * KEEP**DELAY  # the correlation of stations 0 and 1
        first, second = weather[:, 0], weather[:, 1]
        pair = (first**2 - 2 * shared * first * second + second**2) / (1 - shared**2)
        return np.asarray(-0.5 * (pair + np.square(weather[:, 2:]).sum(axis=1)))

    def _present(self, batch: Batch) -> Array:
        hour = _hour(batch)
        weather = last_value(batch)[:, 0] - self.year[hour, 0]
        return np.asarray(self.year[(hour + self.horizon) % YEAR, 0] + KEEP**self.horizon * weather)[:, None]


def last_value(batch: Batch) -> Array:
    """Return (B, 1): the last input of station 0."""
    return last_step(batch)[:, :1]


def _year() -> Array:
    hour = np.arange(YEAR)[:, None]
    station = np.arange(STATIONS)
    daily = DAILY * np.cos(2 * np.pi * (hour - 3 - station) / DAY)
    yearly = YEARLY * np.cos(2 * np.pi * (hour - 720 - 480 * station) / YEAR)
    return np.hstack([daily + yearly, np.cos(2 * np.pi * hour / DAY), np.cos(2 * np.pi * hour / YEAR)])  # (8760, 14)


def _draw_weather(rng: np.random.Generator, *, batch_size: int, hours: int) -> Array:
    # By linearity the weather at station 0 is 0.8 of that at station 1 three hours before, and 0.6 of one of its own.
    # It starts three hours early, with its stationary variance, so that every hour has the same distribution.
    # Uniform shocks: the oracle's loss is the same as with normal ones, and they are drawn three times as fast.
    weather = rng.random((DELAY + hours, batch_size, STATIONS))
    weather -= 0.5
    weather *= NOISE * np.sqrt(12 * (1 - KEEP**2))
    weather[0] /= np.sqrt(1 - KEEP**2)
    for t in range(1, len(weather)):
        weather[t] += KEEP * weather[t - 1]
    weather[DELAY:, :, 0] *= np.sqrt(1 - ARRIVING**2)
    weather[DELAY:, :, 0] += ARRIVING * weather[:-DELAY, :, 1]
    return weather[DELAY:]


def _hour(batch: Batch) -> Array:
    """Return (B,), the hour of the year at the last input, from the last two readings of the yearly clock."""
    rows, last, step = np.arange(batch.size), batch.lengths - 1, 2 * np.pi / YEAR
    cosine = batch.inputs[rows, last, SEASON]
    sine = (batch.inputs[rows, last - 1, SEASON] - cosine * np.cos(step)) / np.sin(step)
    return np.asarray(np.rint(np.arctan2(sine, cosine) / step).astype(int) % YEAR)
