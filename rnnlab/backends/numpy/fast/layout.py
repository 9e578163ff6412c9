"""Where the values of a plan are in memory, decided once per plan, and the calls that follow from it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, permutations
from typing import final

import numpy as np

from rnnlab.backends.numpy.fast.calls import Call, Packed, Place, joined, products, side_by_side
from rnnlab.backends.numpy.fast.passes import Pass, endings
from rnnlab.equations.graph import Node
from rnnlab.equations.plan import Plan
from rnnlab.equations.schedule import Stage

_ORDERS = 1000  # tried at most, those of six states


@final
class Layout:
    """How the NumPy backend computes a plan.

    Attributes:
        packed: Whether features are the rows and sequences the columns of every array, so that many values lie side by
            side in one, and one product or function computes them. Where each product stands alone there is nothing to
            pack: then sequences are rows, and each value has an array of its own.
        sizes: Features of each array, by kind.
        before: Where each state is before a step, by name.
        inputs: Where the inputs are, and
        one: a one, just before them.
        after: Where each state is after a step, by name.
        given: Where the gradient of each state after a step is.
        in_place: Numbers of those that a step may overwrite by that before the step.
        weights: Products after the backward pass; `out` is where the gradient of a sum is, the other place its operand.
        vectors: Pairs of a vector's name and where that is whose sum is its gradient.
        spans: Of each kind the part in which the places of `weights` are, if packed.
        below: Products whose sum is the gradient of the inputs.
        below_rest: Where that is which is added to it, if anything.
    """

    def __init__(self, plan: Plan) -> None:
        steps, back = _nodes(plan.forward), _nodes(plan.backward)
        sums = [node for node in steps if node.operation == "linear"]
        self.packed = _shares_operands(sums)
        orders = islice(permutations(plan.sizes), _ORDERS)
        names = min(orders, key=lambda names: self._place_states(names, plan, sums))
        self._place_states(names, plan, sums)
        self.after = {name: replace(place, kind="after") for name, place in self.before.items()}
        self.given = dict(zip(names, side_by_side("given", (plan.sizes[n] for n in names), packed=False), strict=True))

        leaves = {node for one in (*steps, *back) for node in one.operands} | set(plan.operands)
        homes = {node: self.before[node.detail] for node in leaves if node.operation == "state"}
        homes |= {node: self.inputs for node in leaves if node.operation == "input"}
        homes |= {node: self.given[node.detail] for node in leaves if node.operation == "gradient"}
        homes |= {node: self.after[name] for name, node in plan.after.items()}

        ends = endings(steps, {*plan.after.values(), *plan.saved})
        saved = sorted(plan.saved, key=lambda node: _first(node, sums, ends))
        homes |= self._side_by_side("saved", saved)
        self.forward = Pass(steps, homes, rolling="state", inputs=self.inputs, packed=self.packed)

        arguments = _arguments(plan, sums)
        kept = list(dict.fromkeys([*arguments, *plan.kept_back]))
        homes |= self._side_by_side("kept", kept)
        passed = {name: replace(place, kind="passed") for name, place in self.given.items()}
        homes |= {node: passed[name] for name, node in plan.before.items()}
        zeros = [place for name, place in passed.items() if name not in plan.before]
        self.backward = Pass(back, homes, rolling="gradient", inputs=self.inputs, packed=self.packed, zeros=zeros)
        self.in_place = [place.number for place in passed.values() if _is_read_before(place, self.backward.loop)]
        self.sizes = {
            "before": _sizes([*self.before.values(), self.inputs]),
            "saved": _sizes(homes[node] for node in saved),
            "kept": _sizes(homes[node] for node in kept),
            "given": _sizes(self.given.values()),
        }

        self.weights = joined(
            (
                Call(np.dot, product, homes[node])
                for node, (pairs, biases) in arguments.items()
                for product in products(
                    [(homes[operand], name) for operand, name in pairs],
                    biases,
                    inputs=self.inputs,
                    size=node.width,
                    transposed=True,
                )
            ),
            in_loop=True,
        )
        self.vectors = [
            (name, homes[node])
            for name, nodes in plan.vector_gradients.items()
            for node in nodes
            if node not in arguments
        ]
        self.below = products(
            [(homes[node], name) for node, name in plan.input_products],
            inputs=self.inputs,
            size=plan.input_features,
            transposed=False,
        )
        self.spans = _spans(place for call in self.weights for place in (call.out, call.operands[1]))
        self.below_rest = homes[plan.input_rest] if plan.input_rest is not None else None

    def matrices(self) -> list[Packed]:
        """Return the packed matrices of all products, each once."""
        calls = (*self.forward.sweep, *self.forward.loop, *self.backward.sweep, *self.backward.loop)
        of_calls = (call.operands[0] for call in calls if call.function is np.dot)
        return list(dict.fromkeys([*of_calls, *(packed for packed, _ in self.below)]))

    def _place_states(self, names: Sequence[str], plan: Plan, sums: Sequence[Node]) -> int:
        """Put the states into this order, and return into how many products the sums of a step then fall."""
        sizes = [*(plan.sizes[name] for name in names), 1 + plan.input_features]
        *states, last = side_by_side("before", sizes, packed=self.packed)
        self.before = dict(zip(names, states, strict=True))
        self.one, self.inputs = replace(last, stop=last.start + 1), replace(last, start=last.start + 1)
        places = [
            {
                self.before[one.detail] if one.operation == "state" else self.inputs
                for one in node.operands
                if one.is_leaf
            }
            for node in sums
        ]
        return sum(
            len(products([(place, "") for place in of_sum], inputs=self.inputs, size=0, transposed=False))
            for of_sum in places
        )

    def _side_by_side(self, kind: str, nodes: Sequence[Node]) -> dict[Node, Place]:
        return dict(zip(nodes, side_by_side(kind, [node.width for node in nodes], packed=self.packed), strict=True))


def _nodes(stages: Sequence[Stage]) -> list[Node]:
    return [node for stage in stages for node in (*stage.products, *stage.block)]


def _shares_operands(sums: Sequence[Node]) -> bool:
    """Whether two sums of products in the loop have the same operands, so that they can be one product."""
    operands = [frozenset(node.operands) for node in sums]
    return len(set(in_loop := [one for one in operands if any(node.operation != "input" for node in one)])) < len(
        in_loop
    )


def _first(node: Node, sums: Sequence[Node], ends: Mapping[Node, Node]) -> int:
    """Return the number of the first sum that turns into a node, so that those side by side stay so."""

    def end(one: Node) -> Node:
        return end(ends[one]) if one in ends else one

    return next((number for number, one in enumerate(sums) if end(one) is node), len(sums))


def _arguments(plan: Plan, sums: Sequence[Node]) -> dict[Node, tuple[list[tuple[Node, str]], list[str]]]:
    """Return for the gradient of each sum the operands and names of its matrices, and its vectors, as the sums come."""
    found: dict[Node, tuple[list[tuple[Node, str]], list[str]]] = {}
    for name in dict.fromkeys(name for node in sums for name in node.sum.matrices):
        for operand, gradient in plan.matrix_gradients[name]:
            found.setdefault(gradient, ([], []))[0].append((operand, name))
    for name, nodes in plan.vector_gradients.items():
        for node in nodes:
            if node in found:
                found[node][1].append(name)
    return found


def _is_read_before(passed: Place, loop: Sequence[Call]) -> bool:
    """Whether no call reads the gradient of a state after the step once that before the step has been written."""
    given = replace(passed, kind="given")
    reads = [number for number, call in enumerate(loop) if given in call.operands]
    writes = [number for number, call in enumerate(loop) if call.out == passed]
    return max(reads, default=-1) <= min(writes)


def _sizes(places: Iterable[Place]) -> list[int]:
    """Return the features of each array that has these places."""
    stops = Counter[int]()
    for place in places:
        stops[place.number] = max(stops[place.number], place.stop)
    return [stops[number] for number in sorted(stops)]


def _spans(places: Iterable[Place]) -> dict[str, Place]:
    spans: dict[str, Place] = {}
    for place in places:
        known = spans.setdefault(place.kind, place)
        spans[place.kind] = replace(known, start=min(known.start, place.start), stop=max(known.stop, place.stop))
    return spans
