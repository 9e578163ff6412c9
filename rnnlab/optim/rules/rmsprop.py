"""RMSprop: divide each gradient by a running root mean square of itself."""

from typing import Any, Final, Literal, final

from pydantic import Field

from rnnlab.optim.rules.base import AbstractOptimizer, Arrays, OptimizerOptions


class RmspropOptions(OptimizerOptions):
    """The numbers of `rmsprop`, with Keras's defaults."""

    type: Literal["rmsprop"] = "rmsprop"
    learning_rate: float = Field(default=0.001, gt=0, le=1e3, description="step size; a schedule multiplies it")
    rho: float = Field(default=0.9, ge=0, lt=1, description="share of the running mean square that is kept")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="share of the last move that is kept")
    epsilon: float = Field(default=1e-7, ge=1e-30, le=1e6, description="added under the root: no division by zero")
    centered: bool = Field(default=False, description="divide by the running deviation, not the root mean square")


@final
class Rmsprop(AbstractOptimizer[RmspropOptions]):
    """Divide the gradient by the root of the running mean of its square.

        v ← r·v + (1-r)·g²
        a ← r·a + (1-r)·g                  (centered)
        d = g / √(v + ε)                   (centered: g / √(max(v - a², 0) + ε))
        θ ← θ - η·d                        (momentum: m ← μ·m + η·d, θ ← θ - m)

    θ parameters, g gradients, v slot `velocity`, a slot `average_gradient`, m slot `momentum`, each (P,) of the
    parameters' dtype; η learning rate; r `rho`; μ `momentum`; ε `epsilon`.

    Source: Tieleman and Hinton 2012, "Neural networks for machine learning", lecture 6.5; centered with momentum:
        Graves 2013, "Generating sequences with recurrent neural networks", section 4.2, eq. 38-41.
    Differs: The lecture has neither ε nor momentum; both are as in Graves and Keras (PyTorch has ε outside the root and
        the learning rate outside the momentum). On paper v - a² cannot be negative; where rounding makes it so we take
        0, and Keras may give nan.

    Example:
        >>> import numpy
        >>> rule = Rmsprop(RmspropOptions(rho=0.75, epsilon=1.25))
        >>> at = {"parameters": 1.0, "gradients": 2.0, "velocity": 0.0}
        >>> float(rule.move(numpy, at, rule.numbers(1, 0.375))["parameters"])  # 1 - 0.375·2/√(0.25·4 + 1.25)
        0.5
    """

    name, keras_name = "rmsprop", "RMSprop"
    Options = RmspropOptions

    def slot_names(self) -> tuple[str, ...]:
        """Return `velocity`, and the slots that momentum and centring add."""
        momentum = ("momentum",) if self.options.momentum else ()
        average = ("average_gradient",) if self.options.centered else ()
        return ("velocity", *momentum, *average)

    def numbers(self, step: Any, learning_rate: Any) -> dict[str, Any]:
        own = self.options
        numbers = {"rate": learning_rate, "kept": own.rho, "new": 1 - own.rho, "epsilon": own.epsilon}
        return numbers | {"momentum": own.momentum} if own.momentum else numbers

    def move(self, xp: Any, at: Arrays, numbers: Arrays) -> dict[str, Any]:
        g, n = at["gradients"], numbers
        scale = at["velocity"] * n["kept"] + xp.square(g) * n["new"]
        after = {"velocity": scale}
        if self.options.centered:
            average = after["average_gradient"] = at["average_gradient"] * n["kept"] + g * n["new"]
            scale = xp.maximum(scale - xp.square(average), 0.0)
        move = g / xp.sqrt(scale + n["epsilon"]) * n["rate"]
        if self.options.momentum:
            move = after["momentum"] = at["momentum"] * n["momentum"] + move
        return {"parameters": at["parameters"] - move, **after}


OPTIMIZER: Final = Rmsprop
