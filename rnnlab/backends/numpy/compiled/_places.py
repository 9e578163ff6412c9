"""What a compiled step consists of: rows of memory, products, loops over rows, and sums over all steps.

A value is some rows of a buffer, each row as long as the columns that are computed together. The buffers:

    record    a step's states before it, its inputs, a row of ones, and what the backward pass reads
    next      the record of the step after it: its states
    inputs    a step's inputs where they are not on the record, or its symbols
    flow      the gradients of the states after a step; `before`: those of the states before it
    kept      the gradients that those of parameters are made of; `below`: the gradient of the inputs
    work      whatever no other step reads
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.equations.graph import Node

ONES: None = None  # the operand of a bias
Operand = Node | None


@final
@dataclass(frozen=True, slots=True, order=True)
class Rows:
    """Some rows of a buffer."""

    buffer: str
    start: int
    count: int


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """Where a parameter is in a larger matrix."""

    name: str  # of the parameter
    transposed: bool  # whether it is there as its transpose
    rows: slice
    columns: slice


@final
@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Several products of the same operands as one."""

    to: Rows  # where the result goes
    operands: tuple[Rows, ...]  # where they are, each with as many rows as the next rows of the matrix
    pieces: tuple[Piece, ...]  # the parameters in the matrix, (rows of the operands, rows of the result)
    transposed: bool  # whether they are transposes
    of_inputs: bool = False  # whether it gives the gradient of the inputs, which is not always wanted
    adds: bool = False  # whether it is added to what is there

    @property
    def shape(self) -> tuple[int, int]:
        """The rows of the result, and of all operands."""
        return self.to.count, sum(rows.count for rows in self.operands)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """A product with inputs of which one is 1 and the others are 0; see `_symbols`."""

    to: Rows  # where the result goes
    pieces: tuple[Piece, ...]  # the parameters that have a row for each input


@final
@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Nodes of one width that are computed row by row."""

    width: int
    nodes: tuple[Node, ...]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Gather:
    """The gradients of all parameters that multiply the same operands."""

    operands: tuple[Rows, ...]  # where these are
    start: int  # the first row of the gradients among those that are kept
    count: int  # how many rows
    pieces: tuple[Piece, ...]  # the parameters in the product, (rows of the operands, gradients)

    @property
    def depth(self) -> int:
        """The rows of all operands."""
        return sum(rows.count for rows in self.operands)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A step forward, or back."""

    items: tuple[Product | Loop | Lookup, ...]  # what is computed, in order
    rows: Mapping[Node, Rows]  # where the value of a node is read
    written: Mapping[Node, Sequence[Rows]]  # where that of a node of a loop is written
    work: int  # how many rows `work` has
