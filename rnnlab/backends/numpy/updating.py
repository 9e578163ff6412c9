"""An update rule's equation as calls of NumPy that write into memory which is there already."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.equations.formula import Formula, formula_of_rule
from rnnlab.equations.graph import Node, ordered
from rnnlab.optim.rules.base import AbstractOptimizer

_PIECE = 2**16  # numbers computed at a time: a piece of each vector, and all that lies between, fits a second cache


@final
class Update:
    """One step of a rule, in place.

    Args:
        vectors: By name `parameters`, `gradients`, `decays` and the rule's slots, each (P,).
    """

    def __init__(self, rule: AbstractOptimizer[Any], vectors: Mapping[str, Array]) -> None:
        self._rule, self._dtype = rule, vectors["parameters"].dtype
        self._numbers = {name: np.zeros((), self._dtype) for name in rule.numbers(1, 1.0)}
        self._calls, self._scratch = list[tuple[Callable[..., Any], tuple[Any, ...], Array]](), list[Array]()
        formula, size = formula_of_rule(rule), vectors["parameters"].size
        for start in range(0, size, _PIECE):
            self._bind(formula, {name: vector[start : start + _PIECE] for name, vector in vectors.items()})

    def step(self, number: int, learning_rate: float) -> None:
        """Do the step of this number, from 1, at this rate."""
        for name, value in self._rule.numbers(number, learning_rate).items():
            self._numbers[name][...] = value
        for function, operands, out in self._calls:
            function(*operands, out=out)

    def _bind(self, formula: Formula, at: Mapping[str, Array]) -> None:
        """Add the calls for a piece: a result goes to its vector when that has been read for the last time."""
        nodes = [node for node in ordered(formula.values()) if not node.is_leaf]
        last = {operand: number for number, node in enumerate(nodes) for operand in node.operands}
        goals = {node: name for name, node in formula.items()}
        places, free, late = dict[Node, Array](), list(self._scratch), list[tuple[str, Array]]()
        for number, node in enumerate(nodes):
            operands = [self._operand(one, places, at) for one in node.operands]
            if node not in goals:  # its place may be that of an operand, element by element
                free += [
                    places[one] for one in {*node.operands} if last[one] == number and self._is_scratch(one, goals)
                ]
            readers = [n for leaf, n in last.items() if leaf.operation == "state" and leaf.detail == goals.get(node)]
            if node in goals and max(readers, default=0) <= number:
                places[node] = at[goals[node]]
            else:
                places[node] = self._taken(free, at["parameters"].size)
                if node in goals:
                    late.append((goals[node], places[node]))
            self._calls.append((_function(node), tuple(operands), places[node]))
        self._calls += [(np.positive, (array,), at[name]) for name, array in late]

    def _taken(self, free: list[Array], size: int) -> Array:
        if not free:
            self._scratch.append(np.empty(_PIECE, self._dtype))
            return self._scratch[-1][:size]
        return free.pop()[:size]

    def _is_scratch(self, node: Node, goals: Mapping[Node, str]) -> bool:
        return not node.is_leaf and node not in goals

    def _operand(self, node: Node, places: Mapping[Node, Array], at: Mapping[str, Array]) -> Array:
        if node.operation == "constant":
            return np.array(node.detail, self._dtype)
        if node.operation == "number":
            return self._numbers[node.detail]
        return at[node.detail] if node.operation == "state" else places[node]


def _function(node: Node) -> Callable[..., Any]:
    if node.operation == "activation":
        return partial(_write, partial(node.activation.value, np))
    function: Callable[..., Any] = getattr(np, node.operation)
    return function if isinstance(function, np.ufunc) else partial(_write, function)


def _write(function: Callable[..., Array], *operands: Array, out: Array) -> None:
    out[...] = function(*operands)
