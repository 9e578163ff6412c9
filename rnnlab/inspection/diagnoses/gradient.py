"""The gradient of the last step's loss by lag: the vanishing gradient."""

from collections.abc import Mapping
from math import isfinite
from typing import final

import numpy as np

from rnnlab.core.figure import Axis, Level, Line, Panel
from rnnlab.core.table import UNKNOWN, Table, table
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, shortened
from rnnlab.training.gradient_by_lag import GradientByLag, gradient_by_lag

_LITTLE = 0.01  # of the gradient of the nearest step
_VANISHED = 1e-6  # of it: about what single precision resolves
_LOWEST = 1e-12  # share that is drawn as vanished
_LAGS = (1, 10, 20, 50, 100)  # in the table
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@final
class Gradient(AbstractDiagnosis[GradientByLag]):
    """How much of the gradient reaches the steps before the last one."""

    position = 10
    is_in_report = True
    is_plotted_in_terminal = True
    title = "How much of the gradient reaches the past"
    caption = (
        "A network learns by its gradient: how its error would change if its state at some step were different. "
        "Each line shows how much of a sequence's gradient is left some steps before the answer, as a share of that "
        "at the nearest step; h is the state, the cell's last output, and c the carry. A line that falls by many "
        "powers of ten has vanished: the network, as it is now, cannot learn from what happened so long ago."
    )

    def compute(self, inspected: Inspected) -> GradientByLag:
        return gradient_by_lag(inspected.unrolled, inspected.arrays, inspected.batch, inspected.task.loss)

    def sentences(self, found: GradientByLag) -> list[str]:
        return [_reach(name, *one) for name, one in _shares(found).items()]

    def conclusion(self, found: GradientByLag) -> list[str]:
        """Return the sentence of the state through which most of the gradient arrives."""
        shares = _shares(found)
        name = max(shares, key=lambda name: float(shares[name][1][-1]), default="")
        return [_reach(name, *shares[name])] if name else []

    def table(self, found: GradientByLag) -> Table:
        rows = []
        for name, (lags, shares, *_) in _shares(found).items():
            known = dict(zip(lags.tolist(), map(power, shares.tolist()), strict=True))
            rows.append([name, *map(known.get, _LAGS)])
        return table(["share left at lag", *map(str, _LAGS)], rows)

    def panels(self, found: Mapping[str, GradientByLag]) -> list[Panel]:
        lines: list[Line] = []
        for place, (heading, one) in enumerate(found.items()):
            for number, (name, (lags, *parts)) in enumerate(_shares(one).items()):
                shares, low, high = (np.maximum(part, _LOWEST) for part in parts)
                label = f"{heading}: {name}".removeprefix(": ")
                lines.append(Line(label, lags, shares, place, number, low=low, high=high))
        has_vanished = any(np.nanmin(line.low) <= _LOWEST for line in lines if line.low is not None)
        return [
            Panel(
                Axis("lag: steps back from the last"),
                Axis("remaining share of the gradient norm", log=True),
                lines,
                levels=[Level(_LOWEST, "vanished: 10⁻¹² or less, drawn as 10⁻¹²")] if has_vanished else [],
                note="band: 10 to 90 % of sequences",
            )
        ]


def _shares(found: GradientByLag) -> dict[str, tuple[Array, ...]]:
    """Return state -> the lags at which there is a gradient, and its share there: the median, low and high."""
    shares = {}
    for name, state in shortened({state: state for state in found.share}).items():
        if (known := np.isfinite(found.share[state])).any():
            parts = found.lags, found.share[state], found.low[state], found.high[state]
            shares[name] = tuple(part[known] for part in parts)
    return shares


def _reach(name: str, lags: Array, shares: Array, *_: Array) -> str:
    left = f"{name}: {power(float(shares[-1]))} of the gradient is left {lags[-1]:,} steps back"
    if shares[-1] >= _LITTLE:
        return f"{left}. What happened there can be learned through {name}."
    lost = int(lags[np.flatnonzero(shares < _LITTLE)[0]])
    lesson = f"It has vanished: what happened there is not learned through {name}."
    if shares[-1] >= _VANISHED:
        lesson = f"That is little: what happened there is hardly learned through {name}."
    return f"{left}, and less than 1 % at lag {lost:,} already. {lesson}"


def power(share: float) -> str:
    """Return a share as percent, or as a power of ten where it is small.

    Example:
        >>> power(1.36), power(0.75), power(0.0123), power(2.1e-33)
        ('136 %', '75 %', '1.2 %', '2 · 10⁻³³')
    """
    if not isfinite(share):
        return UNKNOWN
    if share >= 1e-3 or share == 0:
        return f"{100 * share:,.0f} %" if share >= 1 else f"{100 * share:.2g} %"
    digit, _, exponent = f"{share:.0e}".partition("e")
    return f"{digit} · 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


DIAGNOSIS = Gradient()
