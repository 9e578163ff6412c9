"""Equations of a network's other parts as graphs: of an update rule, of a loss."""

import inspect
from collections.abc import Mapping
from typing import Any, final

from rnnlab.core.losses import AbstractLoss
from rnnlab.equations.graph import Graph, Node
from rnnlab.equations.trace import Operations, Symbol
from rnnlab.optim.rules.base import AbstractOptimizer

Formula = Mapping[str, Node]  # what is computed, by name


def formula_of_rule(rule: AbstractOptimizer[Any]) -> Formula:
    """Return the parameters and the slots after a step.

    They are computed from `state` nodes of width 1 (`parameters`, `gradients`, `decays` and the slots) and from
    `number` nodes, which the rule's `numbers` names.
    """
    graph = Graph()
    xp = Operations(graph, _file(rule))
    vectors = ("parameters", "gradients", "decays", *rule.slot_names())
    at = {name: Symbol(xp, graph.node("state", width=1, detail=name)) for name in vectors}
    numbers = {name: Symbol(xp, graph.node("number", detail=name)) for name in rule.numbers(1, 1.0)}
    return {name: xp.node(value) for name, value in rule.move(xp, at, numbers).items()}


def formula_of_loss(loss: AbstractLoss, features: int) -> Formula:
    """Return the loss of a step, `value`, and its gradient by the outputs, `slope`.

    They are computed from `state` nodes: `outputs`, and `targets`, which is one number where targets are classes.

    Args:
        loss: Which loss.
        features: O.
    """
    graph = Graph()
    xp = _Rows(graph, _file(loss))
    outputs = graph.node("state", width=features, detail="outputs")
    targets = graph.node("state", width=1 if loss.integer_targets else features, detail="targets")
    if loss.integer_targets:
        targets = graph.node("one_hot", [targets], width=features)
    given = (Symbol(xp.elementwise, node) for node in (outputs, targets))
    y, t = given
    return {"value": xp.elementwise.node(loss.value(xp, y, t)), "slope": xp.elementwise.node(loss.slope(xp, y, t))}


@final
class _Rows:
    """The array namespace of losses: element-wise functions, and what makes one number of a row."""

    def __init__(self, graph: Graph, file: str) -> None:
        self.elementwise, self._graph = Operations(graph, file), graph

    def sum(self, x: Any, axis: int, keepdims: bool = False) -> Symbol:
        return self._reduced("group_sum", x, keepdims)

    def max(self, x: Any, axis: int, keepdims: bool = False) -> Symbol:
        return self._reduced("group_max", x, keepdims)

    def mean(self, x: Any, axis: int) -> Symbol:
        return self.sum(x, axis) / self.elementwise.node(x).width

    def _reduced(self, operation: str, x: Any, keepdims: bool) -> Symbol:
        node = self.elementwise.node(x)
        one = Symbol(self.elementwise, self._graph.node(operation, [node], width=1, detail=node.width))
        return self.elementwise.repeat(one, node.width) if keepdims else one

    def __getattr__(self, name: str) -> Any:
        return getattr(self.elementwise, name)


def _file(written: object) -> str:
    return inspect.getsourcefile(type(written)) or ""
