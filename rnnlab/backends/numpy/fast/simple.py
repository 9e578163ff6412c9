"""The simple cell over a chunk of time: one product before the loop, one after it, three operations per step inside."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.chunks import rows_in_cache
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape, write_slope, writer

Array = NDArray[Any]


class FastSimple(AbstractLayer):
    """`rnnlab.cells.simple` with a minimal time loop; arrays are (T, B, feature).

    The input projection of all steps of a chunk is one product before the loop and the weight gradients are one product
    each after it, so the loop has only what truly depends on the step before. The inputs carry a last column of
    ones, which makes the bias a row of the weights: adding it, and summing its gradient, costs no pass of its own.
    """

    def begin(self, dtype: np.dtype[Any]) -> None:
        p = self.parameters
        self._packed = np.concatenate([p["W"], p["b"][None]])  # (I+1, H)
        self._back = np.ascontiguousarray(p["U"].T)
        self._activate = writer(self.cell.activation)
        self._sums = np.zeros_like(self._packed), np.zeros_like(p["U"])

    def finish(self) -> None:
        packed, recurrent = self._sums
        self.gradients["W"][...] += packed[:-1]
        self.gradients["b"][...] += packed[-1]
        self.gradients["U"][...] += recurrent

    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        timesteps, batch_size, features = tape.kept = inputs.shape
        dtype = self._packed.dtype
        x = tape.array("x", (timesteps, batch_size, features + 1), dtype)
        x[:, :, :features], x[:, :, features] = inputs, 1
        h = tape.array("h", (timesteps + 1, batch_size, self.units), dtype)  # h[t] is the state before step t
        np.dot(_rows(x), self._packed, out=_rows(h[1:]))
        h[0] = state["h"]
        self._loop_forward(tape.views("h", h.shape, lambda: list(h)), np.empty_like(h[0]))
        return h[1:], {"h": h[-1].copy()}

    def _loop_forward(self, h: list[Array], product: Array) -> None:
        dot, add, activate, recurrent = np.dot, np.add, self._activate, self.parameters["U"]
        before = h[0]
        for after in h[1:]:  # so far x·W + b
            dot(before, recurrent, product)
            add(after, product, after)
            activate(after, after)
            before = after

    def states(self, tape: Tape) -> State:
        timesteps, batch_size, _ = tape.kept
        return {"h": tape.array("h", (timesteps + 1, batch_size, self.units), self._packed.dtype)[1:]}

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        timesteps, batch_size, features = tape.kept
        dtype = self._packed.dtype
        h = tape.array("h", (timesteps + 1, batch_size, self.units), dtype)
        x = tape.array("x", (timesteps, batch_size, features + 1), dtype)
        da = self._scratch.array("da", h[1:].shape, dtype)
        write_slope(self.cell.activation, h[1:], out=da)  # in one sweep, then turned into dL/d argument step by step
        dh = state_gradient["h"].copy()
        self._loop_back(self._scratch.views("da", da.shape, lambda: list(da[::-1])), output_gradients, dh)
        rows = _rows(da)
        packed, recurrent = self._sums
        packed += np.dot(_rows(x).T, rows)
        recurrent += np.dot(_rows(h[:-1]).T, rows)
        below = np.dot(rows, self.parameters["W"].T).reshape(timesteps, batch_size, features) if need_inputs else None
        return below, {"h": dh}

    def _loop_back(self, da: list[Array], output_gradients: OutputGradients, dh: Array) -> None:
        dot, multiply, back = np.dot, np.multiply, self._back
        for d, from_above in zip(da, reversed(output_gradients), strict=True):
            if from_above is not None:
                dh += from_above
            multiply(d, dh, d)
            dot(d, back, dh)

    def chunk_rows(self) -> int:
        return rows_in_cache(self.units)


def _rows(array: Array) -> Array:
    """Return the (T·B, feature) view of a contiguous (T, B, feature) array."""
    return array.reshape(-1, array.shape[-1])


LAYER = FastSimple
