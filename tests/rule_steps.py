"""A step of an update rule by its own equation, in place."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.optim.rules.base import AbstractOptimizer

Array = NDArray[Any]


def update(
    rule: AbstractOptimizer[Any],
    parameters: Array,
    gradients: Array,
    slots: Mapping[str, Array],
    *,
    learning_rate: float,
    decays: Array | bool = True,
) -> None:
    slots["step"][0] += 1
    # A NumPy float64 scalar would lift float32 arithmetic to float64; a Python number does not.
    numbers = {name: float(one) for name, one in rule.numbers(int(slots["step"][0]), learning_rate).items()}
    vectors = {"parameters": parameters, **{name: slots[name] for name in rule.slot_names()}}
    for name, new in rule.move(np, {**vectors, "gradients": gradients, "decays": decays}, numbers).items():
        vectors[name][...] = new
