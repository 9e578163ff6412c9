"""Gradient descent, plain, with momentum, or with Nesterov's momentum."""

from typing import Any, Final, Literal, Self, final

from pydantic import Field, model_validator

from rnnlab.optim.rules.base import AbstractOptimizer, Arrays, OptimizerOptions


class SgdOptions(OptimizerOptions):
    """The numbers of `sgd`, with Keras's defaults."""

    type: Literal["sgd"] = "sgd"
    learning_rate: float = Field(default=0.01, gt=0, le=1e3, description="step size; a schedule multiplies it")
    momentum: float = Field(
        default=0.0, ge=0, lt=1, description="share of the last move that is kept, at the rate it was made with"
    )
    nesterov: bool = Field(default=False, description="take the gradient as of the point the momentum leads to")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov changes nothing without momentum; set momentum above 0, or leave nesterov out")
        return self


@final
class Sgd(AbstractOptimizer[SgdOptions]):
    """Move against the gradient, with a velocity that remembers earlier moves.

        v ← μ·v - η·g
        θ ← θ + v                  (plain when μ = 0: θ ← θ - η·g)
        θ ← θ + μ·v - η·g          (nesterov)

    θ parameters, g gradients, v slot `momentum`, each (P,) of the parameters' dtype; η learning rate; μ `momentum`.

    The rate is inside the velocity: when a schedule changes it, earlier moves continue at the rate they were made with.

    Source: Polyak 1964 (heavy ball); Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and
        momentum in deep learning", eq. 1-4.
    Differs: As in Keras, Nesterov's form takes the gradient at θ itself and looks ahead in the update; the paper takes
        it at θ + μ·v. PyTorch has the rate outside, v ← μ·v + g and θ ← θ - η·v: the same at a constant rate, but under
        a schedule all earlier moves change with it, so that a falling rate brakes at once. Unlike Keras, the options
        reject `nesterov` without momentum, which would have no effect, and a momentum of 1, which never forgets.

    Example:
        >>> import numpy
        >>> rule, at = Sgd(SgdOptions(momentum=0.5)), {"parameters": 1.0, "momentum": 0.0}
        >>> for step, rate in enumerate((0.25, 0.25, 0.125)):  # v = -0.5, then -0.25 - 0.5, then -0.375 - 0.25
        ...     at = rule.move(numpy, {**at, "gradients": 2.0}, rule.numbers(step + 1, rate))
        ...     print(at["parameters"])
        0.5
        -0.25
        -0.875

        With the rate outside, at half the rate v would be 0.5·3 + 2 and the move -0.125·3.5.
    """

    name, keras_name = "sgd", "SGD"
    Options = SgdOptions

    def slot_names(self) -> tuple[str, ...]:
        """Return the velocity's slot, if there is momentum."""
        return ("momentum",) if self.options.momentum else ()

    def numbers(self, step: Any, learning_rate: Any) -> dict[str, Any]:
        return {"rate": learning_rate, "momentum": self.options.momentum}

    def move(self, xp: Any, at: Arrays, numbers: Arrays) -> dict[str, Any]:
        parameters, move, momentum = at["parameters"], at["gradients"] * numbers["rate"], numbers["momentum"]
        if not self.options.momentum:
            return {"parameters": parameters - move}
        velocity = at["momentum"] * momentum - move
        ahead = parameters - move + velocity * momentum if self.options.nesterov else parameters + velocity
        return {"parameters": ahead, "momentum": velocity}


OPTIMIZER: Final = Sgd
