"""In which order machine code computes the nodes of a plan, and where it puts them.

Products of the same operands are one. A block is as few loops over rows as possible: a value that is read only in its
own loop is never in memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import final

from rnnlab.backends.numpy.compiled._places import ONES, Direction, Loop, Operand, Piece, Product, Rows
from rnnlab.equations.graph import Node
from rnnlab.equations.schedule import Stage

_ACROSS = {"repeat", "group_sum", "group_max", "one_hot"}  # what reads other rows than its own


def merged(rows: Iterable[Rows]) -> tuple[Rows, ...]:
    """Return the same rows, those that follow each other as one.

    Example:
        >>> merged([Rows("work", 0, 2), Rows("work", 2, 3), Rows("work", 6, 1)])
        (Rows(buffer='work', start=0, count=5), Rows(buffer='work', start=6, count=1))
    """
    found = list[Rows]()
    for one in rows:
        if found and (found[-1].buffer, found[-1].start + found[-1].count) == (one.buffer, one.start):
            found[-1] = Rows(one.buffer, found[-1].start, found[-1].count + one.count)
        else:
            found.append(one)
    return tuple(found)


def in_memory_order(operands: Iterable[Operand], known: Mapping[Node, Rows], ones: Rows) -> dict[Operand, slice]:
    """Return the operands as they follow each other in memory, and which rows of all of them each is."""
    rows = {operand: ones if operand is ONES else known[operand] for operand in operands}
    order = sorted(rows, key=lambda operand: rows[operand])
    ends = [0]
    for operand in order:
        ends.append(ends[-1] + rows[operand].count)
    return {operand: slice(*edges) for operand, edges in zip(order, pairwise(ends), strict=True)}


@final
class Order:
    """Arranges the stages of one direction.

    Args:
        given: Where nodes are that are known.
        wanted: Where nodes must be when the step is over.
    """

    def __init__(self, given: Mapping[Node, Rows], wanted: Mapping[Node, Sequence[Rows]], *, ones: Rows) -> None:
        self._ones, self._work = ones, 0  # rows of `work` that are taken
        self._written = {node: list(rows) for node, rows in wanted.items()}
        self._rows = dict(given) | {node: rows[0] for node, rows in self._written.items()}
        self._items = list[Product | Loop]()

    def direction(
        self, stages: Sequence[Stage], to_inputs: Sequence[tuple[Node, str]] = (), below: Rows | None = None
    ) -> Direction:
        """Return the direction; last come products of gradients and matrices, `to_inputs`, with the sum in `below`."""
        shares = [self._shares(stage) for stage in stages]
        read_elsewhere = self._read_elsewhere(shares)
        for products, loops in shares:
            copied = [node for group in products for node in self._product(group)]
            for loop in _with(copied, loops):
                for node in loop.nodes:
                    if node in read_elsewhere and node not in self._rows:
                        self._rows[node] = self._on_work(node.width)
                        self._written[node] = [self._rows[node]]
                self._items.append(loop)
        if to_inputs and below is not None:
            self._items.append(self._to_inputs(to_inputs, below))
        return Direction(tuple(self._items), self._rows, self._written, self._work)

    def _shares(self, stage: Stage) -> tuple[list[list[Node]], list[Loop]]:
        """Return the groups of products of a stage, and its loops."""
        groups, depth = dict[tuple[frozenset[Node], bool], list[Node]](), dict[Node, int]()
        for node in stage.products:
            groups.setdefault((frozenset(node.operands), node.sum.transposed), []).append(node)
        loops = dict[tuple[int, int], list[Node]]()
        for node in stage.block:
            if not node.width:  # of constants alone: computed where it is read
                continue
            here = [operand for operand in node.operands if operand in depth]
            depth[node] = max(
                (depth[o] + (o.width != node.width or node.operation in _ACROSS) for o in here if o.width), default=0
            )
            loops.setdefault((depth[node], node.width), []).append(node)
        return list(groups.values()), [Loop(width, tuple(nodes)) for (_, width), nodes in sorted(loops.items())]

    def _read_elsewhere(self, shares: Sequence[tuple[list[list[Node]], list[Loop]]]) -> set[Node]:
        """Return the nodes that something else than their own loop reads."""
        found = set[Node]()
        for products, loops in shares:
            found |= {operand for group in products for node in group for operand in node.operands}
            for loop in loops:
                found |= {operand for node in loop.nodes for operand in node.operands if operand not in loop.nodes}
        return found

    def _product(self, nodes: Sequence[Node]) -> list[Node]:
        """Add a product; return those nodes of it that have to be copied to where they are wanted."""
        biases = any(node.sum.biases for node in nodes)
        places = self._places({*nodes[0].operands, *([ONES] if biases else [])})
        rows, pieces = 0, list[Piece]()
        for node in nodes:
            columns, rows = slice(rows, rows + node.width), rows + node.width
            for operand, name in zip(node.operands, node.sum.matrices, strict=True):
                pieces.append(Piece(name, node.sum.transposed, places[operand], columns))
            pieces += [Piece(name, False, places[ONES], columns) for name in node.sum.biases]
        if len(nodes) == 1 and len(self._written.get(nodes[0], ())) == 1:
            to, copied = self._written[nodes[0]][0], list[Node]()
        else:
            to, copied = self._on_work(rows), [node for node in nodes if node in self._written]
            start = to.start
            for node in nodes:
                self._rows[node] = Rows(to.buffer, start, node.width)
                start += node.width
        self._add_product(to, places, pieces, transposed=nodes[0].sum.transposed)
        return copied

    def _add_product(
        self, to: Rows, places: Mapping[Operand, slice], pieces: Sequence[Piece], *, transposed: bool
    ) -> None:
        operands = merged(self._ones if one is ONES else self._rows[one] for one in places)
        self._items.append(Product(to, operands, tuple(pieces), transposed))

    def _to_inputs(self, pairs: Sequence[tuple[Node, str]], below: Rows) -> Product:
        places = self._places({gradient for gradient, _ in pairs})
        pieces = [Piece(name, True, places[gradient], slice(0, below.count)) for gradient, name in pairs]
        operands = merged(self._rows[one] for one in places if one is not ONES)
        return Product(below, operands, tuple(pieces), transposed=True, of_inputs=True)

    def _places(self, operands: Iterable[Operand]) -> dict[Operand, slice]:
        return in_memory_order(operands, self._rows, self._ones)

    def _on_work(self, count: int) -> Rows:
        self._work += count
        return Rows("work", self._work - count, count)


def _with(copied: Sequence[Node], loops: Sequence[Loop]) -> list[Loop]:
    """Return the loops, and before them those that copy results of products."""
    widths = dict[int, list[Node]]()
    for node in copied:
        widths.setdefault(node.width, []).append(node)
    return [*(Loop(width, tuple(nodes)) for width, nodes in widths.items()), *loops]
