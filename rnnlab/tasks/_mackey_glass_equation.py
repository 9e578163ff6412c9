"""The Mackey-Glass delay equation, integrated one delay at a time."""

import numpy as np

from rnnlab.core.batch import Array

DELAY = 17
GAIN, DECAY = 0.2, 0.1
START = 1.2
SUBSTEPS = 10


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
    series = []
    for _ in range(-(-samples // DELAY)):
        grid, middle = _next_delay(grid, middle, substeps)
        series.append(grid[substeps::substeps])
    return np.concatenate(series)[:samples]


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
    grid, middle = dense[..., ::2], dense[..., 1::2]
    series = []
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
