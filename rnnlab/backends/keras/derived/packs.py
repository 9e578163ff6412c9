"""Nodes of a plan that lie side by side in one array of an engine, and `keras.ops` as the namespace of equations."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import keras

from rnnlab.equations.graph import Node

Tensor = Any
ops = keras.ops


@final
class Pack:
    """The places of nodes on the last axis of one array."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes, self.width, self._places = tuple(nodes), 0, dict[Node, slice]()
        for node in self.nodes:
            self._places[node] = slice(self.width, self.width + node.width)
            self.width += node.width

    def part(self, array: Tensor, *run: Node) -> Tensor:
        """Return the values of one node, or of neighbours."""
        if len(run) == len(self.nodes):
            return array
        return array[..., self._places[run[0]].start : self._places[run[-1]].stop]

    def parts(self, array: Tensor) -> dict[Node, Tensor]:
        """Return the values of each node."""
        return {node: self.part(array, node) for node in self.nodes}

    def widened(self, array: Tensor, run: Sequence[Node]) -> Tensor:
        """Return the values of neighbours with zeros for the other nodes."""
        before, after = self._places[run[0]].start, self.width - self._places[run[-1]].stop
        return ops.pad(array, [(0, 0)] * (len(array.shape) - 1) + [(before, after)]) if before or after else array

    def joined(self, values: Mapping[Node, Tensor]) -> Tensor:
        """Return the array."""
        return side_by_side([values[node] for node in self.nodes])

    def runs(self, wanted: Iterable[Node]) -> list[tuple[Node, ...]]:
        """Return those of the nodes that are wanted, neighbours together."""
        chosen, runs, before = set(wanted), list[tuple[Node, ...]](), None
        for node in self.nodes:
            if node in chosen:
                runs = [*runs[:-1], (*runs[-1], node)] if before in chosen else [*runs, (node,)]
            before = node
        return runs


@final
class Namespace:
    """`keras.ops`, with Python's own operators, which on eager PyTorch take a fraction of the time."""

    add, subtract, multiply, divide = operator.add, operator.sub, operator.mul, operator.truediv
    greater, greater_equal, less, less_equal = operator.gt, operator.ge, operator.lt, operator.le
    negative, absolute = operator.neg, operator.abs

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype

    def where(self, condition: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
        """Return a where the condition holds, else b."""
        return ops.where(condition, *(ops.cast(one, self._dtype) if isinstance(one, float) else one for one in (a, b)))

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


def side_by_side(arrays: Sequence[Tensor]) -> Tensor:
    """Return arrays as one, along the last axis."""
    return arrays[0] if len(arrays) == 1 else ops.concatenate(arrays, axis=-1)


def product(arrays: Tensor, matrix: Tensor) -> Tensor:
    """Return all steps' products as one: (T, B, N) from (T, B, M) and (M, N)."""
    timesteps, batch_size, features = arrays.shape
    rows = ops.reshape(arrays, (timesteps * batch_size, features))
    return ops.reshape(ops.matmul(rows, matrix), (timesteps, batch_size, matrix.shape[1]))


def summed_product(left: Tensor, right: Tensor) -> Tensor:
    """Return Σ over steps and batch of leftᵀ·right, (M, N), from (T, B, M) and (T, B, N)."""
    rows = left.shape[0] * left.shape[1]
    return ops.matmul(ops.transpose(ops.reshape(left, (rows, left.shape[2]))), ops.reshape(right, (rows, -1)))
