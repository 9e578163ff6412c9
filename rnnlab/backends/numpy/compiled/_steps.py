"""The two functions over the steps of a chunk, forward and back, as machine code of a plan's layout."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, final

from llvmlite import ir

from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._layout import Layout
from rnnlab.backends.numpy.compiled._places import Direction, Loop, Product, Rows
from rnnlab.backends.numpy.compiled._product import gather, padded, product
from rnnlab.backends.numpy.compiled._values import Number, Place, Vector, Whole
from rnnlab.equations.graph import Node

_PLACE, _WHOLE = ctypes.c_void_p, ctypes.c_int64
FORTH = [_PLACE] * 6 + [_WHOLE] * 5
BACK = [_PLACE] * 10 + [_WHOLE] * 3
PACK = [_PLACE] * 2


class _Steps:
    """What both have in common: a step of W columns.

    Args:
        code: The function.
        layout: Of the plan.
        direction: Which way.
        starts: Where the packed matrix of each product begins among the weights.
        columns: W.
    """

    def __init__(
        self, code: Code, layout: Layout, direction: Direction, *, starts: Mapping[Product, int], columns: int
    ) -> None:
        self.code, self.layout, self.columns = code, layout, columns
        self._direction, self._starts = direction, starts
        self._weights, self._vectors, *self._given = code.places
        self._bases = dict[str, Place]()
        module, name = code.function.module, code.function.name
        self._products = {
            item: product(
                module,
                f"{name} {number}",
                item.shape,
                operands=[rows.count for rows in item.operands],
                columns=columns,
                adds=item.of_inputs and layout.plan.input_rest is not None,
                precision=code.precision,
            )
            for number, item in enumerate(direction.items)
            if isinstance(item, Product)
        }

    def place(self, rows: Rows, row: Whole = 0) -> Place:
        """Return where a row begins."""
        return self._bases[rows.buffer] + (row + rows.start) * self.columns

    def step(self, wants_inputs: Any = None) -> None:
        """Write all items; `wants_inputs` is whether to compute the gradient of the inputs."""
        for item in self._direction.items:
            if isinstance(item, Loop):
                self._loop(item)
            elif item.of_inputs:
                with self.code.where(wants_inputs):
                    self._product(item)
            else:
                self._product(item)

    def exchange(self, source: tuple[Place, int], to: tuple[Place, int], sizes: tuple[int, int]) -> None:
        """Write the transpose of rows by columns, both with the length of a row."""
        (rows, columns), lanes, code = sizes, self.code.lanes, self.code
        nothing = code.constant(0.0)

        def blocks(row: Number, count: int) -> None:
            def block(column: Number, width: int) -> None:
                vectors = [(source[0] + (row + n) * source[1] + column).read() for n in range(count)]
                turned = code.transposed([*vectors, *[nothing] * (lanes - count)])
                for n in range(width):
                    (to[0] + (column + n) * to[1] + row).write(turned[n])

            code.tiles(columns, lanes, block)

        code.tiles(rows, lanes, blocks)

    def _product(self, item: Product) -> None:
        places = [self._weights + self._starts[item], self.place(item.to), *map(self.place, item.operands)]
        self.code.call(self._products[item], places, ())

    def _loop(self, loop: Loop) -> None:
        lanes = self.code.lanes
        with self.code.loop(loop.width) as row:
            for column in range(0, self.columns, lanes):
                found = dict[Node, functions.Value]()
                for node in loop.nodes:
                    value = found[node] = self._value(node, row, column, found)
                    for rows in self._direction.written.get(node, ()):
                        (self.place(rows, row) + column).write(functions.as_vector(value))

    def _value(self, node: Node, row: Number, column: int, found: dict[Node, functions.Value]) -> functions.Value:
        """Return the value of a node in a loop."""
        if node.operation == "linear":
            return self._read(node, row, column)
        if node.operation == "repeat":
            return self._read(node.operands[0], row // node.detail, column)
        if node.operation == "group_sum":
            first, *others = (self._read(node.operands[0], row * node.detail + n, column) for n in range(node.detail))
            return sum(others, first)
        operands = []
        for operand in node.operands:
            if operand not in found:
                found[operand] = self._operand(operand, row, column, found)
            operands.append(found[operand])
        return functions.compute(node, operands)

    def _operand(self, node: Node, row: Number, column: int, found: dict[Node, functions.Value]) -> functions.Value:
        if node.operation == "constant":
            return self.code.constant(node.detail)
        if node.operation == "parameter":
            return (self._vectors + (row + self.layout.vectors[node.detail])).read_all_over()
        return self._read(node, row, column) if node.width else self._value(node, row, column, found)

    def _read(self, node: Node, row: Number, column: int) -> Vector:
        return (self.place(self._direction.rows[node], row) + column).read()


@final
class Forth(_Steps):
    """forward(weights, vectors, record, work, inputs, outputs; T, panels, B, strides of the inputs' steps and rows).

    A panel has W columns; each has its own records of T+1 steps. The inputs are (T, B, I), features side by side;
    columns beyond B are copies of the last sequence, so that their values are harmless. Outputs are (T, panels·W, H), a
    row being as long as whole vectors.
    """

    def __init__(self, module: ir.Module, layout: Layout, **how: Any) -> None:
        precision = how.pop("precision")
        code = Code(module, "forward", places=6, numbers=5, precision=precision)
        super().__init__(code, layout, layout.forward, **how)

    def write(self) -> None:
        """Write the function."""
        code, layout, width = self.code, self.layout, self.columns
        record, work, inputs, outputs = self._given
        timesteps, panels, *sizes = code.numbers
        output = layout.states[layout.plan.output]
        length, units = padded(output.count, code.lanes), output.count
        self._bases["work"] = work
        with code.loop(panels) as panel, code.loop(timesteps) as step:
            self._bases["record"] = record + (panel * (timesteps + 1) + step) * (layout.record * width)
            self._bases["next"] = self._bases["record"] + layout.record * width
            self._take_inputs(inputs, step, panel, sizes)
            self.step()
            to = outputs + (step * panels + panel) * (width * length)
            whole = self.place(Rows("next", output.start, units))
            self.exchange((whole, width), (to, length), (units, width))
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
class Back(_Steps):
    """backward(weights, vectors, record, work, flow, above, where, kept, sums, below; T, panels, wants below)."""

    def __init__(self, module: ir.Module, layout: Layout, **how: Any) -> None:
        precision = how.pop("precision")
        code = Code(module, "backward", places=10, numbers=3, precision=precision)
        super().__init__(code, layout, layout.backward, **how)
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
        record, work, flow, above, where, kept, sums, below = self._given
        timesteps, panels, wants_below = code.numbers
        self._bases["work"] = work
        output = layout.states[layout.plan.output]
        length, of_inputs = padded(output.count, code.lanes), padded(layout.inputs.count, code.lanes)
        with code.loop(panels) as panel:
            first = record + panel * (timesteps + 1) * (layout.record * width)
            with code.loop(timesteps) as done:
                step = timesteps - 1 - done
                self._bases["record"] = first + step * (layout.record * width)
                self._bases["next"] = self._bases["record"] + layout.record * width
                for name, parity in (("flow", done % 2), ("before", (done + 1) % 2)):
                    self._bases[name] = flow + (panel * 2 + parity) * (layout.flow * width)
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
                    self.exchange((self.place(layout.below), width), (to, of_inputs), (layout.below.count, width))
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
                    first = self.place(Rows("work", start + part, code.lanes), column) + at
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
