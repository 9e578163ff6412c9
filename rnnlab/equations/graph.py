"""The values of one step as a graph of operations: each value is there once, and sums of products are one node.

A value belongs to one sequence of the batch: it has `width` features, so that it is (B, width) in an engine. Constants
and vectors of parameters have no batch and fit any.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

from rnnlab.core.activations import AbstractActivation

LEAVES = {"input", "state", "gradient", "parameter", "number", "constant"}
# What costs an engine less than to keep the result until it goes back.
CHEAP = {
    "add", "subtract", "multiply", "negative", "absolute", "maximum", "minimum", "where", "copy",
    "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or",
}  # fmt: skip
_FOLDED: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b if b else math.nan,
    "maximum": max,
    "minimum": min,
}


@final
@dataclass(frozen=True, slots=True)
class Sum:
    """What a `linear` node adds up: each operand times its matrix, and vectors of parameters."""

    matrices: tuple[str, ...]  # for each operand the name of its matrix
    transposed: bool  # whether it is the matrix's transpose
    biases: tuple[str, ...] = ()  # names of vectors


@final
@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One value."""

    # `input`; `state` (`detail`: its name); `gradient` of the loss by a state after the step (its name);
    # `parameter`, a vector (its name); `constant` (the number); `number`, known when it is computed (its name);
    # `linear` (a `Sum`); `activation` (an `AbstractActivation`); `repeat` (each feature so many times in a row),
    # `group_sum` and `group_max` (of so many features in a row); `one_hot` (of a class); or the name of an
    # element-wise function of `keras.ops`
    operation: str
    operands: "tuple[Node, ...]" = ()
    width: int = 0  # features; 0 for a constant
    detail: Any = None

    @property
    def is_leaf(self) -> bool:
        """Whether it is given and not computed."""
        return self.operation in LEAVES

    @property
    def sum(self) -> Sum:
        """What a `linear` node adds up."""
        assert isinstance(self.detail, Sum)
        return self.detail

    @property
    def activation(self) -> AbstractActivation:
        """The function of an `activation` node."""
        assert isinstance(self.detail, AbstractActivation)
        return self.detail

    @property
    def has_batch(self) -> bool:
        """Whether it differs between the sequences of a batch."""
        return self.operation not in {"constant", "parameter"}


@final
class Graph:
    """Makes nodes; the same operation of the same operands is the same node."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[Any, ...], Node] = {}

    def node(self, operation: str, operands: Sequence[Node] = (), *, width: int = 0, detail: Any = None) -> Node:
        """Return the node of an operation, without simplification."""
        key = operation, tuple(map(id, operands)), width, detail
        return self._nodes.setdefault(key, Node(operation, tuple(operands), width, detail))

    def constant(self, value: float) -> Node:
        """Return a number."""
        return self.node("constant", detail=float(value))

    def elementwise(self, operation: str, *operands: Node, detail: Any = None) -> Node:
        """Return an element-wise operation; numbers are folded, and what changes nothing is left out."""
        numbers = [one.detail for one in operands if one.operation == "constant"]
        if len(numbers) == len(operands) and operation in _FOLDED:
            return self.constant(_FOLDED[operation](*numbers))
        if operation in _SIMPLER and (simpler := _SIMPLER[operation](self, *operands)) is not None:
            return simpler
        width = max(one.width for one in operands)
        return self.node(operation, operands, width=width, detail=detail)

    def add(self, left: Node, right: Node) -> Node:
        """Return a sum; products with matrices and vectors of parameters in it become one `linear` node."""
        (one, rest), (other, other_rest) = self._split(left), self._split(right)
        if one is None and other is None:
            return self.elementwise("add", left, right)
        linear, remaining = one or other, [part for part in (rest, other_rest) if part is not None]
        assert linear is not None
        if one and other:
            if one.sum.transposed != other.sum.transposed:
                return self.elementwise("add", left, right)
            linear = self._joined(one, other)
        if not linear.sum.transposed:
            biases = tuple(part.detail for part in remaining if part.operation == "parameter")
            remaining = [part for part in remaining if part.operation != "parameter"]
            whole = Sum(linear.sum.matrices, False, linear.sum.biases + biases)
            linear = self.node("linear", linear.operands, width=linear.width, detail=whole)
        return self._total([linear, *remaining])

    def product(self, operand: Node, matrix: str, *, width: int, transposed: bool = False) -> Node:
        """Return an operand times a matrix or its transpose."""
        return self.node("linear", (operand,), width=width, detail=Sum((matrix,), transposed))

    def multiply(self, left: Node, right: Node) -> Node:
        """Return a product of elements."""
        return self.elementwise("multiply", left, right)

    def _joined(self, one: Node, other: Node) -> Node:
        a, b = one.sum, other.sum
        whole = Sum(a.matrices + b.matrices, a.transposed, a.biases + b.biases)
        return self.node("linear", one.operands + other.operands, width=one.width, detail=whole)

    def _split(self, node: Node) -> tuple[Node | None, Node | None]:
        """Return the linear part of a sum, and the rest."""
        if node.operation == "linear":
            return node, None
        if node.operation == "add" and node.operands[0].operation == "linear":
            return node.operands[0], node.operands[1]
        return None, node

    def _total(self, parts: Iterable[Node]) -> Node:
        first, *others = parts
        if len(others) > 1:
            others = [self.elementwise("add", *others)]
        return self.elementwise("add", first, others[0]) if others else first


def _added(graph: Graph, a: Node, b: Node) -> Node | None:
    if _is(a, 0) or _is(b, 0):
        return b if _is(a, 0) else a
    if a.operation == "negative" or b.operation == "negative":
        kept, taken = (b, a) if a.operation == "negative" else (a, b)
        return graph.elementwise("subtract", kept, taken.operands[0])
    return None


def _subtracted(graph: Graph, a: Node, b: Node) -> Node | None:
    if _is(b, 0):
        return a
    return graph.elementwise("negative", b) if _is(a, 0) else None


def _multiplied(graph: Graph, a: Node, b: Node) -> Node | None:
    for one, other in ((a, b), (b, a)):
        if _is(one, 0):
            return graph.constant(0.0)
        if _is(one, 1):
            return other
        if _is(one, -1):
            return graph.elementwise("negative", other)
    return None


def _negated(graph: Graph, a: Node) -> Node | None:
    if a.operation == "constant":
        return graph.constant(-a.detail)
    return a.operands[0] if a.operation == "negative" else None


_SIMPLER: dict[str, Callable[..., Node | None]] = {
    "add": _added,
    "subtract": _subtracted,
    "multiply": _multiplied,
    "negative": _negated,
}


def _is(node: Node, value: float) -> bool:
    return node.operation == "constant" and bool(node.detail == value)


def ordered(ends: Iterable[Node], given: Iterable[Node] = ()) -> list[Node]:
    """Return the nodes that the ends are computed from and the ends, each after its operands.

    Where some are `given`, what these are computed from is left out, they are not.
    """
    known, found = set(given), dict[Node, None]()

    def visit(node: Node) -> None:
        if node in found:
            return
        if node not in known:
            for operand in node.operands:
                visit(operand)
        found[node] = None

    for end in ends:
        visit(end)
    return list(found)


def without(operation: str, ends: Iterable[Node], graph: Graph) -> dict[Node, Node]:
    """Return for every node below the ends the same one in a graph where `operation` is replaced by its operand."""
    new: dict[Node, Node] = {}
    for node in ordered(ends):
        operands = tuple(new[operand] for operand in node.operands)
        if node.operation == operation:
            new[node] = operands[0]
        elif node.operands == operands:
            new[node] = node
        else:
            new[node] = graph.node(node.operation, operands, width=node.width, detail=node.detail)
    return new


def text_of(ends: Iterable[Node]) -> str:
    """Return a text that is the same for graphs of the same operations, whatever the numbers they are given.

    Example:
        >>> graph = Graph()
        >>> text_of([graph.elementwise("exp", graph.node("state", width=2, detail="h"))])
        "state:2:'h'() exp:2:None(0) -> 1"
    """
    ends = list(ends)
    numbers = {node: number for number, node in enumerate(ordered(ends))}
    parts = [
        f"{node.operation}:{node.width}:{node.detail!r}({','.join(str(numbers[one]) for one in node.operands)})"
        for node in numbers
    ]
    return " ".join([*parts, "->", *(str(numbers[node]) for node in ends)])
