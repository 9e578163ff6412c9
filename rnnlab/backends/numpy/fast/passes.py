"""The calls that compute nodes of a plan: what can be done for all steps at once, and what is left to each step."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, final

import numpy as np

from rnnlab.backends.numpy.fast.calls import OF_EACH_STEP, Call, Packed, Place, joined, products
from rnnlab.core.activations import AbstractActivation, AbstractScaledTanh
from rnnlab.core.batch import Array
from rnnlab.equations.graph import Node


def endings(nodes: Iterable[Node], homes: Collection[Node]) -> dict[Node, Node]:
    """Return for each node into which other one it turns in place: the only one that reads it, of the same size.

    Each node comes after its operands; `homes` have a place of their own, and turn into none.
    """
    computed, found = dict.fromkeys(nodes), dict[Node, Node]()
    readers = Counter(operand for node in computed for operand in set(node.operands))
    for node in computed:
        fits = [one for one in node.operands if one in computed and one not in homes and one.width == node.width]
        fits = [one for one in fits if readers[one] == 1]
        if fits and node.operation != "linear":  # a product must not write where it reads
            found[min(fits, key=lambda one: one.operation != "linear")] = node
    return found


@final
class Pass:
    """The calls that compute nodes over a chunk, and memory for what none of the known places is for.

    Args:
        nodes: Each after its operands.
        homes: Where leaves are, and where results go.
        rolling: The operation of the leaves that a step gets from the one before: what reads them is in the loop.
        packed: Whether features are rows: else they are columns.
        zeros: Where else 0 is written at the end of a step.

    Attributes:
        sweep: Done once for a chunk, for all of its steps.
        loop: Done for each step.
        sizes: Features of each array of the kinds `swept` (one per step) and `work`.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        homes: Mapping[Node, Place],
        *,
        rolling: str,
        inputs: Place,
        packed: bool,
        zeros: Iterable[Place] = (),
    ) -> None:
        self._inputs, self._packed, self._homes, self._rolling = inputs, packed, homes, rolling
        self._ends = endings(nodes, homes)
        self._readers: dict[Node, list[Node]] = defaultdict(list)
        self._in_loop = set[Node]()
        for node in nodes:
            for operand in dict.fromkeys(node.operands):
                self._readers[operand].append(node)
            if any(one in self._in_loop or one.operation == rolling for one in node.operands):
                self._in_loop.add(node)
        self._left = {node: len(readers) for node, readers in self._readers.items()}
        self._places = dict(homes)
        self.sizes: dict[str, list[int]] = {"swept": [], "work": []}
        self._free: dict[tuple[str, int], list[Place]] = defaultdict(list)
        self.sweep, self.loop = list[Call](), list[Call]()
        for node in nodes:
            self._compute(node)
        self.loop += [Call(_copy, (0.0,), place) for place in zeros]
        self.sweep, self.loop = joined(self.sweep, in_loop=False), joined(self.loop, in_loop=True)

    def _compute(self, node: Node) -> None:
        calls, kind = (self.loop, "work") if node in self._in_loop else (self.sweep, "swept")
        operands = tuple(self._operand(one) for one in node.operands)
        if node.operation == "linear":  # a product must not write where it reads
            out = self._places[node] = self._home(node) or self._new(kind, node.width)
            self._release(node)
            self._add_up(node, out)
            return
        self._release(node)
        out = self._places[node] = self._home(node) or self._new(kind, node.width)
        if node.operation == "activation":
            calls += self._activate(node, operands[0], out)
        elif node.operation == "negative":  # np.negative of NumPy 2.4.6 leaves out values that are 4 or 8 numbers apart
            calls.append(Call(np.multiply, (*operands, -1.0), out))
        else:
            calls.append(Call(self._function(node), operands, out))

    def _function(self, node: Node) -> Callable[..., Any]:
        if node.operation in {"repeat", "group_sum"}:
            function = _repeat if node.operation == "repeat" else _group_sum
            return partial(function, node.detail, -2 if self._packed else -1)
        found: Callable[..., Any] = _OWN.get(node.operation) or getattr(np, node.operation)
        return found

    def _home(self, node: Node) -> Place | None:
        """Return where a node is to be: where it stays, or what it turns into does."""
        if node in self._homes:
            return self._homes[node]
        place = self._home(self._ends[node]) if node in self._ends else None
        return place if place and (node in self._in_loop or place.kind in OF_EACH_STEP) else None

    def _operand(self, node: Node) -> Any:
        return node.detail if node.operation in {"constant", "parameter"} else self._places[node]

    def _new(self, kind: str, size: int) -> Place:
        free = self._free[kind, size]
        if free:
            return free.pop()
        self.sizes[kind].append(size)
        return Place(kind, len(self.sizes[kind]) - 1, 0, size)

    def _release(self, node: Node) -> None:
        """Free the places of operands that no other node reads."""
        for operand in dict.fromkeys(node.operands):
            self._left[operand] -= 1
            place = self._places.get(operand)
            if self._left[operand] or place is None or place.kind not in self.sizes:
                continue
            if place.kind == "work" or not any(reader in self._in_loop for reader in self._readers[operand]):
                self._free[place.kind, place.stop].append(place)

    def _add_up(self, node: Node, out: Place) -> None:
        """Add the calls of a sum of products; those of what is known for all steps are done for all at once."""
        places = {self._places[one]: one for one in node.operands}
        pairs = [(self._places[one], name) for one, name in zip(node.operands, node.sum.matrices, strict=True)]
        parts = products(
            pairs, node.sum.biases, inputs=self._inputs, size=node.width, transposed=not node.sum.transposed
        )

        def is_late(part: tuple[Packed, Place]) -> bool:
            read = [one for place, one in places.items() if part[1].overlaps(place)]
            waits = any(one in self._in_loop or one.operation == self._rolling for one in read)
            return waits or (node in self._in_loop and out.kind not in OF_EACH_STEP)

        for number, (packed, run) in enumerate(sorted(parts, key=is_late)):
            calls, kind = (self.loop, "work") if is_late((packed, run)) else (self.sweep, "swept")
            weights = tuple(replace(one, scale=self._inner(node)) for one in packed.weights)
            part = self._new(kind, node.width) if number else out
            calls.append(Call(np.dot, (replace(packed, weights=weights), run), part))
            if number:
                calls.append(Call(np.add, (out, part), out))
                self._free[kind, node.width].append(part)

    def _inner(self, node: Node) -> float:
        """Return what the weights of a sum are multiplied by so that its activation need not do it."""
        readers = self._readers[node]
        if len(readers) != 1 or node in self._homes or readers[0].operation != "activation":
            return 1.0
        function = readers[0].activation
        return function.inner if isinstance(function, AbstractScaledTanh) else 1.0

    def _activate(self, node: Node, given: Any, out: Place) -> list[Call]:
        function, (operand,) = node.activation, node.operands
        if not isinstance(function, AbstractScaledTanh):
            return [Call(_writer(function), (given,), out)]
        calls = [Call(np.tanh, (given,), out)]
        if function.inner != 1 and not (operand.operation == "linear" and self._inner(operand) == function.inner):
            calls = [Call(np.multiply, (given, function.inner), out), Call(np.tanh, (out,), out)]
        if function.gain != 1:
            calls.append(Call(np.multiply, (out, function.gain), out))
        if function.shift != 0:
            calls.append(Call(np.add, (out, function.shift), out))
        return calls


@cache  # the same function for the same activation, so that calls of it can be joined
def _writer(activation: AbstractActivation) -> Callable[[Array, Array], None]:
    def write(x: Array, out: Array) -> None:
        out[...] = activation(np, x)

    return write


def _copy(x: Array, out: Array) -> None:
    out[...] = x


def _maximum(a: Array, b: Array, out: Array) -> None:  # the original takes no `out` by its place
    np.maximum(a, b, out=out)


def _minimum(a: Array, b: Array, out: Array) -> None:
    np.minimum(a, b, out=out)


def _where(condition: Array, a: Array, b: Array, out: Array) -> None:
    out[...] = np.where(condition, a, b)


def _repeat(count: int, axis: int, x: Array, out: Array) -> None:
    out[...] = np.repeat(x, count, axis=axis)


def _group_sum(count: int, axis: int, x: Array, out: Array) -> None:
    """Write the sums of so many features in a row."""
    axis = x.ndim + axis
    out[...] = x.reshape(*x.shape[:axis], -1, count, *x.shape[axis + 1 :]).sum(axis=axis + 1)


_OWN: dict[str, Callable[..., Any]] = {"copy": _copy, "where": _where, "maximum": _maximum, "minimum": _minimum}
