"""The simple cell over a whole sequence: one product before the loop, one after it, three operations a step inside."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.elementwise import activate, write_slope
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State

Array = NDArray[Any]


class FastSimple(AbstractLayer):
    """`rnnlab.cells.simple` with its time loop cut to the bone; arrays are (T, B, H).

    The input projection of all steps is one product before the loop and the weight gradients are one product each
    after it, so the loop holds only what truly depends on the step before. Buffers are kept between calls.
    """

    _inputs: Array
    _history = _sums = _slopes = np.empty((0, 0, 0))

    def forward(self, inputs: Array, state: State) -> tuple[Array, State]:
        timesteps, batch_size, _ = inputs.shape
        p = self.parameters
        self._reserve(timesteps, batch_size, inputs.dtype)
        self._inputs = np.ascontiguousarray(inputs)
        h, sums = self._history[: timesteps + 1], self._sums[:timesteps]  # h[t] is the state before step t
        np.dot(_rows(self._inputs), p["W"], out=_rows(sums))
        sums += p["b"]
        h[0] = state["h"]
        recurrent, product = p["U"], np.empty((batch_size, self.units), inputs.dtype)
        for before, total, after in zip(h[:-1], sums, h[1:], strict=True):
            np.dot(before, recurrent, out=product)
            np.add(total, product, out=total)
            activate(self.cell.activation, total, out=after)
        return h[1:], {"h": h[-1].copy()}

    def states(self) -> State:
        return {"h": self._history[1 : len(self._inputs) + 1]}

    def backward(self, output_gradients: OutputGradients, *, need_inputs: bool) -> Array | None:
        p, timesteps = self.parameters, len(self._inputs)
        h, da = self._history[: timesteps + 1], self._slopes[:timesteps]
        write_slope(self.cell.activation, h[1:], out=da)  # in one sweep, then turned into dL/d argument step by step
        recurrent = np.ascontiguousarray(p["U"].T)
        dh = np.zeros_like(h[0])
        for t in range(timesteps - 1, -1, -1):
            from_above = output_gradients[t]
            if from_above is not None:
                dh += from_above
            da[t] *= dh
            np.dot(da[t], recurrent, out=dh)
        rows = _rows(da)
        self.gradients["W"][...] += np.dot(_rows(self._inputs).T, rows)
        self.gradients["U"][...] += np.dot(_rows(h[:-1]).T, rows)
        self.gradients["b"][...] += rows.sum(axis=0)
        return np.dot(rows, p["W"].T).reshape(timesteps, -1, len(p["W"])) if need_inputs else None

    def _reserve(self, timesteps: int, batch_size: int, dtype: np.dtype[Any]) -> None:
        room, width, _ = self._sums.shape
        if room < timesteps or width != batch_size:
            shape = (timesteps, batch_size, self.units)
            self._history = np.empty((timesteps + 1, batch_size, self.units), dtype)
            self._sums, self._slopes = np.empty(shape, dtype), np.empty(shape, dtype)


def _rows(array: Array) -> Array:
    """Return the (T·B, feature) view of a contiguous (T, B, feature) array."""
    return array.reshape(-1, array.shape[-1])


LAYER = FastSimple
