"""NumPy's calls for an update rule against the rule's own equation."""

from typing import Any

import numpy as np
import pytest

from rnnlab.backends.numpy import updating
from rnnlab.backends.numpy.updating import Update
from rnnlab.optim.rules import OPTIMIZERS
from tests.rule_steps import update

RULES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}), ("sgd", {"momentum": 0.9}), ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("adam", {}), ("adam", {"amsgrad": True}), ("adamw", {"weight_decay": 0.5}), ("rmsprop", {}),
    ("rmsprop", {"centered": True}), ("rmsprop", {"centered": True, "momentum": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("name", "options"), RULES)
def test_steps_are_those_of_the_equation(
    monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any], dtype: str
) -> None:
    """Bit-identical, also where the vectors are computed in pieces, the last of which is shorter."""
    monkeypatch.setattr(updating, "_PIECE", 8)
    kind, rng = OPTIMIZERS.get(name), np.random.default_rng(3)
    rule, size = kind(kind.Options(**options)), 19
    parameters, gradients = rng.normal(size=size).astype(dtype), np.empty(size, dtype)
    slots, decays = rule.initial_slots(size, dtype), rng.random(size) < 0.5
    own = {"parameters": parameters.copy(), **{name: slot.copy() for name, slot in slots.items()}}
    calls = Update(rule, {**own, "gradients": gradients, "decays": decays})
    for number in range(1, 6):
        gradients[:] = rng.normal(size=size)
        update(rule, parameters, gradients, slots, learning_rate=0.1 / number, decays=decays)
        calls.step(number, 0.1 / number)
        for which, right in {"parameters": parameters, **slots}.items():
            assert which == "step" or np.array_equal(own[which], right), which
