"""AdamW: Adam, with a decay of the weights, but not of biases, that the gradient's scale does not touch."""

from typing import Any, Final, Literal, final

from pydantic import Field

from rnnlab.optim.rules.adam import AbstractAdam, AbstractAdamOptions
from rnnlab.optim.rules.base import Arrays


class AdamwOptions(AbstractAdamOptions):
    """The numbers of `adamw`: those of `adam` and the decay, with Keras's defaults."""

    type: Literal["adamw"] = "adamw"
    weight_decay: float = Field(
        default=0.004,
        ge=0,
        le=1,
        description="share of each weight that is lost, times learning rate; biases lose none",
    )


@final
class Adamw(AbstractAdam[AdamwOptions]):
    """Shrink every weight a little, then do Adam's step.

        θ ← θ - η·λ·θ                      (θ of a matrix; biases and other vectors do not decay)
        then m, v, v̂, η_t and θ as in `Adam`

    θ parameters, (P,) float32 or float64; η learning rate; λ `weight_decay`.

    Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2; only weights: Goodfellow,
        Bengio, Courville 2016, "Deep learning", section 7.1.
    Differs: As in Keras and PyTorch, the decay is multiplied by the learning rate; the paper multiplies it by the
        schedule's factor alone. Keras and PyTorch also shrink biases, and vectors such as gains, unless they are
        excluded (`exclude_from_weight_decay`, parameter groups); here they never decay: a forget bias of 2 would lose
        what makes it remember. Adam's own differences apply here too.

    Example:
        >>> import numpy
        >>> rule = Adamw(AdamwOptions(beta_1=0.75, beta_2=0.75, epsilon=1.0, weight_decay=0.25))
        >>> at = {"parameters": 1.0, "gradients": 2.0, "momentum": 0.0, "velocity": 0.0, "decays": True}
        >>> float(rule.move(numpy, at, rule.numbers(1, 0.5))["parameters"])  # 1 - 0.5·0.25, then Adam's 0.25
        0.625
    """

    name, keras_name = "adamw", "AdamW"
    Options = AdamwOptions

    def numbers(self, step: Any, learning_rate: Any) -> dict[str, Any]:
        return {**super().numbers(step, learning_rate), "decay": learning_rate * self.options.weight_decay}

    def move(self, xp: Any, at: Arrays, numbers: Arrays) -> dict[str, Any]:
        # Not θ·(1 - η·λ): float32 would round 1 - 4e-6 by nearly one per cent of the decay, at every step.
        parameters = at["parameters"] - at["parameters"] * numbers["decay"] * at["decays"]
        return super().move(xp, {**at, "parameters": parameters}, numbers)


OPTIMIZER: Final = Adamw
