"""The gradient of a step, derived from its graph: reverse accumulation, as a graph again.

The gradient of a value is linear in the gradients that flow into the step, so it is kept as a sum of those, or of other
gradients, each times a factor that does not depend on any: an engine may compute all factors before it goes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.equations.graph import Graph, Node, ordered
from rnnlab.equations.trace import Operations, Symbol, Traced

Factors = dict[Node, Node]  # gradient -> what it is multiplied by


@final
@dataclass(frozen=True, slots=True)
class Gradients:
    """What flows out of a step in the backward pass."""

    states: Mapping[str, Node]  # by name, of the state before the step
    inputs: Node | None  # of the inputs; None where they have no influence
    # by name, pairs (operand, gradient of the sum it goes into): operandᵀ·gradient is added up over all steps and
    # sequences
    matrices: Mapping[str, Sequence[tuple[Node, Node]]]
    vectors: Mapping[str, Sequence[Node]]  # by name, what is added up over all steps and sequences


def differentiate(traced: Traced) -> Gradients:
    """Return the gradients of a traced step, given those of its states after it, `gradient` nodes by their names."""
    return _Reverse(traced).run()


@final
class _Reverse:
    def __init__(self, traced: Traced) -> None:
        self._traced, self._graph = traced, traced.graph
        self._factors: dict[Node, Factors] = {}
        self._matrices: dict[str, list[tuple[Node, Node]]] = {name: [] for name in traced.matrices}
        self._vectors: dict[str, list[Node]] = {name: [] for name in traced.vectors}
        self._taken: set[Node] = set()

    def run(self) -> Gradients:
        graph, one = self._graph, self._graph.constant(1.0)
        for name, after in self._traced.states.items():
            self._flow(after, graph.node("gradient", width=after.width, detail=name), one)
        states, inputs = {}, None
        for node in reversed(ordered(self._traced.states.values())):
            if not self._factors.get(node):
                continue
            if node.operation == "state":
                states[node.detail] = self._own(self._gradient(node))
            elif node.operation == "input":
                inputs = self._own(self._gradient(node))
            elif node.operation == "parameter":
                self._vectors[node.detail].append(self._own(self._gradient(node)))
            elif not node.is_leaf:
                self._back(node)
        return Gradients(states, inputs, self._matrices, self._vectors)

    def _flow(self, node: Node, gradient: Node, factor: Node) -> None:
        """Add `factor` times a gradient to what flows into a node."""
        if node.operation == "constant" or (factor.operation == "constant" and factor.detail == 0):
            return
        factors = self._factors.setdefault(node, {})
        factors[gradient] = self._graph.add(factors[gradient], factor) if gradient in factors else factor

    def _gradient(self, node: Node) -> Node:
        """Return what flows into a node as one node."""
        total: Node | None = None
        # Products with matrices first, so that they become one.
        for gradient, factor in sorted(self._factors[node].items(), key=lambda pair: pair[0].operation != "linear"):
            part = self._graph.multiply(gradient, factor)
            total = part if total is None else self._graph.add(total, part)
        assert total is not None
        return total

    def _own(self, gradient: Node) -> Node:
        """Return a gradient as a node that is computed, and that is no other's."""
        if gradient.is_leaf or gradient in self._taken:
            gradient = self._graph.node("copy", [gradient], width=gradient.width, detail=len(self._taken))
        self._taken.add(gradient)
        return gradient

    def _back(self, node: Node) -> None:
        """Pass what flows into a node on to its operands."""
        graph = self._graph
        if node.operation == "stop_gradient":
            return
        if node.operation == "linear":
            self._through_products(node)
        elif node.operation in {"repeat", "group_sum"}:
            other = "group_sum" if node.operation == "repeat" else "repeat"
            (operand,) = node.operands
            back = graph.node(other, [self._gradient(node)], width=operand.width, detail=node.detail)
            self._flow(operand, back, graph.constant(1.0))
        else:
            if len(self._factors[node]) > 1:  # else each operand would repeat the sum
                self._factors[node] = {self._gradient(node): graph.constant(1.0)}
            slopes = slopes_of(graph, node)
            for gradient, factor in self._factors[node].items():
                for operand, slope in zip(node.operands, slopes, strict=True):
                    if slope is not None:
                        self._flow(operand, gradient, graph.multiply(factor, slope))

    def _through_products(self, node: Node) -> None:
        graph, whole = self._graph, node.sum
        gradient = self._own(self._gradient(node))  # so that an engine can put those of several sums side by side
        for name in whole.biases:
            self._vectors[name].append(gradient)
        for operand, name in zip(node.operands, whole.matrices, strict=True):
            self._matrices[name].append((operand, gradient))
            if operand.operation != "stop_gradient":
                back = graph.product(gradient, name, width=operand.width, transposed=True)
                self._flow(operand, back, graph.constant(1.0))


def slopes_of(graph: Graph, node: Node) -> list[Node | None]:
    """Return the derivative of an element-wise node by each operand; None where there is none."""
    xp = Operations(graph)
    y, operands = Symbol(xp, node), [Symbol(xp, operand) for operand in node.operands]
    a, b = operands[0], operands[-1]
    match node.operation:
        case "activation":
            slopes = [node.activation.slope(xp, y)]
        case "add":
            slopes = [1, 1]
        case "subtract":
            slopes = [1, -1]
        case "multiply":
            slopes = [b, a]
        case "divide":
            slopes = [1 / b, -(y / b)]
        case "negative":
            slopes = [-1]
        case "copy":
            slopes = [1]
        case "exp":
            slopes = [y]
        case "log":
            slopes = [1 / a]
        case "sqrt":
            slopes = [0.5 / y]
        case "absolute":
            slopes = [xp.where(a < 0, -1, 1)]
        case "maximum":
            slopes = [xp.where(a < b, 0, 1), xp.where(a < b, 1, 0)]
        case "minimum":
            slopes = [xp.where(a > b, 0, 1), xp.where(a > b, 1, 0)]
        case "where":
            slopes = [None, xp.where(a, 1, 0), xp.where(a, 0, 1)]
        case _:  # comparisons
            slopes = [None] * len(operands)
    return [None if slope is None else xp.node(slope) for slope in slopes]
