"""Where the values of a step are in memory; for any plan."""

from collections.abc import Mapping, Sequence
from typing import final

from rnnlab.backends.numpy.compiled._order import Order, in_memory_order, merged
from rnnlab.backends.numpy.compiled._places import ONES, Gather, Operand, Piece, Product, Rows
from rnnlab.equations.graph import Node
from rnnlab.equations.plan import Plan
from rnnlab.equations.schedule import Stage, stages


@final
class Layout:
    """The memory and the order of a plan.

    Args:
        lanes: Numbers per vector, to which kept gradients are rounded up.
        inputs_apart: Whether inputs are not on the record but in a buffer of their own.
        also: Nodes of the step that are kept too, besides those that the backward pass reads.

    Attributes:
        states: The rows of each state on the record, and of its gradient in `flow`.
        inputs, ones: Their rows.
        record, flow: How many rows these have.
        vectors: The first number of each vector of parameters that a loop reads, all one behind the other.
        gathers: How the gradients of the parameters are found after all steps.
        kept: Rows of the gradients that are kept of all steps.
        below: Where the gradient of the inputs is.
    """

    def __init__(self, plan: Plan, lanes: int, *, inputs_apart: bool = False, also: Sequence[Node] = ()) -> None:
        self.plan, self._lanes = plan, lanes
        read = [node for stage in plan.forward for one in stage.products for node in one.operands]
        readers = {name: sum(n.operation == "state" and n.detail == name for n in read) for name in plan.sizes}
        # What is read together most often comes last, beside the inputs: most products then read one block of rows.
        self.states, self.record = dict[str, Rows](), 0
        for name in sorted(plan.sizes, key=lambda name: readers[name]):
            self.states[name] = self._on_record(plan.sizes[name])
        self.flow = self.record
        features = plan.input_features
        self.inputs = Rows("inputs", 0, features) if inputs_apart else self._on_record(features)
        self.ones = self._on_record(1)
        kept = {node: [Rows("next", self.states[n].start, node.width)] for n, node in plan.after.items()}
        for node in dict.fromkeys([*plan.operands, *plan.saved, *also]):
            if not node.is_leaf and node.width and node not in kept:
                kept[node] = [self._on_record(node.width)]
        self.vectors, self.numbers = dict[str, int](), 0
        for name, size in plan.vectors.items():
            self.vectors[name] = self.numbers
            self.numbers += size
        forward = stages([*plan.after.values(), *(node for node in also if node.width)], []) if also else plan.forward
        given = self._leaves([*forward, Stage((), (Node("also", tuple(also)),))])
        self.forward = Order(given, kept, ones=self.ones).direction(forward)
        self._back(given, {node: rows[0] for node, rows in kept.items()})

    def _on_record(self, count: int) -> Rows:
        self.record += count
        return Rows("record", self.record - count, count)

    def _leaves(self, stages: Sequence[Stage]) -> dict[Node, Rows]:
        found = dict[Node, Rows]()
        for node in (o for stage in stages for one in (*stage.products, *stage.block) for o in one.operands):
            if node.operation == "state":
                found[node] = self.states[node.detail]
            elif node.operation == "input":
                found[node] = self.inputs
            elif node.operation == "gradient":
                rows = self.states[node.detail]
                found[node] = Rows("flow", rows.start, rows.count)
        return found

    def _back(self, given: Mapping[Node, Rows], kept: Mapping[Node, Rows]) -> None:
        plan, wanted = self.plan, dict[Node, list[Rows]]()
        known = {**given, **kept, **self._leaves(plan.backward)}  # what is multiplied is read on the way there
        self.kept, gathers = 0, list[Gather]()
        for operands, gradients in self._gathered().items():
            gathers.append(self._gather(known, operands, gradients))
            start = gathers[-1].start
            for gradient in gradients:
                wanted.setdefault(gradient, []).append(Rows("kept", start, gradient.width))
                start += gradient.width
        self.gathers = tuple(gathers)
        for name, node in plan.before.items():
            rows = self.states[name]
            wanted.setdefault(node, []).append(Rows("before", rows.start, rows.count))
        self.below = Rows("below", 0, plan.input_features)
        if plan.input_rest is not None:
            wanted.setdefault(plan.input_rest, []).append(self.below)
        order = Order(known, wanted, ones=self.ones)
        self.backward = order.direction(plan.backward, plan.input_products, self.below)

    def _gathered(self) -> dict[frozenset[Operand], list[Node]]:
        """Return the gradients by the operands that they are multiplied by."""
        operands = dict[Node, set[Operand]]()
        for pairs in self.plan.matrix_gradients.values():
            for operand, gradient in pairs:
                operands.setdefault(gradient, set()).add(operand)
        for gradients in self.plan.vector_gradients.values():
            for gradient in gradients:
                operands.setdefault(gradient, set()).add(ONES)
        groups = dict[frozenset[Operand], list[Node]]()
        for gradient, those in operands.items():
            groups.setdefault(frozenset(those), []).append(gradient)
        return groups

    def _gather(self, known: Mapping[Node, Rows], operands: frozenset[Operand], gradients: Sequence[Node]) -> Gather:
        places = in_memory_order(operands, known, self.ones)
        columns, start = dict[Node, slice](), 0
        for gradient in gradients:
            columns[gradient] = slice(start, start + gradient.width)
            start += gradient.width
        pieces = [
            Piece(name, False, places[operand], columns[gradient])
            for name, pairs in self.plan.matrix_gradients.items()
            for operand, gradient in pairs
            if gradient in columns
        ]
        pieces += [
            Piece(name, False, places[ONES], columns[gradient])
            for name, those in self.plan.vector_gradients.items()
            for gradient in those
            if gradient in columns
        ]
        first, self.kept = self.kept, self.kept + -(-start // self._lanes) * self._lanes
        rows = [self.ones if operand is ONES else known[operand] for operand in places]
        return Gather(merged(rows), first, start, tuple(pieces))

    @property
    def products(self) -> list[Product]:
        """The products of both directions."""
        return [item for item in (*self.forward.items, *self.backward.items) if isinstance(item, Product)]
