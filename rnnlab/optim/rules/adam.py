"""Adam: momentum over a running root mean square, both corrected for starting at zero."""

from typing import Any, Final, Literal, TypeVar, final

import numpy as np
from pydantic import Field

from rnnlab.optim.rules.base import AbstractOptimizer, Arrays, OptimizerOptions


class AbstractAdamOptions(OptimizerOptions):
    """The numbers of every member of the Adam family, with Keras's defaults."""

    learning_rate: float = Field(default=0.001, gt=0, le=1e3, description="step size; a schedule multiplies it")
    beta_1: float = Field(default=0.9, ge=0, lt=1, description="share of the running mean gradient that is kept")
    beta_2: float = Field(default=0.999, ge=0, lt=1, description="share of the running mean square that is kept")
    epsilon: float = Field(default=1e-7, ge=1e-30, le=1e6, description="added to the root: no division by zero")
    amsgrad: bool = Field(default=False, description="divide by the largest mean square so far, not the present one")


class AdamOptions(AbstractAdamOptions):
    """The numbers of `adam`."""

    type: Literal["adam"] = "adam"


FamilyT = TypeVar("FamilyT", bound=AbstractAdamOptions)


class AbstractAdam(AbstractOptimizer[FamilyT]):
    """The moments and the move that Adam's family shares; the equation is `Adam`'s."""

    def slot_names(self) -> tuple[str, ...]:
        """Return the two moments' slots, and the one that amsgrad adds."""
        return ("momentum", "velocity", "velocity_hat") if self.options.amsgrad else ("momentum", "velocity")

    def numbers(self, step: Any, learning_rate: Any) -> dict[str, Any]:
        own = self.options
        correction = np.sqrt(1 - own.beta_2**step) / (1 - own.beta_1**step)  # for moments that started at zero: η_t/η
        rate = learning_rate * correction
        return {"rate": rate, "new_1": 1 - own.beta_1, "new_2": 1 - own.beta_2, "epsilon": own.epsilon}

    def move(self, xp: Any, at: Arrays, numbers: Arrays) -> dict[str, Any]:
        g, m, v, n = at["gradients"], at["momentum"], at["velocity"], numbers
        # The additions are in Keras's order, so that float32 rounds as it does there.
        m = m + (g - m) * n["new_1"]
        v = v + (xp.square(g) - v) * n["new_2"]
        after = {"momentum": m, "velocity": v}
        if self.options.amsgrad:
            v = after["velocity_hat"] = xp.maximum(at["velocity_hat"], v)
        return {"parameters": at["parameters"] - m / (xp.sqrt(v) + n["epsilon"]) * n["rate"], **after}


@final
class Adam(AbstractAdam[AdamOptions]):
    """Divide the running mean of the gradient by the root of the running mean of its square.

        m ← m + (1-β₁)·(g - m)
        v ← v + (1-β₂)·(g² - v)
        v̂ ← max(v̂, v)                      (amsgrad; else v̂ = v)
        η_t = η·√(1 - β₂ᵗ)/(1 - β₁ᵗ)
        θ ← θ - η_t·m / (√v̂ + ε)

    θ parameters, g gradients, m slot `momentum`, v slot `velocity`, v̂ slot `velocity_hat`, each (P,) of the parameters'
    dtype; t 1 at the first step; η learning rate; β₁ `beta_1`; β₂ `beta_2`; ε `epsilon`.

    Source: Kingma and Ba 2015, "Adam: a method for stochastic optimization", the faster form before section 2.1;
        amsgrad: Reddi, Kale, Kumar 2018, "On the convergence of Adam and beyond", algorithm 2.
    Differs: As in Keras, ε is the paper's ε-hat, added to the root before the correction for the start, and is 1e-7
        (paper: 1e-8); amsgrad keeps the correction, which its paper leaves out. Unlike Keras, η_t is worked out in
        double precision: Keras rounds β₁ and β₂ to float32 on the way, which puts η_t off by about 1e-5 of itself.

    Example:
        >>> rule = Adam(AdamOptions(beta_1=0.75, beta_2=0.75, epsilon=1.0))
        >>> at = {"parameters": 1.0, "gradients": 2.0, "momentum": 0.0, "velocity": 0.0}
        >>> float(rule.move(np, at, rule.numbers(1, 0.5))["parameters"])  # m = 0.5, v = 1, η_t = 0.5·0.5/0.25
        0.75
    """

    name, keras_name = "adam", "Adam"
    Options = AdamOptions


OPTIMIZER: Final = Adam
