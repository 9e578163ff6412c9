"""The carry cell compiled: two products and one pass over the gates per step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.compiled import _functions as xp
from rnnlab.backends.numpy.compiled._layer import AbstractCompiledLayer
from rnnlab.backends.numpy.compiled._steps import Back, Forth
from rnnlab.cells.carry import Carry

Array = NDArray[Any]
_GATES = "ifko"  # the order of the blocks of H rows
_READ = "ifk"  # those that read state and input only; o reads the carry too


class CompiledCarry(AbstractCompiledLayer):
    """`rnnlab.cells.carry`; the stack is [c; h; x; 1], and i, f and k are kept beside it."""

    cell: Carry
    stacked = ("c", "h")
    gates = 4
    keeps = 3

    def matrices(self) -> dict[str, tuple[int, int]]:
        units, rows = self.units, self.rows
        return {
            "ifk": (3 * units, rows - units),
            "o": (units, rows),
            "to h": (units, 4 * units),
            "to c": (units, units),
        }

    def weights(self, name: str) -> Array:
        p = self.parameters
        if name == "to c":
            return p["Vo"].T
        if name == "to h":
            return np.concatenate([p[f"U{gate}"].T for gate in _GATES])
        if name == "o":
            return np.concatenate([p["Vo"], p["Uo"], p["Wo"], p["bo"][None]])
        return np.concatenate([np.concatenate([p[f"U{g}"], p[f"W{g}"], p[f"b{g}"][None]]) for g in _READ], axis=1)

    def step(self, at: Forth) -> None:
        activation, recurrent = self.cell.activation, self.cell.recurrent_activation
        at.times("ifk", at.on_stack(at.before(1)), at.on_kept(at.kept(0)))
        at.times("o", at.on_stack(at.before(0)), at.on_stack(at.after(1)))
        with at.each() as (row, column):
            i, f, k = (at.kept(gate, row) + column for gate in range(3))
            c, new_c, o = (place + column for place in (at.before(0, row), at.after(0, row), at.after(1, row)))
            i_t, f_t, k_t = recurrent(xp, i.read()), recurrent(xp, f.read()), activation(xp, k.read())
            new_c.write(i_t * k_t + f_t * c.read())
            o.write(activation(xp, o.read()))
            for place, value in ((i, i_t), (f, f_t), (k, k_t)):
                place.write(value)

    def step_back(self, at: Back) -> None:
        slope, recurrent_slope = self.cell.activation.slope, self.cell.recurrent_activation.slope
        with at.each() as (row, column):
            i, f, k = ((at.kept(gate, row) + column).read() for gate in range(3))
            c, o = (at.before(0, row) + column).read(), (at.after(1, row) + column).read()
            to_c, to_h = (at.flowing(state, row) + column for state in range(2))
            dc, dh = to_c.read(), to_h.read()
            da = (
                dc * k * recurrent_slope(xp, i),
                dc * c * recurrent_slope(xp, f),
                dc * i * slope(xp, k),
                dh * slope(xp, o),
            )
            for gate, value in enumerate(da):
                (at.argument(gate, row) + column).write(value)
            to_h.write(dc * f)  # dh is spent, and the product that follows overwrites dc
        at.times("to c", at.on_arguments(at.argument(3)), at.on_flowing(at.flowing(0)))
        with at.each() as (row, column):
            to_c, to_h = (at.flowing(state, row) + column for state in range(2))
            to_c.write(to_c.read() + to_h.read())
        at.times("to h", at.on_arguments(at.argument(0)), at.on_flowing(at.flowing(1)))

    def pairs(self) -> dict[str, tuple[slice, slice]]:
        units = self.units
        return {
            "ifk": (slice(units, self.rows), slice(0, 3 * units)),
            "o": (slice(0, self.rows), slice(3 * units, 4 * units)),
        }

    def add(self, sums: Mapping[str, Array]) -> None:
        units, g = self.units, self.gradients
        blocks = dict(zip(_READ, np.split(sums["ifk"], 3, axis=1), strict=True)) | {"o": sums["o"][units:]}
        g["Vo"][...] += sums["o"][:units]
        for gate, block in blocks.items():
            g[f"U{gate}"][...] += block[:units]
            g[f"W{gate}"][...] += block[units:-1]
            g[f"b{gate}"][...] += block[-1]


LAYER = CompiledCarry
