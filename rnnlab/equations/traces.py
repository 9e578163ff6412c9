"""The forward gradient of a cell whose only path through time is element-wise: eligibility traces.

Let s be a state through which a gradient flows from step to step, and w a weight of a sum of products v = Σ x·w, of
which each unit u of s reads one feature. Then, exactly and with the weights as they are now,

    ds_t[u]/dw = ∂s_t[u]/∂s_{t-1}[u] · ds_{t-1}[u]/dw + ∂s_t[u]/∂v · x

so that each weight needs one number for each unit that it reaches: its trace. Both factors are derived from the cell's
equation. Where a gradient also flows back through a matrix there is no such equation, and an error says through which.

Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", appendix A.1; Gers, Schmidhuber, Cummins 2000,
    "Learning to forget: continual prediction with LSTM", equations 10 to 13.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from rnnlab.cells.base import AbstractCell
from rnnlab.core.errors import UsageError
from rnnlab.equations.derivative import slopes_of
from rnnlab.equations.graph import Graph, Node, ordered, without
from rnnlab.equations.plan import plan_of, step_of


@final
@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A sum of products with parameters that states depend on; or a vector of parameters that is read by itself."""

    products: Sequence[tuple[Node, str]]  # pairs (operand, name of its matrix)
    vectors: Sequence[str]  # names of what is added, or of the vector itself
    width: int  # features of the sum
    # by state, its derivative by the sum, unit by unit; none for a state that does not depend on it
    slopes: Mapping[str, Node]

    @property
    def rows(self) -> int:
        """How many numbers are multiplied, the 1 of vectors among them: R."""
        return sum(operand.width for operand, _ in self.products) + bool(self.vectors)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """Which numbers are kept, and how they follow from those of the step before."""

    # by states (after, before): the derivative of the one by the other, unit by unit
    keeps: Mapping[tuple[str, str], Node]
    sources: tuple[Source, ...]  # what has traces
    # by source and state, the shape of its traces, (R, H): those that can be other than zero
    shapes: Mapping[tuple[int, str], tuple[int, int]]

    @property
    def nodes(self) -> list[Node]:
        """All that is computed at a step."""
        slopes = [node for source in self.sources for node in source.slopes.values()]
        operands = [operand for source in self.sources for operand, _ in source.products]
        return [*self.keeps.values(), *slopes, *operands]

    @property
    def size(self) -> int:
        """How many numbers are kept."""
        return sum(rows * units for rows, units in self.shapes.values())


def traces_along(cell: AbstractCell, input_features: int, bptt_steps: int | None) -> Traces:
    """Return the traces that a network needs which learns at every step: none if the gradient is cut to the step.

    Raises:
        UsageError: A gradient flows from step to step through a matrix.
    """
    return Traces({}, (), {}) if bptt_steps == 1 else traces_of(cell, input_features)


def traces_of(cell: AbstractCell, input_features: int) -> Traces:
    """Return the traces of a configured cell.

    Raises:
        UsageError: A gradient flows from step to step through a matrix.
    """
    return _traces(type(cell), cell.options.model_dump_json(), input_features)


@lru_cache(maxsize=64)
def _traces(kind: type[AbstractCell], options: str, input_features: int) -> Traces:
    cell = kind(kind.Options.model_validate_json(options))
    traced, _ = step_of(cell, input_features)
    before, graph = plan_of(cell, input_features).before, traced.graph
    after = {name: node for name, node in traced.states.items() if name in before}
    nodes = ordered(traced.states.values())
    slopes = _Slopes(cell, graph, nodes)
    olds = {node.detail: node for node in nodes if node.operation == "state" and node.detail in before}
    for node in olds.values():
        slopes.by(node, traced.states)  # those of other states and the output too: none may go through a matrix
    keeps = {(new, old): node for old, leaf in olds.items() for new, node in slopes.by(leaf, after).items()}
    found = list[tuple[Source, dict[str, Node]]]()
    for node in nodes:
        if node.operation == "linear":
            source = Source([*zip(node.operands, node.sum.matrices, strict=True)], node.sum.biases, node.width, {})
        elif node.operation == "parameter":
            source = Source([], [node.detail], node.width, {})
        else:
            continue
        if by := slopes.by(node, after):
            found.append((source, by))
    ends = [*keeps.values(), *(node for _, by in found for node in by.values())]
    ends += [operand for source, _ in found for operand, _ in source.products]
    new = without("stop_gradient", ends, graph)
    sources = [
        Source(
            [(new[operand], name) for operand, name in source.products],
            source.vectors,
            source.width,
            {name: new[node] for name, node in by.items()},
        )
        for source, by in found
    ]
    keeps = {pair: new[node] for pair, node in keeps.items()}
    shapes = {
        (number, name): (source.rows, after[name].width)
        for number, source in enumerate(sources)
        for name in after
        if name in _reached(set(source.slopes), keeps)
    }
    return Traces(keeps, tuple(sources), shapes)


def _reached(states: set[str], keeps: Mapping[tuple[str, str], Node]) -> set[str]:
    """Return the states that depend on these, at this step or later."""
    while more := {new for new, old in keeps if old in states} - states:
        states = states | more
    return states


@final
class _Slopes:
    """Derivatives forward through a step, as nodes."""

    def __init__(self, cell: AbstractCell, graph: Graph, nodes: Sequence[Node]) -> None:
        self._cell, self._graph, self._nodes = cell, graph, nodes

    def by(self, source: Node, ends: Mapping[str, Node]) -> dict[str, Node]:
        """Return the derivative of each of the ends by a node, unit by unit, where there is one.

        Raises:
            UsageError: There is one through a matrix.
        """
        graph, found = self._graph, {source: self._graph.constant(1.0)}
        for node in self._nodes:
            known = [operand for operand in node.operands if operand in found]
            if node is source or not known or node.operation == "stop_gradient":
                continue
            if node.operation in {"linear", "group_sum", "group_max"}:
                self._fail(node, known[0])
            if node.operation == "repeat":
                slope = found[known[0]]
                found[node] = (
                    graph.node("repeat", [slope], width=slope.width * node.detail, detail=node.detail)
                    if slope.width
                    else slope
                )
                continue
            total = graph.constant(0.0)
            for operand, by_operand in zip(node.operands, slopes_of(graph, node), strict=True):
                if operand in found and by_operand is not None:
                    total = graph.add(total, graph.multiply(found[operand], by_operand))
            if total.operation != "constant" or total.detail:
                found[node] = total
        return {name: found[node] for name, node in ends.items() if node in found}

    def _fail(self, node: Node, operand: Node) -> None:
        options = type(self._cell.options).model_fields
        hint = "set cell.truncate: true, or training.bptt_steps: 1, which cuts the gradient to the step"
        if "truncate" not in options:
            hint = "set training.bptt_steps: 1, which cuts the gradient to the step, or take a cell like lstm_1997"
        names = dict(zip(node.operands, node.sum.matrices, strict=True)) if node.operation == "linear" else {}
        through = f"through {names[operand]}" if operand in names else "through a sum of units"
        problem = f"the gradient of the cell {self._cell.name} flows from step to step {through}, not unit by unit"
        raise UsageError(problem, hint=hint)
