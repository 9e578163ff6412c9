"""The order in which the nodes of a graph are computed, and which of them are kept for the backward pass."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

from rnnlab.equations.graph import CHEAP, Node, ordered


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """Products, and then what is element-wise."""

    # `linear` nodes, none of which reads another's result. Those that read the same operands follow each other,
    # and among them those with the same activation
    products: tuple[Node, ...]
    block: tuple[Node, ...]  # the other nodes, each after its operands


def kept(step: Collection[Node], wanted: Iterable[Node], known: Collection[Node]) -> tuple[Node, ...]:
    """Return which nodes of a step the backward pass must find: those it reads, but for what is cheap to compute again.

    It finds the `known` ones anyway; `wanted` are its own nodes.
    """
    found, seen = dict[Node, None](), set(known)

    def visit(node: Node) -> None:
        if node.is_leaf or node in seen:
            return
        seen.add(node)
        if node in step and node.operation not in CHEAP:
            found[node] = None
            return
        for operand in node.operands:
            visit(operand)

    for node in wanted:
        visit(node)
    return tuple(found)


def stages(ends: Sequence[Node], known: Sequence[Node]) -> tuple[Stage, ...]:
    """Return the stages that compute the ends: products as early as they can be, the rest as late as it is needed."""
    given = set(known)
    nodes = [node for node in ordered(ends, given) if not node.is_leaf and node not in given]
    level: dict[Node, int] = {}
    for node in nodes:
        level[node] = max((level.get(operand, 0) for operand in node.operands), default=0)
        level[node] += node.operation == "linear"
    last = max(level.values(), default=0)
    place = dict.fromkeys(nodes, last)
    for node in reversed(nodes):
        if node.operation == "linear":
            place[node] = level[node]
        for operand in node.operands:
            if operand in place:
                place[operand] = min(place[operand], place[node] - (node.operation == "linear"))
    found = []
    for number in range(last + 1):
        here = [node for node in nodes if place[node] == number]
        products = sorted((node for node in here if node.operation == "linear"), key=lambda node: _kind(node, nodes))
        stage = Stage(tuple(products), tuple(node for node in here if node.operation != "linear"))
        if stage.products or stage.block:
            found.append(stage)
    return tuple(found)


def _kind(node: Node, nodes: Sequence[Node]) -> tuple[Any, ...]:
    """Return what neighbours in a stage have in common: their operands, and the activation that reads them."""
    operands = sorted(f"{one.operation} {one.detail}" for one in node.operands)
    readers = [one for one in nodes if node in one.operands]
    activations = sorted({one.activation.name for one in readers if one.operation == "activation"})
    return len(operands), operands, activations
