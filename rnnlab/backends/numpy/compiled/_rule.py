"""Clipping and the update rule, where each lane is a network of its own."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._items import Items
from rnnlab.backends.numpy.compiled._places import Direction, Loop, Rows
from rnnlab.backends.numpy.compiled._values import Number, Place, Vector
from rnnlab.backends.numpy.compiled._weights import Buffers
from rnnlab.equations.formula import formula_of_rule
from rnnlab.equations.graph import Node, ordered
from rnnlab.optim.rules.base import AbstractOptimizer

_SMALL = 1e-30  # of squares: below, and where they are infinite, the norm is taken of g/max|g|


@final
class Rule:
    """Updates all parameters by their gradients.

    Args:
        at: Where `parameters`, `decays` and the rule's slots are; and `alive`, the lanes that are updated.
        size: P, how many parameters there are.

    Attributes:
        gradients: Where the gradients are to be.
        numbers: The names of the numbers of an update, in order.
    """

    def __init__(
        self, code: Code, buffers: Buffers, rule: AbstractOptimizer[Any], *, at: Mapping[str, Place], size: int
    ) -> None:
        self._code, self._size = code, size
        self.gradients, self._clip = (
            buffers.new(name, rows, columns=code.lanes) for name, rows in (("gradients", size), ("clip", 2))
        )
        self.numbers = (*rule.numbers(1, 1.0), "clip_norm", "clip_value")
        self._items = self._rule_items(rule, {**at, "gradients": self.gradients})

    def read(self, numbers: Place) -> None:
        """Let the update that comes next read its numbers here."""
        self._items.bases["numbers"] = numbers

    def clip(self) -> Vector:
        """Clip the gradients, and return their norm before."""
        code, lanes, gradients, clip = self._code, self._code.lanes, self.gradients, self._clip
        limits = [self._items.bases["numbers"] + (len(self.numbers) - n) * lanes for n in (2, 1)]
        bound, largest_value = (limit.read() for limit in limits)
        squares = self._sum(gradients, lambda g: g * g)
        norm = functions.sqrt(squares)
        clip.write(norm)
        (clip + lanes).write(functions.where(norm > bound, bound / norm, code.constant(1.0)))
        is_fine = (squares > _SMALL) & (squares < math.inf)
        with code.where(code.any(~is_fine)):
            most = self._largest(gradients)
            unit = functions.sqrt(self._sum(gradients, lambda g: (g / most) * (g / most)))
            is_odd = (most > 0.0) & (most < math.inf)
            norm = functions.where(is_odd, most * unit, functions.where(squares.equals(squares), most, squares))
            scale = functions.where(is_odd & (norm > bound), bound / unit / most, code.constant(1.0))
            clip.write(functions.where(is_fine, clip.read(), norm))
            (clip + lanes).write(functions.where(is_fine, (clip + lanes).read(), scale))
        norm, scale = clip.read(), (clip + lanes).read()
        changes = scale.differs(1.0) | (largest_value < math.inf)
        with code.where(code.any(changes)), code.loop(self._size) as row:
            place = gradients + row * lanes
            value = place.read() * scale
            low = functions.where(value < 0.0 - largest_value, 0.0 - largest_value, value)
            place.write(functions.where(low > largest_value, largest_value, low))
        return norm

    def move(self) -> None:
        """Do the update."""
        self._items.step()

    def _sum(self, place: Place, of: Callable[[Vector], Vector]) -> Vector:
        """Return the sum over all parameters, of four sums side by side."""
        code, lanes, whole = self._code, self._code.lanes, self._size // 4
        sums: Sequence[Vector] = [code.constant(0.0)] * 4

        def some(k: Number, sums: Sequence[Vector]) -> Sequence[Vector]:
            return [one + of((place + (k * 4 + n) * lanes).read()) for n, one in enumerate(sums)]

        sums = code.sums(whole, sums, some) if whole else sums
        rest = [of((place + (4 * whole + n) * lanes).read()) for n in range(self._size % 4)]
        return sum([*rest, *sums[1:]], sums[0])

    def _largest(self, place: Place) -> Vector:
        def larger(k: Number, most: Sequence[Vector]) -> Sequence[Vector]:
            return [functions.maximum(functions.abs((place + k * self._code.lanes).read()), most[0])]

        return self._code.sums(self._size, [self._code.constant(0.0)], larger)[0]

    def _rule_items(self, rule: AbstractOptimizer[Any], at: Mapping[str, Place]) -> Items:
        """Return the rule as a loop over all parameters, which leaves a lane that has ended as it is."""
        formula = formula_of_rule(rule)
        rows, names = {Node("number", detail="alive"): Rows("alive", 0, 1)}, [*rule.numbers(1, 1.0)]
        (alive,) = rows
        nodes = ordered(formula.values())
        old = {node.detail: node for node in nodes if node.operation == "state"}
        rows |= {node: Rows(name, 0, self._size) for name, node in old.items()}
        rows |= {n: Rows("numbers", names.index(n.detail), 1) for n in nodes if n.operation == "number"}
        new = {name: Node("where", (alive, node, old[name]), 1) for name, node in formula.items()}
        order = [node for node in ordered(new.values()) if not node.is_leaf and node.width]
        written = {node: [Rows(name, 0, self._size)] for name, node in new.items()}
        direction = Direction((Loop(self._size, tuple(order)),), rows, written, 0)
        items = Items(
            self._code, direction, name="rule", starts={}, vectors={}, columns=self._code.lanes, per_lane=True
        )
        items.bases |= {name: at[name] for name in ("alive", "gradients", "decays", *formula)}
        return items
