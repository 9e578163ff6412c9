"""AdamW: Adam, with a decay of the weights that the gradient's scale does not touch."""

from typing import Final, Literal, final

import numpy as np
from pydantic import Field

from rnnlab.optim.rules.adam import AbstractAdam, AbstractAdamOptions
from rnnlab.optim.rules.base import Slots, Vector


class AdamwOptions(AbstractAdamOptions):
    """The numbers of `adamw`: those of `adam` and the decay, with Keras's defaults."""

    type: Literal["adamw"] = "adamw"
    weight_decay: float = Field(default=0.004, ge=0, le=1, description="share of each weight lost, times learning rate")


@final
class Adamw(AbstractAdam[AdamwOptions]):
    """Shrink every parameter a little, then do Adam's step.

        θ ← θ - η·λ·θ
        then m, v, v̂, η_t and θ as in `Adam`

    θ parameters, (P,) float32 or float64; η learning rate; λ `weight_decay`.

    Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    Differs: As in Keras, the decay is multiplied by the learning rate; the paper multiplies it by the schedule's factor
        alone. Biases decay as kernels do. Adam's own differences apply here too.

    Example:
        >>> import numpy
        >>> rule = Adamw(AdamwOptions(beta_1=0.75, beta_2=0.75, epsilon=1.0, weight_decay=0.25))
        >>> weights, slots = numpy.array([1.0]), rule.initial_slots(1, "float64")
        >>> rule.update(weights, numpy.array([2.0]), slots, learning_rate=0.5)  # 1 - 0.5·0.25, then Adam's 0.25
        >>> weights.tolist()
        [0.625]
    """

    name, keras_name = "adamw", "AdamW"
    Options = AdamwOptions

    def _move(
        self, parameters: Vector, gradients: Vector, slots: Slots, *, scratch: Vector, learning_rate: float
    ) -> None:
        # Not `parameters *= 1 - η·λ`: float32 would round 1 - 4e-6 by nearly one per cent of the decay, at every step.
        np.multiply(parameters, learning_rate * self.options.weight_decay, out=scratch)
        parameters -= scratch
        super()._move(parameters, gradients, slots, scratch=scratch, learning_rate=learning_rate)


OPTIMIZER: Final = Adamw
