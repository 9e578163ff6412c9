"""A pass bound to arrays: each call with its arguments, found once per shape of a chunk.

A view costs a third of a product of small matrices, and a number that NumPy must make an array of costs as much.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import repeat
from typing import Any, final

import numpy as np

from rnnlab.backends.numpy.fast.calls import OF_EACH_STEP, Call, Packed, Place
from rnnlab.backends.numpy.fast.passes import Pass
from rnnlab.core.batch import Array

Bound = tuple[Callable[..., Any], tuple[Any, ...]]


@final
@dataclass(frozen=True, slots=True)
class Arrays:
    """The memory of a chunk."""

    packed: bool  # whether arrays are (…, feature, B), else (…, B, feature)
    timesteps: int
    # by kind of place; those of each step have T as their first axis. Of gradients of states there are two of
    # each, in turn `given` to a step and `passed` by it
    of_kind: Mapping[str, Sequence[Array]]
    matrices: Mapping[Packed, Array]
    parameters: Mapping[str, Array]

    def part(self, place: Place) -> Array:
        """Return the view of a place."""
        array = self.of_kind[place.kind][place.number]
        if not self.packed:
            return array[..., place.start : place.stop]
        rows = array[..., place.start : place.stop, :]
        if place.copies == 1:
            return rows
        return rows.reshape(*rows.shape[:-2], place.copies, -1, rows.shape[-1])

    def product(self, matrix: Array, place: Place) -> Array:
        """Return the product of a packed matrix and a place, for all steps."""
        part = self.part(place)
        whole: Array = np.matmul(matrix, part) if self.packed else np.dot(as_rows(part), matrix)
        return whole if self.packed else whole.reshape(*part.shape[:-1], -1)

    def bind(self, calls: Pass, *, back: bool) -> tuple[list[Bound], list[tuple[Bound, ...]]]:
        """Return what is called for the chunk, and for each step; the last step is the first in the backward pass."""
        of_steps = cache(partial(self.of_steps, back=back))

        columns = [
            zip(
                repeat(call.function, self.timesteps),
                zip(*map(of_steps, self._ordered(call)), strict=True),
                strict=True,
            )
            for call in calls.loop
        ]
        steps = list(zip(*columns, strict=True)) if columns else [()] * self.timesteps
        return [self._swept(call) for call in calls.sweep], steps

    def _ordered(self, call: Call) -> list[Any]:
        if call.function is np.dot and not self.packed:
            return [*reversed(call.operands), call.out]
        return [*call.operands, call.out]

    def of_steps(self, operand: Any, *, back: bool) -> Sequence[Any]:
        """Return an operand as each step finds it."""
        if isinstance(operand, Place) and operand.kind in OF_EACH_STEP:
            return list(self.part(operand)[:: -1 if back else 1])
        if isinstance(operand, Place) and operand.kind in {"given", "passed"}:
            pair = self.of_kind["flows"][2 * operand.number : 2 * operand.number + 2]
            first = operand.kind == "passed"
            return [pair[(step + first) % 2] for step in range(self.timesteps)]
        return [self._fixed(operand)] * self.timesteps

    def _fixed(self, operand: Any) -> Any:
        if isinstance(operand, Place):
            return self.part(operand)
        if isinstance(operand, Packed):
            return self.matrices[operand]
        if isinstance(operand, str):
            vector = self.parameters[operand]
            return vector[:, None] if self.packed else vector
        return np.array(operand, next(iter(self.parameters.values())).dtype)

    def _swept(self, call: Call) -> Bound:
        operands = [self._fixed(operand) for operand in self._ordered(call)]
        if call.function is not np.dot:
            return call.function, tuple(operands)
        if self.packed:
            return np.matmul, tuple(operands)
        values, matrix, out = operands
        return np.dot, (as_rows(values), matrix, as_rows(out))


def as_rows(array: Array) -> Array:
    """Return (T·B, feature) of (T, B, feature)."""
    return array.reshape(-1, array.shape[-1])
