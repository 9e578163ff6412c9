"""A diagnosis as one JSON object; a number that is not finite is null, and a complex one is a pair."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

import numpy as np

from rnnlab.inspection.diagnoses.findings import Diagnosis


def as_json(found: Diagnosis) -> dict[str, Any]:
    """Return all that was found as plain data, by the names of `rnnlab.inspection.diagnoses.findings`."""
    told = _plain(found)
    assert isinstance(told, dict)
    return told


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        pairs = np.stack([value.real, value.imag], axis=-1) if np.iscomplexobj(value) else value
        return _plain(pairs.tolist())
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
