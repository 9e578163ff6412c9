"""Equations of a network's other parts as graphs: of an update rule, of the output layer with its loss."""

import inspect
from collections.abc import Mapping
from typing import Any, final

from rnnlab.core.losses import AbstractLoss
from rnnlab.core.parameters import Parameter
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


def formula_of_head(loss: AbstractLoss, *, parameters: Mapping[str, Parameter]) -> Formula:
    """Return what the output layer and the loss give at a step.

    It is computed from `state` nodes: `h`, the last layer's output; `inputs` of the network; `targets`, one number
    where they are classes; and `outputs`, what there is where the step is not scored; and from `number` nodes:
    `scored`, whether it is, and `share`, by which the gradient is multiplied. The results are `outputs`, `value`, the
    loss, `slope`, its gradient by the outputs, `flow`, that by `h`, and `error`, how far an answer is from its target.
    """
    graph = Graph()
    xp = _Rows(graph, _file(loss))
    units, features = parameters["head.W"].shape
    h, before = (graph.node("state", width=size, detail=name) for name, size in (("h", units), ("outputs", features)))
    targets = graph.node("state", width=1 if loss.integer_targets else features, detail="targets")
    if loss.integer_targets:
        targets = graph.node("one_hot", [targets], width=features)
    raw = graph.product(h, "head.W", width=features)
    if "head.V" in parameters:
        inputs = graph.node("state", width=parameters["head.V"].shape[0], detail="inputs")
        raw = graph.add(raw, graph.product(inputs, "head.V", width=features))
    if "head.b" in parameters:
        raw = graph.add(raw, graph.node("parameter", width=features, detail="head.b"))
    y = Symbol(xp.elementwise, raw)
    t, scored, share = (
        Symbol(xp.elementwise, node)
        for node in (targets, graph.node("number", detail="scored"), graph.node("number", detail="share"))
    )
    slope = xp.elementwise.node(xp.where(scored, loss.slope(xp, y, t) * share, 0.0))
    return {
        "outputs": xp.elementwise.node(xp.where(scored, y, Symbol(xp.elementwise, before))),
        "value": xp.elementwise.node(xp.where(scored, loss.value(xp, y, t), 0.0)),
        "error": xp.elementwise.node(xp.max(xp.abs(loss.answer(xp, y) - t), axis=-1)),
        "slope": slope,
        "flow": graph.product(slope, "head.W", width=units, transposed=True),
    }


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
