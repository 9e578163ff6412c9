"""The carry cell's four gates side by side in one matrix, as every framework's own LSTM has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.bench.work import Work

Array = NDArray[Any]
_GATES = "ifko"  # the two that take the recurrent activation first: one call for both


def merged(work: Work) -> dict[str, Array]:
    """Return the work's parameters, of a carry cell W (I, 4H), U (H, 4H), b (4H,) and Vo (H, H) in each layer."""
    parameters = work.parameters()
    if work.cell.type != "carry":
        return parameters
    together = {name: parameters[name] for name in parameters if name.endswith(".Vo") or name.startswith("head.")}
    for layer in range(work.cell.layers):
        for kind in "WUb":
            parts = [parameters[f"layers.{layer}.{kind}{gate}"] for gate in _GATES]
            together[f"layers.{layer}.{kind}"] = np.concatenate(parts, axis=-1)
    return together


def parted(work: Work, arrays: Mapping[str, Any]) -> dict[str, Array]:
    """Return arrays shaped like `merged`, its gradients, by the parameters' own names."""
    found: dict[str, Array] = {}
    for name, given in arrays.items():
        array = np.asarray(given)
        if work.cell.type == "carry" and not name.endswith("Vo") and not name.startswith("head."):
            parts = np.split(array, len(_GATES), axis=-1)
            found |= {f"{name}{gate}": part for gate, part in zip(_GATES, parts, strict=True)}
        else:
            found[name] = array
    return found
