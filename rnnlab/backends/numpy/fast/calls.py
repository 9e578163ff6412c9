"""Calls of NumPy on rows of arrays: what a step is made of, whatever its batch size; neighbours become one call."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, final

import numpy as np

# Kinds of arrays that have one part per step of a chunk; the others have one that each step uses again.
OF_EACH_STEP = {"before", "after", "saved", "kept", "swept"}


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is: features of an array."""

    # `before` and `after` a step: states, a one, the inputs; `saved` for the backward pass; `kept` until it is
    # over; `swept`, computed for all steps at once; `work`, of one step; `given` and `passed`, gradients of
    # states after and before a step
    kind: str
    number: int  # which array of this kind
    start: int  # first feature
    stop: int  # the feature after the last
    copies: int = 1  # how many values of one size these are, all combined with the same one

    def touches(self, other: "Place") -> bool:
        """Whether the other begins where this one ends."""
        return (self.kind, self.number, self.stop) == (other.kind, other.number, other.start)

    def overlaps(self, other: Any) -> bool:
        """Whether they have a feature in common."""
        return (
            isinstance(other, Place)
            and (self.kind, self.number) == (other.kind, other.number)
            and self.start < other.stop
            and other.start < self.stop
        )


@final
@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter, or its transpose, in a packed matrix (out, in): a vector is one column."""

    name: str
    row: int
    column: int
    transposed: bool
    scale: float = 1.0


@final
@dataclass(frozen=True, slots=True)
class Packed:
    """A matrix (out, in) made of parameters: of those in the same place the sum, elsewhere zero."""

    rows: int
    columns: int
    weights: tuple[Weight, ...]


@final
@dataclass(frozen=True, slots=True)
class Call:
    """A function of places, numbers and vectors of parameters (their names), and where its result goes.

    The function of a product is `np.dot`, its operands are a packed matrix and a place.
    """

    function: Callable[..., Any]
    operands: tuple[Any, ...]
    out: Place


def side_by_side(kind: str, sizes: Iterable[int], *, packed: bool) -> list[Place]:
    """Return places of values of these sizes: in one array, or in one each."""
    if not packed:
        return [Place(kind, number, 0, size) for number, size in enumerate(sizes)]
    sizes = list(sizes)
    return [Place(kind, 0, stop - size, stop) for size, stop in zip(sizes, accumulate(sizes), strict=True)]


def products(
    pairs: Sequence[tuple[Place, str]], biases: Sequence[str] = (), *, inputs: Place, size: int, transposed: bool
) -> list[tuple[Packed, Place]]:
    """Return the products whose sum is that of places times parameters, one for each run of places side by side.

    Args:
        pairs: Places and names of the matrices.
        biases: Names of vectors.
        inputs: Where the inputs are; the feature before them is one.
        size: Of the result.
        transposed: Whether (out, in) is the transpose of what is stored.
    """
    one = replace(inputs, start=inputs.start - 1, stop=inputs.start)
    places = {place for place, _ in pairs}
    if biases or inputs in places:
        places.add(one)
    runs: list[Place] = []
    for place in sorted(places, key=lambda place: (place.kind, place.number, place.start)):
        if runs and runs[-1].touches(place):
            runs[-1] = replace(runs[-1], stop=place.stop)
        else:
            runs.append(place)
    found = []
    for run in runs:
        weights = [
            Weight(name, 0, place.start - run.start, transposed)
            for place, name in [*pairs, *((one, name) for name in biases)]
            if run.overlaps(place)
        ]
        found.append((Packed(size, run.stop - run.start, tuple(weights)), run))
    return found


def joined(calls: Iterable[Call], *, in_loop: bool) -> list[Call]:
    """Return fewer calls that do the same: the same function of values that lie side by side is called once."""
    left = list(calls)
    while len(fewer := _joined_once(left, in_loop=in_loop)) < len(left):
        left = fewer
    return left


def _joined_once(calls: Iterable[Call], *, in_loop: bool) -> list[Call]:
    done: list[Call] = []
    for call in calls:
        for place in range(len(done) - 1, -1, -1):
            if _must_follow(call, done[place]):
                done.append(call)
                break
            both = _joined(done[place], call, in_loop)
            if both is not None:
                done[place] = both
                break
        else:
            done.append(call)
    return done


def _must_follow(call: Call, earlier: Call) -> bool:
    reads = any(earlier.out.overlaps(operand) for operand in call.operands)
    return reads or call.out.overlaps(earlier.out) or any(call.out.overlaps(operand) for operand in earlier.operands)


def _joined(first: Call, second: Call, in_loop: bool) -> Call | None:
    """Return both as one call, None if that cannot be."""
    if first.function is not second.function or len(first.operands) != len(second.operands):
        return None
    if not first.out.touches(second.out):
        first, second = second, first
    if not first.out.touches(second.out):
        return None
    if first.function is np.dot:
        return _joined_products(first, second)
    operands, shared = list[Any](), 0
    for a, b in zip(first.operands, second.operands, strict=True):
        if isinstance(a, Place) and isinstance(b, Place) and a.touches(b):
            operands.append(replace(a, stop=b.stop))
        elif a == b:
            operands.append(a)
            shared = a.stop - a.start if isinstance(a, Place) else shared
        else:
            return None
    out = replace(first.out, stop=second.out.stop)
    if any(isinstance(operand, str) for operand in operands) or (shared and not in_loop):
        return None
    if shared:
        copies = (out.stop - out.start) // shared
        operands = [one if one in second.operands else _divided(one, copies) for one in operands]
        out = replace(out, copies=copies)
    return Call(first.function, tuple(operands), out)


def _divided(operand: Any, copies: int) -> Any:
    return replace(operand, copies=copies) if isinstance(operand, Place) else operand


def _joined_products(first: Call, second: Call) -> Call | None:
    (a, place), (b, other) = first.operands, second.operands
    if place != other:
        return None
    weights = (*a.weights, *(replace(one, row=one.row + a.rows) for one in b.weights))
    both = Packed(a.rows + b.rows, a.columns, weights)
    return Call(np.dot, (both, place), replace(first.out, stop=second.out.stop))
