"""The carry cell over a chunk of time, feature-major: the gates are two products and two tanh per step."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.chunks import rows_in_cache
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape, write_slope, writer
from rnnlab.cells.carry import Carry
from rnnlab.core.activations import AbstractScaledTanh, Tanh

Array = NDArray[Any]
_GATES = "ifko"  # the order of the four blocks of H rows in every stacked array below
_READ = "ifk"  # those that read state and input only; o reads the carry too


class FastCarry(AbstractLayer):
    """`rnnlab.cells.carry` with features as rows and the batch as columns.

    Each gate is then a contiguous block of rows. Carry, state, inputs and a row of ones are stacked in one
    array, [c; h; x; 1], 2H+I+1 rows: i, f and k are one product with its lower part, o is one with all of it, so
    there is no addition of products or biases; the new state is written into the stack of the next step by the tanh
    that makes it. One tanh serves i, f and k: sigmoid(a) = ½·tanh(a/2) + ½, with the ½ inside folded into the packed
    weights.
    """

    cell: Carry

    def begin(self, dtype: np.dtype[Any]) -> None:
        p, units, scratch = self.parameters, self.units, self._scratch
        rows = units + len(p["Wi"]) + 1
        # Memory that is new to the process is handed over page by page, which costs more than filling it.
        self._packed = scratch.array("ifk", (3 * units, rows), dtype)
        self._back = scratch.array("U", (units, 4 * units), dtype)
        self._packed_o = scratch.array("o", (units, units + rows), dtype)
        for gate, block in zip(_READ, np.split(self._packed, 3), strict=True):
            self._pack(gate, block)
        self._pack("o", self._packed_o[:, units:])
        self._packed_o[:, :units] = p["Vo"].T
        for number, gate in enumerate(_GATES):
            self._back[:, number * units : (number + 1) * units] = p[f"U{gate}"]
        self._sums = tuple(
            scratch.array(f"sum {n}", a.shape, dtype) for n, a in enumerate((self._packed, self._packed_o))
        )
        for array in self._sums:
            array.fill(0)
        if self._is_all_tanh():
            self._packed[: 2 * self.units] *= cast("AbstractScaledTanh", self.cell.recurrent_activation).inner

    def _pack(self, gate: str, block: Array) -> None:
        """Write [U; W; b] of a gate as rows, (H, H+I+1)."""
        p, units = self.parameters, self.units
        block[:, :units], block[:, units:-1], block[:, -1] = p[f"U{gate}"].T, p[f"W{gate}"].T, p[f"b{gate}"]

    def finish(self) -> None:
        (read, o), units, g = self._sums, self.units, self.gradients
        blocks = dict(zip(_READ, np.split(read, 3), strict=True)) | {"o": o[:, units:]}
        g["Vo"][...] += o[:, :units].T
        for gate, block in blocks.items():
            g[f"U{gate}"][...] += block[:, :units].T
            g[f"W{gate}"][...] += block[:, units:-1].T
            g[f"b{gate}"][...] += block[:, -1]

    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        tape.kept, units = inputs.shape, self.units
        stack, gates = self._arrays(tape)
        stack[:-1, 2 * units : -1], stack[:-1, -1] = inputs.transpose(0, 2, 1), 1
        stack[0, :units], stack[0, units : 2 * units] = state["c"].T, state["h"].T
        views = tape.views("forward", stack.shape, lambda: [*map(self._step_views, stack, stack[1:], gates)])
        self._loop_forward(views, np.empty_like(stack[0, :units]))
        final = {"h": stack[-1, units : 2 * units].T.copy(), "c": stack[-1, :units].T.copy()}
        return self.states(tape)["h"], final

    def _loop_forward(self, views: list[tuple[Array, ...]], product: Array) -> None:
        dot, multiply, add, tanh = np.dot, np.multiply, np.add, np.tanh
        packed, packed_o = self._packed, self._packed_o
        to_gate, to_output = writer(self.cell.recurrent_activation), writer(self.cell.activation)
        is_all_tanh = self._is_all_tanh()
        recurrent = cast("AbstractScaledTanh", self.cell.recurrent_activation)
        for whole, lower, carry, new_carry, new_state, read, i_and_f, i, f, k in views:
            dot(packed, lower, read)
            dot(packed_o, whole, product)
            to_output(product, new_state)
            if is_all_tanh:
                tanh(read, read)
                if recurrent.gain != 1:
                    multiply(i_and_f, recurrent.gain, i_and_f)
                    add(i_and_f, recurrent.shift, i_and_f)
            else:
                to_gate(i_and_f, i_and_f)
                to_output(k, k)
            multiply(i, k, new_carry)
            multiply(f, carry, product)
            add(new_carry, product, new_carry)

    def states(self, tape: Tape) -> State:
        after = self._arrays(tape)[0][1:].transpose(0, 2, 1)  # (T, B, 2H+I+1)
        return {"h": after[:, :, self.units : 2 * self.units], "c": after[:, :, : self.units]}

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        stack, gates = self._arrays(tape)
        da = self._argument_slopes(stack, gates)  # (T, 4H, B): what dc (i, f, k) or dh (o) must be multiplied by
        dh, dc = (np.array(state_gradient[name].T, order="C") for name in "hc")
        shape, batch_size, units = da.shape, da.shape[2], self.units
        views = self._scratch.views(
            "backward",
            shape,
            lambda: [(d, d[3 * units :], d[: 3 * units].reshape(3, units, batch_size)) for d in da[::-1]],
        )
        self._loop_back(views, list(gates[::-1, units : 2 * units]), output_gradients, dh=dh, dc=dc)
        d, s = (self._features_by_rows(name, array) for name, array in (("d", da), ("s", stack[:-1])))
        read, o = self._sums
        read += np.dot(d[: 3 * units], s[units:].T, out=self._scratch.array("product ifk", read.shape, read.dtype))
        o += np.dot(d[3 * units :], s.T, out=self._scratch.array("product o", o.shape, o.dtype))
        below = None
        if need_inputs:
            to_inputs = np.concatenate([self.parameters[f"W{gate}"] for gate in _GATES], axis=1)  # (I, 4H)
            below = np.matmul(to_inputs, da).transpose(0, 2, 1)  # (T, B, I)
        return below, {"h": dh.T, "c": dc.T}

    def _loop_back(
        self,
        views: list[tuple[Array, ...]],
        forget: list[Array],
        output_gradients: OutputGradients,
        *,
        dh: Array,
        dc: Array,
    ) -> None:
        dot, multiply, add = np.dot, np.multiply, np.add
        back, from_output, product = self._back, self.parameters["Vo"], np.empty_like(dh)
        above = reversed(output_gradients)
        for (d, of_output, of_carry), f, from_above in zip(views, forget, above, strict=True):
            if from_above is not None:
                dh += from_above.T
            multiply(of_output, dh, of_output)
            multiply(of_carry, dc, of_carry)
            dot(from_output, of_output, product)
            multiply(dc, f, dc)
            add(dc, product, dc)
            dot(back, d, dh)

    def _argument_slopes(self, stack: Array, gates: Array) -> Array:
        units, cell = self.units, self.cell
        da = self._scratch.array("da", (len(gates), 4 * units, gates.shape[2]), gates.dtype)
        i, k = gates[:, :units], gates[:, 2 * units :]
        write_slope(cell.recurrent_activation, gates[:, : 2 * units], out=da[:, : 2 * units])
        write_slope(cell.activation, k, out=da[:, 2 * units : 3 * units])
        write_slope(cell.activation, stack[1:, units : 2 * units], out=da[:, 3 * units :])
        da[:, :units] *= k  # i is multiplied by k,
        da[:, units : 2 * units] *= stack[:-1, :units]  # f by the old carry,
        da[:, 2 * units : 3 * units] *= i  # and k by i
        return da

    def chunk_rows(self) -> int:
        return rows_in_cache(4 * self.units)

    def _arrays(self, tape: Tape) -> tuple[Array, Array]:
        """Return the stack before each step and after the last, (T+1, 2H+I+1, B), and i, f, k, (T, 3H, B)."""
        timesteps, batch_size, features = tape.kept
        dtype, units = self._packed.dtype, self.units
        stack = tape.array("stack", (timesteps + 1, 2 * units + features + 1, batch_size), dtype)
        return stack, tape.array("gates", (timesteps, 3 * units, batch_size), dtype)

    def _step_views(self, stack: Array, after: Array, gates: Array) -> tuple[Array, ...]:
        units = self.units
        i, f, k = (gates[n * units : (n + 1) * units] for n in range(3))
        new = after[:units], after[units : 2 * units]
        return stack, stack[units:], stack[:units], *new, gates, gates[: 2 * units], i, f, k

    def _is_all_tanh(self) -> bool:
        return isinstance(self.cell.recurrent_activation, AbstractScaledTanh) and isinstance(self.cell.activation, Tanh)

    def _features_by_rows(self, name: str, array: Array) -> Array:
        """Return a (feature, T·B) copy of a (T, feature, B) array."""
        timesteps, features, batch_size = array.shape
        copy = self._scratch.array(name, (features, timesteps, batch_size), array.dtype)
        copy[...] = array.transpose(1, 0, 2)
        return copy.reshape(features, -1)


LAYER = FastCarry
