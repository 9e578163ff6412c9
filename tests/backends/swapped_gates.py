"""A mistake to be found: two gates of the carry cell in each other's place, forward and backward alike."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pytest

from rnnlab.backends.numpy.fast.layer import FastLayer
from rnnlab.cells.base import StepGradients
from rnnlab.cells.carry import Carry
from rnnlab.equations import plan


def swapped(arrays: Mapping[str, Any], pair: str) -> dict[str, Any]:
    """Return the arrays, W, U and b of the two gates having changed names."""
    a, b = pair
    trade = {f"{kind}{x}": f"{kind}{y}" for kind in "WUb" for x, y in ((a, b), (b, a))}
    return {name: arrays[trade.get(name, name)] for name in arrays}


def in_the_cell(patch: pytest.MonkeyPatch, pair: str) -> None:
    """Make the mistake in the equation itself."""
    step, step_vjp = Carry.step, Carry.step_vjp

    def wrong_vjp(self: Carry, xp: Any, parameters: Any, saved: Any, **gradients: Any) -> StepGradients:
        back = step_vjp(self, xp, swapped(parameters, pair), saved, **gradients)
        return StepGradients(swapped(back.parameters, pair), back.inputs, back.state)

    for name in ("_step", "_plan"):  # else other tests would get the wrong plan
        patch.setattr(plan, name, lru_cache(getattr(plan, name).__wrapped__))
    patch.setattr(Carry, "step", lambda self, xp, p, inputs, state: step(self, xp, swapped(p, pair), inputs, state))
    patch.setattr(Carry, "step_vjp", wrong_vjp)


def in_the_kernel(patch: pytest.MonkeyPatch, pair: str) -> None:
    """Make the mistake in NumPy's fast kernel."""
    make = FastLayer.__init__

    def wrong_init(self: FastLayer, plan: Any, parameters: Any, gradients: Any) -> None:
        make(self, plan, swapped(parameters, pair), swapped(gradients, pair))

    patch.setattr(FastLayer, "__init__", wrong_init)


def in_the_derived_layer(patch: pytest.MonkeyPatch, pair: str) -> None:
    """Make the mistake in the layer that Keras's engines run."""
    from rnnlab.backends.keras.derived.layer import DerivedLayer
    from rnnlab.backends.keras.form import Compiled

    call = DerivedLayer.__call__

    def wrong(self: Any, parameters: Any, *given: Any, **named: Any) -> Any:
        own = swapped(dict(zip(self.names, parameters, strict=True)), pair)
        return call(self, [own[name] for name in self.names], *given, **named)

    patch.setattr("rnnlab.backends.keras.model.compiled", Compiled)  # else that of an earlier test might be used
    patch.setattr(DerivedLayer, "__call__", wrong)
