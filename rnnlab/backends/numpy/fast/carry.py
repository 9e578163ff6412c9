"""The carry cell over a whole sequence, feature-major: all four gates are one product and one tanh a step."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.elementwise import activate, write_slope
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State
from rnnlab.cells.carry import Carry
from rnnlab.core.activations import AbstractScaledTanh

Array = NDArray[Any]
_GATES = "ifko"  # the order of the four blocks of H rows in every stacked array below
_CHUNK_ROWS = 1024  # rows of a deferred weight-gradient product: enough for full speed, few enough to stay in cache


class FastCarry(AbstractLayer):
    """`rnnlab.cells.carry` with features as rows and the batch as columns.

    Each gate is then a contiguous block of rows, so the products of the four gates are one (4H, H+I+1)·(H+I+1, B)
    product over the stacked [state; input; 1], and one tanh serves all: sigmoid(a) = ½·tanh(a/2) + ½, with the ½
    inside folded into the packed weights. Stacking the input under the state measured 10 to 20 % faster than
    projecting all inputs before the loop, because it saves the addition of a (4H, B) block a step.
    """

    cell: Carry
    _inputs_shape: tuple[int, int, int] = (0, 0, 0)
    _stack = _gates = _slopes = _carry = np.empty((0, 0, 0))

    def forward(self, inputs: Array, state: State) -> tuple[Array, State]:
        timesteps, batch_size, features = self._inputs_shape = cast("tuple[int, int, int]", inputs.shape)
        units = self.units
        self._reserve(timesteps, batch_size, features, inputs.dtype)
        stack, gates, carry = self._stack, self._gates, self._carry
        stack[:timesteps, units : units + features] = inputs.transpose(0, 2, 1)
        stack[0, :units], carry[0] = state["h"].T, state["c"].T
        packed, to_output = self._packed()
        product = np.empty((units, batch_size), inputs.dtype)
        for t in range(timesteps):
            z = gates[t]  # (4H, B)
            np.dot(packed, stack[t], out=z)
            np.dot(to_output, carry[t], out=product)
            z[3 * units :] += product
            self._activate(z)
            stack[t + 1, :units] = z[3 * units :]
            np.multiply(z[:units], z[2 * units : 3 * units], out=carry[t + 1])  # i·k
            np.multiply(z[units : 2 * units], carry[t], out=product)  # f·c
            carry[t + 1] += product
        final = {"h": stack[timesteps, :units].T.copy(), "c": carry[timesteps].T.copy()}
        return stack[1 : timesteps + 1, :units].transpose(0, 2, 1), final

    def states(self) -> State:
        steps = slice(1, self._inputs_shape[0] + 1)
        return {
            "h": self._stack[steps, : self.units].transpose(0, 2, 1),
            "c": self._carry[steps].transpose(0, 2, 1),
        }

    def backward(self, output_gradients: OutputGradients, *, need_inputs: bool) -> Array | None:
        timesteps, batch_size, _ = self._inputs_shape
        units, p = self.units, self.parameters
        da = self._argument_slopes()  # (T, 4H, B): what dc (i, f, k) or dh (o) must be multiplied by
        forget = self._gates[:timesteps, units : 2 * units]
        back = np.concatenate([p[f"U{gate}"] for gate in _GATES], axis=1)  # (H, 4H)
        from_output = np.ascontiguousarray(p["Vo"])
        dh, dc, product = (np.zeros((units, batch_size), da.dtype) for _ in range(3))
        for t in range(timesteps - 1, -1, -1):
            from_above = output_gradients[t]
            if from_above is not None:
                dh += from_above.T
            d = da[t]
            d[3 * units :] *= dh
            of_carry = d[: 3 * units].reshape(3, units, batch_size)
            of_carry *= dc
            np.dot(from_output, d[3 * units :], out=product)
            dc *= forget[t]
            dc += product
            np.dot(back, d, out=dh)
        self._add_weight_gradients(da)
        if not need_inputs:
            return None
        to_inputs = np.concatenate([p[f"W{gate}"] for gate in _GATES], axis=1)  # (I, 4H)
        return np.asarray(np.matmul(to_inputs, da).transpose(0, 2, 1))  # (T, B, I)

    def _packed(self) -> tuple[Array, Array]:
        """Return [U; W; b] of all gates as rows, (4H, H+I+1), and Vo likewise, the factor inside the tanh folded in."""
        p, cell = self.parameters, self.cell
        columns = [np.concatenate([p[f"U{gate}"], p[f"W{gate}"], p[f"b{gate}"][None]]) for gate in _GATES]
        packed = np.ascontiguousarray(np.concatenate(columns, axis=1).T)
        to_output = np.ascontiguousarray(p["Vo"].T)
        if self._is_all_tanh():
            packed[: 2 * self.units] *= cast("AbstractScaledTanh", cell.recurrent_activation).inner
            packed[2 * self.units :] *= cast("AbstractScaledTanh", cell.activation).inner
            to_output *= cast("AbstractScaledTanh", cell.activation).inner
        return packed, to_output

    def _is_all_tanh(self) -> bool:
        pair = (self.cell.recurrent_activation, self.cell.activation)
        return all(isinstance(activation, AbstractScaledTanh) for activation in pair)

    def _activate(self, z: Array) -> None:
        blocks = (self.cell.recurrent_activation, z[: 2 * self.units]), (self.cell.activation, z[2 * self.units :])
        if not self._is_all_tanh():
            for activation, block in blocks:
                activate(activation, block, out=block)
            return
        np.tanh(z, out=z)
        for activation, block in blocks:
            if isinstance(activation, AbstractScaledTanh) and activation.gain != 1:
                np.multiply(block, activation.gain, out=block)
                np.add(block, activation.shift, out=block)

    def _argument_slopes(self) -> Array:
        timesteps, units, cell = self._inputs_shape[0], self.units, self.cell
        gates, da = self._gates[:timesteps], self._slopes[:timesteps]
        write_slope(cell.recurrent_activation, gates[:, : 2 * units], out=da[:, : 2 * units])
        write_slope(cell.activation, gates[:, 2 * units :], out=da[:, 2 * units :])
        da[:, :units] *= gates[:, 2 * units : 3 * units]  # i is multiplied by k,
        da[:, units : 2 * units] *= self._carry[:timesteps]  # f by the old carry,
        da[:, 2 * units : 3 * units] *= gates[:, :units]  # and k by i
        return da

    def _add_weight_gradients(self, da: Array) -> None:
        """Add da·[h; x; 1]ᵀ and da_o·cᵀ, summed over time, in chunks small enough to be copied within the cache."""
        timesteps, batch_size, features = self._inputs_shape
        units = self.units
        total = np.zeros((4 * units, units + features + 1), da.dtype)
        steps = max(1, _CHUNK_ROWS // batch_size)
        for start in range(0, timesteps, steps):
            chunk = slice(start, min(start + steps, timesteps))
            d = _features_by_rows(da[chunk])
            total += np.dot(d, _features_by_rows(self._stack[chunk]).T)
            self.gradients["Vo"][...] += np.dot(_features_by_rows(self._carry[chunk]), d[3 * units :].T)
        for gate, block in zip(_GATES, np.split(total, 4), strict=True):
            self.gradients[f"U{gate}"][...] += block[:, :units].T
            self.gradients[f"W{gate}"][...] += block[:, units:-1].T
            self.gradients[f"b{gate}"][...] += block[:, -1]

    def _reserve(self, timesteps: int, batch_size: int, features: int, dtype: np.dtype[Any]) -> None:
        room, _, width = self._gates.shape
        if room < timesteps or width != batch_size:
            units = self.units
            self._stack = np.ones((timesteps + 1, units + features + 1, batch_size), dtype)  # the last row stays 1
            self._carry = np.empty((timesteps + 1, units, batch_size), dtype)
            self._gates, self._slopes = (np.empty((timesteps, 4 * units, batch_size), dtype) for _ in range(2))


def _features_by_rows(array: Array) -> Array:
    """Return a (feature, T·B) copy of a (T, feature, B) array."""
    return np.ascontiguousarray(array.transpose(1, 0, 2)).reshape(array.shape[1], -1)


LAYER = FastCarry
