"""The carry cell over a whole sequence: the four gates side by side, one product and one tanh per step."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import keras
import numpy as np

from rnnlab.backends.keras.handwritten.base import AbstractHandwritten, Tensors, projected, summed_product
from rnnlab.cells.carry import Carry
from rnnlab.core.activations import AbstractActivation, AbstractScaledTanh

Tensor = Any
ops = keras.ops
_GATES = "ifko"  # the order of the four blocks of H columns in every stacked array below


@final
class HandwrittenCarry(AbstractHandwritten):
    """`rnnlab.cells.carry`, forward and back.

    With da the gradients of the four arguments and dh, dc those of state and carry after the step:

        da_o = dh·activation'(o),   da_k = dc·i·activation'(k)
        da_i = dc·k·recurrent_activation'(i),   da_f = dc·c_t·recurrent_activation'(f)
        dh_t = [da_i da_f da_k da_o]·[Ui Uf Uk Uo]ᵀ,   dc_t = dc·f + da_o·Voᵀ
    """

    cell: Carry

    def forward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, state: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensors]:
        units, recurrent = self.units, self._stacked(parameters, "U")
        arguments = projected(inputs, self._stacked(parameters, "W")) + self._stacked(parameters, "b")

        def step(before: list[Tensor], argument: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            h, c = before
            of_carry = ops.pad(ops.matmul(c, parameters["Vo"]), ((0, 0), (3 * units, 0)))  # only o reads the carry
            gates = self._activate(argument[0] + ops.matmul(h, recurrent) + of_carry)  # (B, 4H)
            i, f, k, o = self._parted(gates)
            return [o, i * k + f * c], [gates, h, c]

        after, saved = self.engine.scan(step, list(state), [arguments], widths=[4 * units, units, units])
        return saved[0][:, :, 3 * units :], after, tuple(saved)

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
        gates, before, carry = saved
        to_state, to_carry = ops.transpose(self._stacked(parameters, "U")), ops.transpose(parameters["Vo"])
        sequences = [gates, carry, *([gradient] if every_step else []), *cuts]
        slope, recurrent_slope = self.cell.activation.slope, self.cell.recurrent_activation.slope

        def step(flowing: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            dh, dc = flowing
            (i, f, k, o), c = self._parted(at[0]), at[1]
            da_o = (dh + at[2] if every_step else dh) * slope(ops, o)
            da = ops.concatenate(
                [recurrent_slope(ops, i) * k * dc, recurrent_slope(ops, f) * c * dc, slope(ops, k) * i * dc, da_o],
                axis=1,
            )  # (B, 4H)
            dh, dc = ops.matmul(da, to_state), dc * f + ops.matmul(da_o, to_carry)
            return [dh * at[-1], dc * at[-1]] if cuts else [dh, dc], [da]

        nothing = ops.zeros_like(carry[0])
        start = [nothing if every_step else gradient, nothing]
        _, (da,) = self.engine.scan(step, start, sequences, widths=[4 * self.units], reverse=True)
        found = {"Vo": summed_product(carry, da[:, :, 3 * self.units :])}
        for letter, whole in (
            ("W", summed_product(inputs, da)),
            ("U", summed_product(before, da)),
            ("b", ops.sum(da, axis=(0, 1))),
        ):
            found |= {f"{letter}{gate}": part for gate, part in zip(_GATES, self._parted(whole), strict=True)}
        return found, projected(da, ops.transpose(self._stacked(parameters, "W")))

    def _stacked(self, parameters: Mapping[str, Tensor], letter: str) -> Tensor:
        return ops.concatenate([parameters[f"{letter}{gate}"] for gate in _GATES], axis=-1)

    def _parted(self, stacked: Tensor) -> list[Tensor]:
        return [stacked[..., n * self.units : (n + 1) * self.units] for n in range(4)]

    def _activate(self, arguments: Tensor) -> Tensor:
        inner, outer = self.cell.recurrent_activation, self.cell.activation
        blocks: list[AbstractActivation] = [inner, inner, outer, outer]
        if not all(isinstance(activation, AbstractScaledTanh) for activation in blocks):
            parts = zip(blocks, self._parted(arguments), strict=True)
            return ops.concatenate([activation(ops, part) for activation, part in parts], axis=1)
        scaled = cast("list[AbstractScaledTanh]", blocks)
        inside, gain, shift = (
            ops.convert_to_tensor(np.repeat([getattr(one, what) for one in scaled], self.units), arguments.dtype)
            for what in ("inner", "gain", "shift")
        )
        return ops.tanh(arguments * inside) * gain + shift


LAYER = HandwrittenCarry
