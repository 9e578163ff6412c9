"""The gradient by lag as it was recorded during a training."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.comparison.result import Result
from rnnlab.core.errors import UsageError

_PREFIX = "gradient_flow/"
_LAGS = f"{_PREFIX}lags"


@final
@dataclass(frozen=True, slots=True)
class RecordedFlow:
    """Gradient norms over a training.

    Attributes:
        steps: (N,) the steps of the evaluations.
        lags: (K,) steps back from the last scored one.
        norms: State -> (N, K); NaN where the norm was not finite.
    """

    steps: NDArray[np.int64]
    lags: NDArray[np.int64]
    norms: dict[str, NDArray[np.float64]]


def recorded_flow(result: Result) -> RecordedFlow:
    """Return what a run with `training.record: gradient_flow` recorded.

    Raises:
        UsageError: It recorded none.
    """
    records: list[Any] = [record for record in result.records if _LAGS in record]
    if not records:
        hint = "train with `training: {record: gradient_flow}`"
        raise UsageError(f"{result.name} recorded no gradient flow", hint=hint)
    names = [name for name in records[0] if name.startswith(_PREFIX) and name != _LAGS]
    return RecordedFlow(
        steps=np.array([record["step"] for record in records]),
        lags=np.array(records[0][_LAGS]),
        norms={
            name.removeprefix(_PREFIX): np.array([record[name] for record in records], np.float64) for name in names
        },
    )
