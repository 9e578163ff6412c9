"""The simple cell compiled: one product and one pass over the outputs per step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.compiled import _functions as xp
from rnnlab.backends.numpy.compiled._layer import AbstractCompiledLayer
from rnnlab.backends.numpy.compiled._steps import Back, Forth

Array = NDArray[Any]


class CompiledSimple(AbstractCompiledLayer):
    """`rnnlab.cells.simple`; the stack is [h; x; 1]."""

    stacked = ("h",)
    gates = 1
    keeps = 0

    def matrices(self) -> dict[str, tuple[int, int]]:
        return {"h": (self.units, self.rows), "to h": (self.units, self.units)}

    def weights(self, name: str) -> Array:
        p = self.parameters
        return p["U"].T if name == "to h" else np.concatenate([p["U"], p["W"], p["b"][None]])

    def step(self, at: Forth) -> None:
        at.times("h", at.on_stack(at.before(0)), at.on_stack(at.after(0)))
        with at.each() as (row, column):
            h = at.after(0, row) + column
            h.write(self.cell.activation(xp, h.read()))

    def step_back(self, at: Back) -> None:
        with at.each() as (row, column):
            h, dh = (at.after(0, row) + column).read(), (at.flowing(0, row) + column).read()
            (at.argument(0, row) + column).write(dh * self.cell.activation.slope(xp, h))
        at.times("to h", at.on_arguments(at.argument(0)), at.on_flowing(at.flowing(0)))

    def pairs(self) -> dict[str, tuple[slice, slice]]:
        return {"h": (slice(0, self.rows), slice(0, self.units))}

    def add(self, sums: Mapping[str, Array]) -> None:
        (total,), units, g = sums.values(), self.units, self.gradients
        g["U"][...] += total[:units]
        g["W"][...] += total[units:-1]
        g["b"][...] += total[-1]


LAYER = CompiledSimple
