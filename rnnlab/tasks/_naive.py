"""Naive forecasts of recorded series: over which windows they are measured, and the season of a seasonal one."""

from collections.abc import Sequence

import numpy as np

from rnnlab.core.batch import Array, Lengths


def weights_of_rows(parts: Sequence[slice], *, horizon: int, timesteps: Lengths) -> tuple[Array, Array]:
    """Return the rows that can be the last of a window, and how often each is, over all starts and lengths; (N,) each.

    Example:
        >>> rows, weights = weights_of_rows([slice(0, 6)], horizon=1, timesteps=(2, 3))
        >>> rows.tolist(), weights.round(3).tolist()
        ([1, 2, 3, 4], [0.167, 0.333, 0.333, 0.167])
    """
    shortest, longest = timesteps
    lengths = longest - shortest + 1
    rows, weights = [np.zeros(0, int)], [np.zeros(0)]
    for part in parts:
        starts = part.stop - part.start - longest - horizon + 1
        if starts > 0:
            count = starts + lengths - 1
            place = np.arange(count)
            # How many pairs of start and length have this sum.
            weights.append(np.minimum.reduce([place + 1, count - place, np.full(count, min(starts, lengths))]))
            rows.append(part.start + shortest - 1 + place)
    weight = np.concatenate(weights)
    return np.concatenate(rows), weight / weight.sum()


def best_lag(series: Sequence[Array], *, horizon: int, shortest: int) -> int | None:
    """Return the season of these series: the lag at which the value before predicts better than at those around it.

    Of several it is the best. A forecast sees lags from `horizon` to `horizon + shortest - 1`, and the series must have
    two seasons. None where there is no such lag, as in a series that only rises.

    Example:
        >>> months = np.tile([0.0, 3.0, 5.0, 3.0], 12) + np.arange(48) / 2
        >>> best_lag([months], horizon=1, shortest=6), best_lag([np.arange(40.0)], horizon=1, shortest=6)
        (4, None)
    """
    most = horizon + shortest  # one more than is seen, to compare the last with
    squares, counts = np.zeros(most + 1), np.zeros(most + 1)
    for values in series:
        last = min(most, len(values) // 2)
        squares[: last + 1] += _squared_differences(values, last)
        counts[: last + 1] += len(values) - np.arange(last + 1)
    errors = squares[counts > 0] / counts[counts > 0]
    inside = np.arange(horizon + 1, len(errors) - 1)
    lags = inside[(errors[inside] < errors[inside - 1]) & (errors[inside] < errors[inside + 1])]
    return int(lags[errors[lags].argmin()]) if lags.size else None


def _squared_differences(values: Array, last: int) -> Array:
    """Return the sum of squared differences of values `lag` apart, for each lag up to `last`, by Fourier transforms."""
    values = values - values.mean()
    size = 1 << (2 * len(values) - 1).bit_length()
    spectrum = np.fft.rfft(values, size)
    products = np.fft.irfft(np.abs(spectrum) ** 2, size)[: last + 1]
    before = np.concatenate([[0.0], np.cumsum(values**2)])
    lags = np.arange(last + 1)
    return np.asarray(np.maximum(0.0, before[-1] - before[lags] + before[len(values) - lags] - 2 * products))
