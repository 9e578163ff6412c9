"""The simple cell over a whole sequence."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import keras

from rnnlab.backends.keras.handwritten.base import AbstractHandwritten, Tensors, projected, summed_product

Tensor = Any
ops = keras.ops


@final
class HandwrittenSimple(AbstractHandwritten):
    """h_t = activation(x_t·W + h_{t-1}·U + b), and back: da_t = dh_t·activation'(h_t), dh_{t-1} = da_t·Uᵀ."""

    def forward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, state: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensors]:
        arguments = projected(inputs, parameters["W"]) + parameters["b"]

        def step(before: list[Tensor], argument: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            h = self.cell.activation(ops, argument[0] + ops.matmul(before[0], parameters["U"]))
            return [h], [h, before[0]]

        after, (outputs, before) = self.engine.scan(step, [state[0]], [arguments], widths=[self.units] * 2)
        return outputs, after, (outputs, before)

    def backward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        saved: Tensors,
        *,
        gradient: Tensor,
        every_step: bool,
        cuts: Sequence[Tensor],
    ) -> tuple[dict[str, Tensor], Tensor]:
        outputs, before = saved
        to_state = ops.transpose(parameters["U"])
        sequences = [outputs, *([gradient] if every_step else []), *cuts]

        def step(flowing: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            dh = flowing[0] + at[1] if every_step else flowing[0]
            da = dh * self.cell.activation.slope(ops, at[0])
            dh = ops.matmul(da, to_state)
            return [dh * at[-1] if cuts else dh], [da]

        start = ops.zeros_like(outputs[0]) if every_step else gradient
        _, (da,) = self.engine.scan(step, [start], sequences, widths=[self.units], reverse=True)
        found = {
            "W": summed_product(inputs, da),
            "U": summed_product(before, da),
            "b": ops.sum(da, axis=(0, 1)),
        }
        return found, projected(da, ops.transpose(parameters["W"]))


LAYER = HandwrittenSimple
