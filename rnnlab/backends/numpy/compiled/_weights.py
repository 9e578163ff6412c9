"""The memory of a function for many networks, and their parameters in the form in which products read them."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import final

from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._places import Direction, Gather, Piece, Product, Rows
from rnnlab.backends.numpy.compiled._product import outer
from rnnlab.backends.numpy.compiled._values import Place, Whole

Shapes = Mapping[str, tuple[int, tuple[int, ...]]]  # of each parameter: its first row, its shape


@final
class Buffers:
    """The memory of a function: buffers whose addresses follow each other in a table.

    Args:
        columns: W, numbers of a row.

    Attributes:
        sizes: By name, how many numbers a buffer has, and how many more for each time step.
    """

    def __init__(self, table: Place, columns: int) -> None:
        self._table, self._columns, self.sizes = table, columns, dict[str, tuple[int, int]]()

    def new(self, name: str, rows: int, per_step: int = 0, *, columns: int = 0) -> Place:
        """Return where a new buffer begins; its rows have W numbers, or as many as `columns`."""
        each = columns or self._columns
        self.sizes[name] = rows * each, per_step * each
        return self._table.read_place(len(self.sizes) - 1)


@final
class Weights:
    """The matrices of a direction's products, one for each lane, and the sums of their gradients."""

    def __init__(
        self,
        code: Code,
        buffers: Buffers,
        *,
        name: str,
        directions: Sequence[Direction],
        gathers: Sequence[Gather],
        shapes: Shapes,
    ) -> None:
        self._code, self._shapes, self._gathers = code, shapes, gathers
        self.starts, size = dict[Product, int](), 0
        for item in (item for one in directions for item in one.items if isinstance(item, Product)):
            self.starts[item], size = size, size + prod(item.shape)
        self.joint = buffers.new(f"joint {name}", size, columns=code.lanes)
        self._size = sum(one.depth * one.count for one in gathers)
        self.sums = buffers.new(f"sums {name}", self._size, columns=code.lanes)

    @property
    def known(self) -> set[str]:
        """The parameters whose gradients are in the sums."""
        return {piece.name for one in self._gathers for piece in one.pieces}

    def load(self, parameters: Place, *, clears: bool = True) -> None:
        """Put the parameters into the matrices, and zero into the sums if these are to be cleared."""
        for item, start in self.starts.items():
            taken = set[tuple[int, int]]()
            for piece in item.pieces:
                first, shape = self._piece(piece)
                here = start + piece.rows.start * item.shape[0] + piece.columns.start
                strides = (1, item.shape[0]) if piece.transposed else (item.shape[0], 1)
                key = piece.rows.start, piece.columns.start
                self._move((parameters, first, (shape[1], 1)), (self.joint, here, strides), shape, adds=key in taken)
                taken.add(key)
        if clears:
            clear(self._code, self.sums, self._size * self._code.lanes)

    def unload(self, gradients: Place, *, adds: bool = True) -> None:
        """Put the sums where the gradients of the parameters are, or add them to what is there."""
        start, taken = 0, set[str]()
        for one in self._gathers:
            for piece in one.pieces:
                first, shape = self._piece(piece)
                here = start + piece.rows.start * one.count + piece.columns.start
                to = gradients, first, (shape[1], 1)
                self._move((self.sums, here, (one.count, 1)), to, shape, adds=adds or piece.name in taken)
                taken.add(piece.name)
            start += one.depth * one.count

    def gathering(
        self, name: str, *, columns: int, strides: Callable[[Rows], tuple[int, int]], adds: bool = True
    ) -> Callable[[Callable[[Rows], Place], Callable[[Gather], Place], Whole], None]:
        """Return what writes the products that are added to the sums, given where all are at the first of some steps.

        `columns` are W, `strides` how many rows after those of one step the operands and gradients of the next are.
        Without `adds` the sums are those of the last call alone.
        """
        code = self._code
        functions = [
            outer(
                code.function.module,
                f"{name}{number} {part}",
                (rows.count, one.count),
                columns=columns,
                strides=strides(rows),
                precision=code.precision,
                lanes=code.lanes,
                adds=adds,
            )
            for number, one in enumerate(self._gathers)
            for part, rows in enumerate(one.operands)
        ]

        def write(operands: Callable[[Rows], Place], gradients: Callable[[Gather], Place], steps: Whole) -> None:
            start, left = 0, iter(functions)
            for one in self._gathers:
                kept = gradients(one)
                for rows in one.operands:
                    code.call(next(left), [operands(rows), kept, self.sums + start * code.lanes], (steps,))
                    start += rows.count * one.count

        return write

    def _piece(self, piece: Piece) -> tuple[int, tuple[int, int]]:
        first, shape = self._shapes[piece.name]
        return first, (shape[0], shape[1]) if len(shape) > 1 else (1, shape[0])

    def _move(
        self,
        source: tuple[Place, int, tuple[int, int]],
        to: tuple[Place, int, tuple[int, int]],
        shape: tuple[int, int],
        *,
        adds: bool,
    ) -> None:
        with self._code.loop(shape[0]) as i, self._code.loop(shape[1]) as j:
            one, other = (
                base + (i * by_row + j * by_column + first) * self._code.lanes
                for base, first, (by_row, by_column) in (source, to)
            )
            other.write(other.read() + one.read() if adds else one.read())


def clear(code: Code, place: Place, count: int) -> None:
    """Write so many zeros."""
    with code.loop(count, step=code.lanes) as at:
        (place + at).write(code.constant(0.0))


def add(code: Code, place: Place, other: Place, count: int) -> None:
    """Add so many numbers to as many others."""
    with code.loop(count, step=code.lanes) as at:
        (place + at).write((place + at).read() + (other + at).read())
