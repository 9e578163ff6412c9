"""A cell as a user of another library would write it for speed: its step as a Python function of that library's arrays.

Products that read the same value are one, with the matrices side by side, and so are neighbouring gates with one
activation. Products of the inputs are computed for all steps before the loop, if a library is faster so.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from rnnlab.cells.base import AbstractCell
from rnnlab.core.activations import AbstractActivation
from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.plan import step_of
from rnnlab.equations.schedule import Stage, stages
from rnnlab.equations.trace import Traced

Tensor = Any
Step = Callable[..., tuple[Tensor, ...]]
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


class AbstractNamespace(ABC):
    """The functions of a library that a recurrence needs, besides those with the names of `keras.ops`."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    @abstractmethod
    def own_activation(self, name: str) -> Callable[[Tensor], Tensor] | None:
        """Return the library's function for an activation; None if it has none."""

    @abstractmethod
    def joined(self, arrays: Sequence[Tensor]) -> Tensor:
        """Return arrays side by side, along their last axis."""

    @abstractmethod
    def parts(self, array: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        """Return an array cut along its last axis."""

    def added(self, total: Tensor, *products: Tensor) -> Tensor:
        """Return the total plus the products of the first and the second, the third and the fourth, and so on."""
        for x, matrix in zip(products[::2], products[1::2], strict=True):
            total = total + x @ matrix
        return total


@final
@dataclass(frozen=True, slots=True)
class _Pack:
    """Products of one stage that read the same values.

    Attributes:
        nodes: The sums.
        operands: What all of them read besides the inputs, if they read those.
        more: Pairs (sum, what it reads besides).
    """

    nodes: tuple[Node, ...]
    operands: tuple[Node, ...]
    reads_inputs: bool
    more: tuple[tuple[Node, Node], ...]

    @property
    def count(self) -> int:
        """How many arrays it multiplies with and adds."""
        return self.reads_inputs + len(self.operands) + 1 + len(self.more)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The width of each."""
        return tuple(node.width for node in self.nodes)


@final
class Recurrence:
    """One layer's recurrence.

    Attributes:
        sizes: Features of each state; the last of `output` counts.
        output: Which state is the output.
        step: (x, weights, states) -> states, all tuples; x is what `before` returns, at one step.

    Args:
        early: Whether products of the inputs are computed before the loop.
    """

    def __init__(self, xp: AbstractNamespace, cell: AbstractCell, input_features: int, *, early: bool) -> None:
        self._xp, self._early = xp, early
        traced, output = step_of(cell, input_features)  # no plan: a library that derives must see `stop_gradient`
        self._traced, ends = traced, list(traced.states.values())
        self.sizes = tuple(node.width for node in ends)
        self.output = list(traced.states).index(output)
        self._stages = stages(ends, [])
        self._packs = [_packs(stage.products) for stage in self._stages]
        self.step = self._written()

    def weights(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return what `step` and `before` multiply with and add: packed parameters, then vectors by themselves."""
        xp, found = self._xp, list[Tensor]()
        for pack in (pack for packs in self._packs for pack in packs):
            operands = (*([None] * pack.reads_inputs), *pack.operands)
            parts = [[_matrix(node, operand, parameters) for node in pack.nodes] for operand in operands]
            found += map(xp.joined, [*parts, [_bias(xp, node, parameters) for node in pack.nodes]])
            found += [_matrix(node, operand, parameters) for node, operand in pack.more]
        return (*found, *(parameters[name] for name in self._traced.vectors))

    def before(self, weights: tuple[Tensor, ...], inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what `step` reads at each step, each (T, B, …), from inputs (T, B, I)."""
        if not self._early:
            return (inputs,)
        found, place = list[Tensor](), 0
        for pack in (pack for packs in self._packs for pack in packs):
            if pack.reads_inputs:
                found.append(inputs @ weights[place] + weights[place + 1 + len(pack.operands)])
            place += pack.count
        return (*found, inputs) if _reads_inputs(self._stages) else tuple(found) or (inputs,)

    def _written(self) -> Step:
        """Return the step, compiled from Python source; nothing is decided while it runs."""
        source = _Source(self._traced, self._stages, packs=self._packs, early=self._early)
        text, names = source.text(), dict[str, Any](xp=self._xp)
        for name, activation in source.activations.items():
            names[name] = self._xp.own_activation(activation.name) or partial(activation.value, self._xp)
        exec(compile(text, "<recurrence>", "exec"), names)  # noqa: S102 - our own text
        step: Step = names["step"]
        return step


@final
class _Source:
    """The source of a step."""

    def __init__(
        self, traced: Traced, forward: Sequence[Stage], *, packs: Sequence[Sequence[_Pack]], early: bool
    ) -> None:
        self._traced, self._forward, self._packs, self._early = traced, forward, packs, early
        self._names: dict[Node, str] = {}
        self._lines: list[str] = []
        self._count = 0
        self.activations: dict[str, AbstractActivation] = {}

    def text(self) -> str:
        states, weights, xs = self._traced.states, 0, 0
        early = sum(pack.reads_inputs for packs in self._packs for pack in packs) if self._early else 0
        for node in ordered(states.values()):
            if node.operation in {"input", "state"}:
                self._names[node] = f"x{early}" if node.operation == "input" else f"s{list(states).index(node.detail)}"
        count = sum(pack.count for packs in self._packs for pack in packs)
        vectors = {name: f"w{count + place}" for place, name in enumerate(self._traced.vectors)}
        for stage, packs in zip(self._forward, self._packs, strict=True):
            for pack in packs:
                used = pack.reads_inputs + len(pack.operands)
                matrices, total = [f"w{weights + place}" for place in range(used)], f"w{weights + used}"
                reads = [self._names[operand] for operand in pack.operands]
                if pack.reads_inputs and self._early:
                    total, xs = f"x{xs}", xs + 1
                    matrices = matrices[1:]
                elif pack.reads_inputs:
                    reads = ["x0", *reads]
                if reads:
                    products = (f"{read}, {matrix}" for read, matrix in zip(reads, matrices, strict=True))
                    total = f"xp.added({total}, {', '.join(products)})"
                self._cut(pack, total)
                for place, (node, operand) in enumerate(pack.more, start=weights + used + 1):
                    self._assign(
                        [name := self._new()], f"xp.added({self._names[node]}, {self._names[operand]}, w{place})", []
                    )
                    self._names[node] = name
                weights += pack.count
            for node in stage.block:
                if node not in self._names:
                    self._add(node, vectors)
        self._lines.append(f"return {', '.join(self._name(node, vectors) for node in states.values())},")
        count_of_x = max(1, early + _reads_inputs(self._forward))
        head = f"({_tuple('x', count_of_x)}, {_tuple('w', count + len(vectors))}, {_tuple('s', len(states))})"
        body = "".join(f"    {line}\n" for line in [f"{head} = xs, ws, states", *self._lines])
        return f"def step(xs, ws, states):\n{body}"

    def _cut(self, pack: _Pack, total: str) -> None:
        """Write a product as one value for each node; where all are read by one activation only, after that."""
        unfinished = {node for node, _ in pack.more}
        readers = [None if node in unfinished else self._readers(node) for node in pack.nodes]
        runs: list[list[Node]] = []
        for number, node in enumerate(pack.nodes):
            joins = number and readers[number] is not None and _same(readers[number], readers[number - 1])
            runs[-1].append(node) if joins else runs.append([node])
        wide = [self._new() for _ in runs]
        self._assign(wide, total, [sum(node.width for node in run) for run in runs])
        for name, run in zip(wide, runs, strict=True):
            reader = self._readers(run[0])
            if len(run) > 1 and reader is not None:
                ends = [self._readers(node) for node in run]
                parts = [self._new() for _ in run]
                self._assign(parts, self._activated(reader, name), [node.width for node in run])
                self._names |= {end: part for end, part in zip(ends, parts, strict=True) if end is not None}
            else:
                self._names[run[0]] = name

    def _assign(self, names: Sequence[str], value: str, sizes: Sequence[int]) -> None:
        cut = value if len(names) == 1 else f"xp.parts({value}, {tuple(sizes)})"
        self._lines.append(f"{', '.join(names)} = {cut}")

    def _readers(self, node: Node) -> Node | None:
        """Return the activation that alone reads a node; None if there is another reader."""
        nodes = [one for stage in self._forward for one in (*stage.products, *stage.block) if node in one.operands]
        return nodes[0] if len(nodes) == 1 and nodes[0].operation == "activation" else None

    def _add(self, node: Node, vectors: Mapping[str, str]) -> None:
        operands = [self._name(operand, vectors) for operand in node.operands]
        match node.operation:
            case "activation":
                value = self._activated(node, *operands)
            case "repeat":
                value = f"xp.repeat({operands[0]}, {node.detail}, axis=-1)"
            case "copy":
                (value,) = operands
            case "negative":
                value = f"-{operands[0]}"
            case operation if operation in _SIGNS:
                value = f"{operands[0]} {_SIGNS[operation]} {operands[1]}"
            case operation:
                value = f"xp.{operation}({', '.join(operands)})"
        self._names[node] = self._new()
        self._lines.append(f"{self._names[node]} = {value}")

    def _activated(self, node: Node, argument: str) -> str:
        name = f"act_{node.activation.name}"
        self.activations[name] = node.activation
        return f"{name}({argument})"

    def _name(self, node: Node, vectors: Mapping[str, str]) -> str:
        if node.operation == "constant":
            return repr(node.detail)
        return vectors[node.detail] if node.operation == "parameter" else self._names[node]

    def _new(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _tuple(letter: str, count: int) -> str:
    return f"({''.join(f'{letter}{number}, ' for number in range(count))})"


def _reads_inputs(forward: Sequence[Stage]) -> bool:
    """Return whether something besides products reads the inputs."""
    return any(one.operation == "input" for stage in forward for node in stage.block for one in node.operands)


def _same(one: Node | None, other: Node | None) -> bool:
    return one is not None and other is not None and one.activation == other.activation


def _packs(products: Sequence[Node]) -> list[_Pack]:
    reads = {node: {one for one in node.operands if one.operation != "input"} for node in products}
    has_inputs = {node: any(one.operation == "input" for one in node.operands) for node in products}
    left, found = list(products), []
    while left:
        first = left[0]
        operand = max(reads[first], key=lambda one: sum(one in reads[node] for node in left), default=None)
        nodes = [node for node in left if has_inputs[node] == has_inputs[first]]
        nodes = [node for node in nodes if (operand in reads[node] if operand else not reads[node])]
        common = [one for one in first.operands if all(one in reads[node] for node in nodes)]
        more = tuple(
            (node, one) for node in nodes for one in dict.fromkeys(node.operands) if one in reads[node] - {*common}
        )
        found.append(_Pack(tuple(nodes), tuple(dict.fromkeys(common)), has_inputs[first], more))
        left = [node for node in left if node not in nodes]
    return found


def _matrix(node: Node, operand: Node | None, parameters: Mapping[str, Tensor]) -> Tensor:
    """Return what an operand of a sum, or None for the inputs, is multiplied by."""
    pairs = zip(node.operands, node.sum.matrices, strict=True)
    found = [parameters[name] for one, name in pairs if one is operand or (not operand and one.operation == "input")]
    return sum(found[1:], found[0])


def _bias(xp: AbstractNamespace, node: Node, parameters: Mapping[str, Tensor]) -> Tensor:
    names = node.sum.biases
    if not names:
        return xp.zeros_like(parameters[node.sum.matrices[0]][0])
    return sum((parameters[name] for name in names[1:]), parameters[names[0]])
