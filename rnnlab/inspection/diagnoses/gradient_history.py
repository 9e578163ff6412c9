"""The gradient by lag as it was recorded during the training: how far back a network learns to learn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.errors import UsageError
from rnnlab.core.figure import Axis, Heat, Panel
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Inspected, Numbers, shortened
from rnnlab.inspection.diagnoses.gradient import power
from rnnlab.runs.run import Run
from rnnlab.training.gradient_by_lag import LAGS, PREFIX

_LOWEST = -12.0  # power of ten


@final
@dataclass(frozen=True, slots=True)
class GradientHistory:
    """The gradient by lag over a training.

    Attributes:
        steps: (N,) the steps of the evaluations.
        lags: (K,) steps back from the last scored one.
        shares: State -> (N, K), as in `GradientByLag`; NaN where there was no gradient, or none that is finite.
    """

    steps: NDArray[np.int64]
    lags: NDArray[np.int64]
    shares: Mapping[str, Numbers]


def recorded_gradient(run: Run) -> GradientHistory:
    """Return what a run with `training.record: gradient` recorded.

    Raises:
        UsageError: It recorded none.
    """
    records: list[Any] = [record for record in run.records if LAGS in record]
    if not records:
        raise UsageError(f"{run.name} recorded no gradient", hint="train with `training: {record: gradient}`")
    states = [name.removeprefix(PREFIX) for name in records[0] if name.startswith(PREFIX) and name != LAGS]
    return GradientHistory(
        steps=np.array([record["step"] for record in records]),
        lags=np.array(records[0][LAGS]),
        shares={state: np.array([record[PREFIX + state] for record in records], np.float64) for state in states},
    )


@final
class RecordedGradient(AbstractDiagnosis[GradientHistory]):
    """The gradient by lag at each evaluation of the training."""

    position = 15
    is_default = False
    needs_sequences = False
    title = "The gradient by lag during training"
    caption = (
        "Each row is an evaluation during the training. Light colours: much of the gradient is left at that lag. The "
        "colours span the values that occur, up to 1; less than 10⁻¹² is drawn as 10⁻¹²."
    )

    def compute(self, inspected: Inspected) -> GradientHistory:
        return recorded_gradient(inspected.run)

    def sentences(self, found: GradientHistory) -> list[str]:
        lines = []
        for name, shares in shortened(found.shares).items():
            first, last = (f"{power(float(shares[at, -1]))} at step {found.steps[at]:,}" for at in (0, -1))
            lines.append(f"{name}: of the gradient {found.lags[-1]:,} steps back, {first} and {last} are left.")
        return lines

    def panels(self, found: Mapping[str, GradientHistory]) -> list[Panel]:
        return [
            _panel(f"{heading}: {name}".removeprefix(": "), one, shares)
            for heading, one in found.items()
            for name, shares in shortened(one.shares).items()
        ]


def _panel(title: str, one: GradientHistory, shares: Numbers) -> Panel:
    with np.errstate(divide="ignore"):
        powers = np.clip(np.log10(shares), _LOWEST, 0)
    known = powers[np.isfinite(powers)]
    lowest = float(known.min()) if known.size else _LOWEST
    label = "log10 of the share left (0: or more)" + (" (-12: or less)" if lowest == _LOWEST else "")
    heat = Heat(one.lags, one.steps, powers, label, (lowest, 0))
    return Panel(Axis("lag: steps back from the last"), Axis("training step"), heat=heat, title=title)


DIAGNOSIS = RecordedGradient()
