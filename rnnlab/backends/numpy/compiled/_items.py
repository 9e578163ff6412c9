"""The items of a plan's direction as machine code: one step of W columns."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._places import Direction, Lookup, Loop, Product, Rows
from rnnlab.backends.numpy.compiled._product import product
from rnnlab.backends.numpy.compiled._symbols import Lookups
from rnnlab.backends.numpy.compiled._values import Number, Place, Vector, Whole
from rnnlab.equations.graph import Node


class Items:
    """Writes them into a function.

    Args:
        starts: Where the matrix of each product begins among the weights: a row, where there is one for each lane.
        vectors: Where each vector of parameters begins among the vectors, likewise.
        adds: Whether the gradient of the inputs is added to what is there.
        per_lane: Whether each lane of a vector has parameters of its own.
        lookups: What reads rows of parameters, where inputs are symbols.
    """

    def __init__(
        self,
        code: Code,
        direction: Direction,
        *,
        name: str,
        starts: Mapping[Product, int],
        vectors: Mapping[str, int],
        columns: int,
        adds: bool = False,
        per_lane: bool = False,
        lookups: Lookups | None = None,
    ) -> None:
        self.code, self.direction, self.columns, self._lookups = code, direction, columns, lookups
        self.bases = dict[str, Place]()  # where the buffers are, besides `weights` and `vectors`
        self._starts, self._vectors, self._each = starts, vectors, code.lanes if per_lane else 1
        self._products = {
            item: product(
                code.function.module,
                f"{name} {number}",
                item.shape,
                operands=[rows.count for rows in item.operands],
                columns=columns,
                adds=item.adds or (item.of_inputs and adds),
                precision=code.precision,
                lanes=code.lanes if per_lane else 0,
            )
            for number, item in enumerate(direction.items)
            if isinstance(item, Product)
        }

    def place(self, rows: Rows, row: Whole = 0) -> Place:
        """Return where a row begins."""
        return self.bases[rows.buffer] + (row + rows.start) * self.columns

    def step(self, wants_inputs: Any = None) -> None:
        """Write all items; `wants_inputs` is whether to compute the gradient of the inputs."""
        for item in self.direction.items:
            if isinstance(item, Loop):
                self._loop(item)
            elif isinstance(item, Lookup):
                assert self._lookups
                self._lookups.read(item.pieces, self.bases["inputs"], self.place(item.to))
            elif item.of_inputs and not isinstance(wants_inputs, bool):
                with self.code.where(wants_inputs):
                    self._product(item)
            elif not item.of_inputs or wants_inputs:
                self._product(item)

    def _product(self, item: Product) -> None:
        weights = self.bases["weights"] + self._starts[item] * self._each
        self.code.call(self._products[item], [weights, self.place(item.to), *map(self.place, item.operands)], ())

    def _loop(self, loop: Loop) -> None:
        with self.code.loop(loop.width) as row:
            for column in range(0, self.columns, self.code.lanes):
                found = dict[Node, functions.Value]()
                for node in loop.nodes:
                    value = found[node] = self._value(node, row, column, found)
                    for rows in self.direction.written.get(node, ()):
                        (self.place(rows, row) + column).write(functions.as_vector(value))

    def _value(self, node: Node, row: Number, column: int, found: dict[Node, functions.Value]) -> functions.Value:
        """Return the value of a node in a loop."""
        match node.operation:
            case "linear":
                return self._read(node, row, column)
            case "repeat":
                return self._read(node.operands[0], row // node.detail, column)
            case "group_sum" | "group_max":
                parts = (self._read(node.operands[0], row * node.detail + n, column) for n in range(node.detail))
                return reduce(Vector.__add__ if node.operation == "group_sum" else functions.maximum, parts)
            case "one_hot":
                return functions.as_vector(self._read(node.operands[0], 0, column).equals(self.code.real(row)))
        operands = []
        for operand in node.operands:
            if operand not in found:
                found[operand] = self._operand(operand, row, column, found)
            operands.append(found[operand])
        return functions.compute(node, operands)

    def value(self, node: Node, row: Number) -> Vector:
        """Return a row of a node that is known once the items are computed, of the first lanes."""
        return functions.as_vector(self._operand(node, row, 0, {}))

    def _operand(self, node: Node, row: Number, column: int, found: dict[Node, functions.Value]) -> functions.Value:
        if node.operation == "constant":
            return self.code.constant(node.detail)
        if node.operation == "number":
            return self._read(node, 0, column)
        if node.operation == "parameter":
            at = self.bases["vectors"] + (row + self._vectors[node.detail]) * self._each
            return at.read_all_over() if self._each == 1 else at.read()
        return self._read(node, row, column) if node.width else self._value(node, row, column, found)

    def _read(self, node: Node, row: Whole, column: int) -> Vector:
        return (self.place(self.direction.rows[node], row) + column).read()
