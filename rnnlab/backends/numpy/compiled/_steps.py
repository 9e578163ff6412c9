"""The two functions over the steps of a chunk, forward and back, as machine code of a plan's layout."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, final

from llvmlite import ir

from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._items import Items
from rnnlab.backends.numpy.compiled._layout import Layout
from rnnlab.backends.numpy.compiled._places import Product, Rows
from rnnlab.backends.numpy.compiled._product import gather, padded
from rnnlab.backends.numpy.compiled._values import Number, Place

_PLACE, _WHOLE = ctypes.c_void_p, ctypes.c_int64
FORTH = [_PLACE] * 6 + [_WHOLE] * 5
BACK = [_PLACE] * 10 + [_WHOLE] * 3
PACK = [_PLACE] * 2


@final
class Forth(Items):
    """forward(weights, vectors, record, work, inputs, outputs; T, panels, B, strides of the inputs' steps and rows).

    A panel has W columns; each has its own records of T+1 steps. The inputs are (T, B, I), features side by side;
    columns beyond B are copies of the last sequence, so that their values are harmless. Outputs are (T, panels·W, H), a
    row being as long as whole vectors.
    """

    def __init__(
        self, module: ir.Module, layout: Layout, *, starts: Mapping[Product, int], columns: int, precision: str
    ) -> None:
        self.layout, code = layout, Code(module, "forward", places=6, numbers=5, precision=precision)
        super().__init__(code, layout.forward, name="forward", starts=starts, vectors=layout.vectors, columns=columns)

    def write(self) -> None:
        """Write the function."""
        code, layout, width = self.code, self.layout, self.columns
        self.bases["weights"], self.bases["vectors"], record, work, inputs, outputs = code.places
        timesteps, panels, *sizes = code.numbers
        output = layout.states[layout.plan.output]
        length, units = padded(output.count, code.lanes), output.count
        self.bases["work"] = work
        with code.loop(panels) as panel, code.loop(timesteps) as step:
            self.bases["record"] = record + (panel * (timesteps + 1) + step) * (layout.record * width)
            self.bases["next"] = self.bases["record"] + layout.record * width
            self._take_inputs(inputs, step, panel, sizes)
            self.step()
            to = outputs + (step * panels + panel) * (width * length)
            whole = self.place(Rows("next", output.start, units))
            _exchange(code, (whole, width), (to, length), (units, width))
        code.done()

    def _take_inputs(self, inputs: Place, step: Number, panel: Number, sizes: Sequence[Number]) -> None:
        """Write (W, I) as (I, W)."""
        batch_size, by_step, by_row = sizes
        code, lanes = self.code, self.code.lanes

        def some(feature: Number, count: int) -> None:
            for column in range(0, self.columns, lanes):
                rows = ((panel * self.columns + (column + n)).at_most(batch_size - 1) for n in range(lanes))
                vectors = [(inputs + by_step * step + by_row * row + feature).read_first(count) for row in rows]
                for n, vector in enumerate(code.transposed(vectors)[:count]):
                    (self.place(self.layout.inputs, feature + n) + column).write(vector)

        code.tiles(self.layout.inputs.count, lanes, some)


@final
class Back(Items):
    """backward(weights, vectors, record, work, flow, above, where, kept, sums, below; T, panels, wants below)."""

    def __init__(
        self, module: ir.Module, layout: Layout, *, starts: Mapping[Product, int], columns: int, precision: str
    ) -> None:
        self.layout, code = layout, Code(module, "backward", places=10, numbers=3, precision=precision)
        rest = layout.plan.input_rest is not None
        named: dict[str, Any] = {"name": "backward", "starts": starts, "vectors": layout.vectors}
        super().__init__(code, layout.backward, **named, columns=columns, adds=rest)
        self._gathers = [
            gather(
                module,
                f"{number} {part}",
                (rows.count, one.count),
                columns=self.columns,
                stack_rows=layout.record,
                precision=precision,
            )
            for number, one in enumerate(layout.gathers)
            for part, rows in enumerate(one.operands)
        ]

    def write(self) -> None:
        """Write the function."""
        code, layout, width = self.code, self.layout, self.columns
        self.bases["weights"], self.bases["vectors"], record, work, flow, above, where, kept, sums, below = code.places
        timesteps, panels, wants_below = code.numbers
        self.bases["kept"], self.bases["below"] = work, work + layout.kept * width
        self.bases["work"] = self.bases["below"] + layout.inputs.count * width
        output = layout.states[layout.plan.output]
        length, of_inputs = padded(output.count, code.lanes), padded(layout.inputs.count, code.lanes)
        with code.loop(panels) as panel:
            first = record + panel * (timesteps + 1) * (layout.record * width)
            with code.loop(timesteps) as done:
                step = timesteps - 1 - done
                self.bases["record"] = first + step * (layout.record * width)
                self.bases["next"] = self.bases["record"] + layout.record * width
                for name, parity in (("flow", done % 2), ("before", (done + 1) % 2)):
                    self.bases[name] = flow + (panel * 2 + parity) * (layout.flow * width)
                which = where.read_whole(step)
                with code.where(which >= 0):
                    source = above + (which * panels + panel) * (width * length)
                    to = self.place(Rows("flow", output.start, output.count))
                    self._add_turned((source, length), to, output.count)
                self._clear_what_ends()
                self.step(wants_below >= 1)
                for one in layout.gathers:
                    self._keep(kept + timesteps * (width * one.start), step, one.start, one.count)
                with code.where(wants_below >= 1):
                    to = below + (step * panels + panel) * (width * of_inputs)
                    _exchange(code, (self.place(layout.below), width), (to, of_inputs), (layout.below.count, width))
            self._gather(first, kept, sums, timesteps)
        code.done()

    def _add_turned(self, source: tuple[Place, int], to: Place, units: int) -> None:
        """Add (W, H), a row being as long as whole vectors, to (H, W)."""
        code, width = self.code, self.columns

        def some(row: Number, count: int) -> None:
            for column in range(0, width, code.lanes):
                vectors = [(source[0] + (column + n) * source[1] + row).read() for n in range(code.lanes)]
                for n, vector in enumerate(code.transposed(vectors)[:count]):
                    at = to + (row + n) * width + column
                    at.write(at.read() + vector)

        code.tiles(units, code.lanes, some)

    def _clear_what_ends(self) -> None:
        """Write a gradient of zero for states that have no influence."""
        for name, rows in self.layout.states.items():
            if name not in self.layout.plan.before:
                to = self.place(Rows("before", rows.start, rows.count))
                with self.code.loop(rows.count * self.columns, step=self.code.lanes) as at:
                    (to + at).write(self.code.constant(0.0))

    def _keep(self, to: Place, step: Number, start: int, count: int) -> None:
        """Keep gradients of a step, columns by gradients, in panels of two vectors of gradients."""
        code, width = self.code, self.columns
        timesteps = code.numbers[0]

        def panel(column: Number, size: int) -> None:
            here = to + timesteps * width * column + step * (width * size)
            for part in range(0, size, code.lanes):
                for at in range(0, width, code.lanes):
                    first = self.place(Rows("kept", start + part, code.lanes), column) + at
                    rows = [(first + n * width).read() for n in range(code.lanes)]
                    for n, vector in enumerate(code.transposed(rows)):
                        (here + (at + n) * size + part).write(vector)

        code.tiles(padded(count, code.lanes), 2 * code.lanes, panel)

    def _gather(self, record: Place, kept: Place, sums: Place, timesteps: Number) -> None:
        width, layout, functions_left, start = self.columns, self.layout, iter(self._gathers), 0
        for one in layout.gathers:
            for rows in one.operands:
                row = rows.start + (layout.record if rows.buffer == "next" else 0)
                places = record + row * width, kept + timesteps * (width * one.start), sums + start
                self.code.call(next(functions_left), places, (timesteps,))
                start += rows.count * padded(one.count, self.code.lanes)


def _exchange(code: Code, source: tuple[Place, int], to: tuple[Place, int], sizes: tuple[int, int]) -> None:
    """Write the transpose of rows by columns, both with the length of a row."""
    (rows, columns), lanes = sizes, code.lanes
    nothing = code.constant(0.0)

    def blocks(row: Number, count: int) -> None:
        def block(column: Number, width: int) -> None:
            vectors = [(source[0] + (row + n) * source[1] + column).read() for n in range(count)]
            turned = code.transposed([*vectors, *[nothing] * (lanes - count)])
            for n in range(width):
                (to[0] + (column + n) * to[1] + row).write(turned[n])

        code.tiles(columns, lanes, block)

    code.tiles(rows, lanes, blocks)
