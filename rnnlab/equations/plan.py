"""The plan of a cell: in which order an engine computes a step and its gradient.

Linear products and element-wise blocks alternate. A cell like an LSTM has one stage of each; a GRU that resets before
its product has two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from rnnlab.cells.base import AbstractCell
from rnnlab.equations.derivative import Gradients, differentiate
from rnnlab.equations.graph import Node, ordered, text_of, without
from rnnlab.equations.schedule import Stage, kept, stages
from rnnlab.equations.trace import Traced, trace

OUTPUT = ""  # the name of the state that an output gets which is none of the cell's states, and no name of theirs


@final
@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How a step is computed, and how a gradient is passed back through it."""

    cell: AbstractCell
    input_features: int
    # features of each state by name; an output that is no state of the cell is one more, `OUTPUT`
    sizes: Mapping[str, int]
    output: str  # name of the state that is the output
    matrices: Mapping[str, tuple[int, int]]  # shape of each matrix of parameters, (in, out), by name
    vectors: Mapping[str, int]  # size of each vector of parameters, by name
    forward: tuple[Stage, ...]  # the stages of a step
    after: Mapping[str, Node]  # the node of each state after the step, by name; no two are the same, and none is a leaf
    # nodes of the step that the backward pass reads, besides inputs, states before and states after
    saved: tuple[Node, ...]
    # the stages of the backward pass; they read `gradient` nodes, those of the states after the step
    backward: tuple[Stage, ...]
    # the gradient of each state before the step, by name; none for a state that has no influence
    before: Mapping[str, Node]
    # by name of the matrix, pairs (operand, gradient): its own is the sum of operandᵀ·gradient over all steps and
    # sequences
    matrix_gradients: Mapping[str, Sequence[tuple[Node, Node]]]
    # by name of the vector, nodes whose sum over all steps and sequences is its own
    vector_gradients: Mapping[str, Sequence[Node]]
    # pairs (gradient, matrix): the gradient of the inputs is the sum of gradient·matrixᵀ, plus `input_rest`
    input_products: Sequence[tuple[Node, str]]
    input_rest: Node | None

    @property
    def form(self) -> str:
        """A text that is the same for plans which differ at most in the numbers that parameters begin with."""
        nodes = [*self.after.values(), *self.before.values(), *self.kept_back, *self.operands, *self.saved]
        nodes += [node for node, _ in self.input_products]
        gradients = {name: len(pairs) for name, pairs in {**self.matrix_gradients, **self.vector_gradients}.items()}
        names = [*self.sizes.items(), *self.before, *self.matrices.items(), *self.vectors.items(), *gradients.items()]
        return f"{self.output} {names} {[name for _, name in self.input_products]} {text_of(nodes)}"

    @property
    def operands(self) -> list[Node]:
        """The nodes that are multiplied by a matrix, each once."""
        return list(dict.fromkeys(operand for pairs in self.matrix_gradients.values() for operand, _ in pairs))

    @property
    def given_back(self) -> list[Node]:
        """The nodes that are known in the backward pass: saved ones and states after the step."""
        return [*self.saved, *self.after.values()]

    @property
    def kept_back(self) -> list[Node]:
        """The nodes of the backward pass that are read after the loop over time, each once."""
        of_matrices = (gradient for pairs in self.matrix_gradients.values() for _, gradient in pairs)
        of_vectors = (node for nodes in self.vector_gradients.values() for node in nodes)
        rest = [self.input_rest] if self.input_rest is not None else []
        return list(dict.fromkeys([*of_matrices, *of_vectors, *rest]))


def plan_of(cell: AbstractCell, input_features: int) -> Plan:
    """Return the plan of a configured cell.

    Raises:
        UsageError: Its equation has an operation that no engine knows.
    """
    return _plan(type(cell), cell.options.model_dump_json(), input_features)


@lru_cache(maxsize=64)
def _plan(kind: type[AbstractCell], options: str, input_features: int) -> Plan:
    cell = kind(kind.Options.model_validate_json(options))
    traced, output = step_of(cell, input_features)
    gradients = differentiate(traced)
    new = without("stop_gradient", _ends(traced, gradients), traced.graph)
    after = {name: new[node] for name, node in traced.states.items()}
    matrices = {
        name: [(new[operand], new[gradient]) for operand, gradient in pairs]
        for name, pairs in gradients.matrices.items()
    }
    vectors = {name: [new[node] for node in nodes] for name, nodes in gradients.vectors.items()}
    before = {name: new[node] for name, node in gradients.states.items()}
    input_products, rest = _input_gradient(new[gradients.inputs] if gradients.inputs else None)
    wanted = [*before.values(), *(gradient for pairs in matrices.values() for _, gradient in pairs)]
    wanted += [node for nodes in vectors.values() for node in nodes] + ([rest] if rest else [])
    step, known = set(ordered(after.values())), set(after.values())
    operands = [operand for pairs in matrices.values() for operand, _ in pairs if not operand.is_leaf]
    saved = tuple(dict.fromkeys(operand for operand in operands if operand not in known))
    saved += kept(step, wanted, known | set(saved))
    return Plan(
        cell=cell,
        input_features=input_features,
        sizes={name: node.width for name, node in after.items()},
        output=output,
        matrices=traced.matrices,
        vectors=traced.vectors,
        forward=stages(list(after.values()), []),
        after=after,
        saved=saved,
        backward=stages(wanted, [*saved, *known]),
        before=before,
        matrix_gradients=matrices,
        vector_gradients=vectors,
        input_products=input_products,
        input_rest=rest,
    )


def step_of(cell: AbstractCell, input_features: int) -> tuple[Traced, str]:
    """Return a step with an output among its states, and each state a node of its own; and the output's name.

    A plan is made from it, and traces, so that they share nodes; only here is `stop_gradient` still among these.

    Raises:
        UsageError: Its equation has an operation that no engine knows.
    """
    return _step(type(cell), cell.options.model_dump_json(), input_features)


@lru_cache(maxsize=64)
def _step(kind: type[AbstractCell], options: str, input_features: int) -> tuple[Traced, str]:
    traced = trace(kind(kind.Options.model_validate_json(options)), input_features)
    graph, states = traced.graph, dict(traced.states)
    name = next((name for name, node in states.items() if node is traced.output), OUTPUT)
    states.setdefault(name, traced.output)
    seen = set[Node]()
    for state, node in states.items():
        if node.is_leaf or node in seen or node.operation == "stop_gradient":
            states[state] = graph.node("copy", [node], width=node.width, detail=state)
        seen.add(states[state])
    whole = Traced(graph, states[name], states, traced.sizes, traced.matrices, traced.vectors)
    return whole, name


def _ends(traced: Traced, gradients: Gradients) -> list[Node]:
    nodes = [*traced.states.values(), *gradients.states.values()]
    nodes += [node for pairs in gradients.matrices.values() for pair in pairs for node in pair]
    nodes += [node for nodes in gradients.vectors.values() for node in nodes]
    return nodes + ([gradients.inputs] if gradients.inputs else [])


def _input_gradient(node: Node | None) -> tuple[list[tuple[Node, str]], Node | None]:
    """Return the products in the gradient of the inputs, and the rest of it."""
    if node is None:
        return [], None
    is_sum = node.operation == "add" and node.operands[0].operation == "linear"
    linear, rest = (node.operands[0], node.operands[1]) if is_sum else (node, None)
    if linear.operation != "linear":
        return [], linear
    return list(zip(linear.operands, linear.sum.matrices, strict=True)), rest
