"""Inputs that are symbols: in place of products with one-hot vectors, each lane reads a row of its own matrix.

A symbol is a number in a row of the buffer `inputs`, one for each column: which feature is 1, from 1 on, or 0 for
none. Rows are read from the parameters themselves and added to their gradients, so that no other row is touched; the
results are those of the products, bit-identical.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, TypeVar, final

from llvmlite import ir

from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._places import Direction, Gather, Lookup, Loop, Piece, Product
from rnnlab.backends.numpy.compiled._values import POINTER, WHOLE, Number, Place, Vector

_P = TypeVar("_P", Product, Gather)


def with_lookups(direction: Direction) -> Direction:
    """Return a direction whose products with inputs are replaced; what is left of them is added."""
    items = list[Product | Loop | Lookup]()
    for item in direction.items:
        if not isinstance(item, Product):
            items.append(item)
            continue
        rest, pieces = parted(item)
        items += [Lookup(item.to, pieces)] if pieces else []
        items += [replace(rest, adds=bool(pieces))] if rest.operands else []
    return replace(direction, items=tuple(items))


def parted(item: _P) -> tuple[_P, tuple[Piece, ...]]:
    """Return a product without its inputs, and the pieces that these are multiplied by."""
    ends = [0, *accumulate(rows.count for rows in item.operands)]
    spans = [slice(*edge) for edge in pairwise(ends)]
    of_inputs = next((span for span, rows in zip(spans, item.operands, strict=True) if rows.buffer == "inputs"), None)
    if of_inputs is None:
        return item, ()
    rest, count = list[Piece](), of_inputs.stop - of_inputs.start
    for piece in item.pieces:
        if piece.rows.start < of_inputs.start:
            rest.append(piece)
        elif piece.rows.start >= of_inputs.stop:
            rest.append(replace(piece, rows=slice(piece.rows.start - count, piece.rows.stop - count)))
    pieces = tuple(piece for piece in item.pieces if piece.rows == of_inputs)
    operands = tuple(rows for rows in item.operands if rows.buffer != "inputs")
    return replace(item, operands=operands, pieces=tuple(rest)), pieces


@final
class Lookups:
    """Reads rows of parameters, and adds to rows of their gradients.

    Args:
        shapes: Of each parameter, by the names of the pieces: its first row, its shape.
        parameters, gradients: Where all of them are.
    """

    def __init__(
        self,
        code: Code,
        shapes: Mapping[str, tuple[int, tuple[int, ...]]],
        *,
        parameters: Place,
        gradients: Place,
        columns: int,
    ) -> None:
        self._code, self._shapes, self._columns = code, shapes, columns
        self._parameters, self._gradients = parameters, gradients

    def read(self, pieces: Sequence[Piece], symbols: Place, to: Place) -> None:
        """Write the sum of the rows that the symbols select, where the result of a product goes."""
        for column in range(0, self._columns, self._code.lanes):
            symbol, taken = (symbols + column).read(), set[int]()
            for piece in pieces:
                rows = _LaneRows(symbol, self._width(piece))
                with self._code.loop(self._width(piece)) as n:
                    at = to + (n + piece.columns.start) * self._columns + column
                    value = rows.read(self._at(self._parameters, piece, n))
                    at.write(at.read() + value if piece.columns.start in taken else value)
                taken.add(piece.columns.start)

    def add(self, pieces: Sequence[Piece], symbols: Place, slopes: Place) -> None:
        """Add the gradients of a product's result to those of the rows that the symbols select."""
        for column in range(0, self._columns, self._code.lanes):
            symbol = (symbols + column).read()
            for piece in pieces:
                rows = _LaneRows(symbol, self._width(piece))
                with self._code.loop(self._width(piece)) as n:
                    slope = (slopes + (n + piece.columns.start) * self._columns + column).read()
                    rows.add(self._at(self._gradients, piece, n), slope)

    def _width(self, piece: Piece) -> int:
        _, (_, width) = self._shapes[piece.name]
        return width

    def _at(self, base: Place, piece: Piece, column: Number) -> Place:
        first, _ = self._shapes[piece.name]
        return base + (column + first) * self._code.lanes


@final
class _LaneRows:
    """For each lane a row of a matrix of its own, the matrices being side by side.

    Args:
        symbols: Which rows, from 1 on; 0 for none.
    """

    def __init__(self, symbols: Vector, width: int) -> None:
        self._code, builder, count = symbols.code, symbols.code.builder, symbols.code.lanes
        self._has_row = symbols > 0.0
        # A mask that is not constant is slow on processors without such an instruction: without a row it is the first.
        rows, whole = self._where_row(symbols - 1.0), ir.VectorType(WHOLE, count)
        first = builder.mul(builder.fptosi(rows.value, whole), ir.Constant(whole, [width * count] * count))
        self._numbers = builder.add(first, ir.Constant(whole, list(range(count))))
        self._places = ir.VectorType(POINTER, count)
        self._rest = [ir.IntType(32), ir.VectorType(ir.IntType(1), count)]
        self._align, self._all = ir.Constant(self._rest[0], self._code.size), ir.Constant(self._rest[1], [1] * count)

    def read(self, place: Place) -> Vector:
        """Return what is in each lane's row of the matrices that begin at a place; 0 where there is none."""
        return self._where_row(self._read(place))

    def add(self, place: Place, values: Vector) -> None:
        """Add to what is there."""
        total = self._read(place) + self._where_row(values)
        kind = ir.FunctionType(ir.VoidType(), [self._code.vector, self._places, *self._rest])
        self._call("scatter", kind, [total.value, self._at(place), self._align, self._all])

    def _read(self, place: Place) -> Vector:
        kind = ir.FunctionType(self._code.vector, [self._places, *self._rest, self._code.vector])
        nothing = self._code.constant(0.0).value
        return Vector(self._code, self._call("gather", kind, [self._at(place), self._align, self._all, nothing]))

    def _call(self, name: str, kind: ir.FunctionType, arguments: Sequence[Any]) -> Any:
        lanes, bits = self._code.lanes, 8 * self._code.size
        name = f"llvm.masked.{name}.v{lanes}f{bits}.v{lanes}p0"
        return self._code.builder.call(self._code.function.module.declare_intrinsic(name, (), kind), arguments)

    def _at(self, place: Place) -> Any:
        moved = self._code.builder.gep(place.value, [self._numbers], source_etype=self._code.scalar)
        moved.type = self._places  # llvmlite takes it for a single one
        return moved

    def _where_row(self, vector: Vector) -> Vector:
        nothing = self._code.constant(0.0).value
        return Vector(self._code, self._code.builder.select(self._has_row.value, vector.value, nothing))
