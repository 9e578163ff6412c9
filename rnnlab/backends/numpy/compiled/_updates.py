"""K updates of networks as one function of machine code, a network in each lane of a vector."""

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any, final

from llvmlite import ir

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._head import Head
from rnnlab.backends.numpy.compiled._items import Items
from rnnlab.backends.numpy.compiled._machine import Program
from rnnlab.backends.numpy.compiled._places import Direction, Loop, Rows
from rnnlab.backends.numpy.compiled._recurrent import Layer
from rnnlab.backends.numpy.compiled._values import Number, Place, Vector
from rnnlab.backends.numpy.compiled._weights import Buffers, add, clear
from rnnlab.equations.formula import formula_of_head, formula_of_rule
from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.plan import plan_of
from rnnlab.optim.rules.base import AbstractOptimizer

_SMALL = 1e-30  # of squares: below, and where they are infinite, the norm is taken of g/max|g|
# What the caller gives, besides the rule's slots: `by lane` are tables of addresses of float64 arrays.
GIVEN = (
    "inputs by lane", "targets by lane", "mask by lane", "ends", "lengths", "share", "share of the loss",
    "numbers", "parameters", "decays", "alive", "losses", "norms", "outputs",
)  # fmt: skip


@final
class Updates:
    """Writes the function (table; updates, B, T, window).

    The table has the addresses of what is `GIVEN`, then of the rule's slots, then of the buffers in `sizes`.

    Args:
        network: Of every lane.
        rule: How all are updated; its numbers are given for each update and lane.
        lanes: How many there are.
        together: How many sequences of a batch are computed at once, S; it divides B.

    Attributes:
        sizes: By name, how many numbers a buffer has, and how many more for each time step.
        numbers: The names of the numbers of an update, in order.
    """

    def __init__(self, network: Network, rule: AbstractOptimizer[Any], *, lanes: int, together: int) -> None:
        self._network, self._together = network, together
        self._module = ir.Module(name="updates")
        self._code = code = Code(self._module, "train", places=1, numbers=4, precision=network.precision, lanes=lanes)
        table, columns = code.places[0], together * code.lanes
        given = (*GIVEN, *rule.slot_names())
        self._at = {name: table.read_place(number) for number, name in enumerate(given)}
        self._buffers = Buffers(table + len(given) * (8 // code.size), columns)
        self.sizes = self._buffers.sizes
        shapes, self._size = dict[str, tuple[int, tuple[int, ...]]](), 0
        for name, parameter in network.parameters().items():
            shapes[name], self._size = (self._size, parameter.shape), self._size + parameter.size
        self._targets = 1 if network.loss_function.integer_targets else network.output_features
        self._inputs = self._buffers.new("inputs", 0, network.input_features)
        below, self._layers = (self._inputs, network.input_features), list[Layer]()
        for number in range(network.cell.options.layers):
            prefix = f"layers.{number}."
            own = {name.removeprefix(prefix): one for name, one in shapes.items() if name.startswith(prefix)}
            plan = plan_of(network.cell, network.layer_features(number))
            layer = Layer(
                code,
                self._buffers,
                plan,
                name=str(number),
                shapes=own,
                inputs=below,
                columns=columns,
                is_first=number == 0,
            )
            layer.begin(self._at["parameters"], code.numbers[2])
            self._layers.append(layer)
            below = layer.outputs
        formula = formula_of_head(network.loss_function, parameters=network.parameters())
        self._head = Head(
            code,
            self._buffers,
            formula,
            layer=self._layers[-1],
            inputs=network.input_features,
            shapes=shapes,
            columns=columns,
        )
        for name, rows in (("gradients", self._size), ("clip", 2)):
            self._at[name] = self._buffers.new(name, rows, columns=code.lanes)
        self._laid = {
            "targets": self._buffers.new("targets", self._targets, self._targets if network.return_sequences else 0),
            "mask": self._buffers.new("mask", 0, int(network.return_sequences)),
        }
        self.numbers = (*rule.numbers(1, 1.0), "clip_norm", "clip_value")
        self._rule = self._rule_items(rule)
        self._write()

    def function(self) -> Callable[..., None]:
        """Return the machine code."""
        return Program(self._module).function("train", [ctypes.c_void_p] + [ctypes.c_int64] * 4)

    def _write(self) -> None:
        code, lanes, at, head = self._code, self._code.lanes, self._at, self._head
        updates, batch_size, timesteps, window = code.numbers
        parts = [*(layer.weights for layer in self._layers), head.weights]
        with code.loop(updates) as update:
            self._rule.bases["numbers"] = at["numbers"] + update * (len(self.numbers) * lanes)
            for weights in parts:
                weights.load(at["parameters"])
            clear(code, head.loss, self._together * lanes)
            share = (at["share"] + update * lanes).read()
            for column in range(0, self._together * lanes, lanes):
                (head.share + column).write(share)
            with code.loop(batch_size // self._together) as some:
                self._sequences(update * batch_size + some * self._together, timesteps, window)
            clear(code, at["gradients"], self._size * lanes)
            for weights in parts:
                weights.unload(at["gradients"])
            self._clip(update)
            self._rule.step()
        code.done()

    def _sequences(self, row: Number, timesteps: Number, window: Number) -> None:
        """Go forward and back through the sequences from `row` on of each lane."""
        code, at, network = self._code, self._at, self._network
        width, every_step = self._together * code.lanes, network.return_sequences
        end, lengths = at["ends"].read_whole(row // self._together), at["lengths"] + row * code.lanes
        features, targets = network.input_features, self._targets
        steps: tuple[Any, Any] = (timesteps, end) if every_step else (1, code.whole(1))
        for n in range(self._together):
            column = n * code.lanes
            self._lay_out("inputs", self._inputs + column, (row + n) * timesteps * features, end * features)
            to = self._laid["targets"] + column
            self._lay_out("targets", to, (row + n) * steps[0] * targets, steps[1] * targets)
            if every_step:
                self._lay_out("mask", self._laid["mask"] + column, (row + n) * timesteps, end)
        for layer in self._layers:
            layer.forward(end, lengths)

        def from_loss(bases: Any, step: Number, to: Place) -> None:
            outputs = at["outputs"] + row * (steps[0] * (network.output_features * code.lanes))
            if every_step:
                scored = [(self._laid["mask"] + step * width + n).read() for n in range(0, width, code.lanes)]
                given = {
                    "targets": self._laid["targets"] + step * (targets * width),
                    "outputs": outputs + step * (network.output_features * width),
                }
            else:
                now = code.real(step + 1)
                ends = [(lengths + n).read().equals(now) for n in range(0, width, code.lanes)]
                scored = [functions.as_vector(one) for one in ends]
                given = {"targets": self._laid["targets"], "outputs": outputs}
            given["inputs"] = self._inputs + step * (features * width)
            self._head.step(bases, to, scored, **given)

        layers = self._layers
        from_above: Callable[[Any, Number, Place], None] = from_loss
        for number in range(len(layers) - 1, -1, -1):
            layers[number].backward(end, lengths, window=window, from_above=from_above)
            above, units = layers[number].below, network.cell.options.units * width

            def from_layer(_: Any, step: Number, to: Place, above: Place = above, units: int = units) -> None:
                add(code, to, above + step * units, units)

            from_above = from_layer

    def _lay_out(self, name: str, to: Place, start: Number, count: Number) -> None:
        """Put numbers that follow each other in each lane's own array into rows of W numbers."""
        code, table = self._code, self._at[f"{name} by lane"]
        lanes, width = range(code.lanes), self._together * code.lanes
        with code.loop(count, step=code.lanes) as n:
            rows = [table.read_place(lane).read_doubles(start + n) for lane in lanes]
            for number, vector in enumerate(code.transposed(rows)):
                (to + (n + number) * width).write(vector)
        with code.loop(count, start=count - count % code.lanes) as n:
            for lane in lanes:
                table.read_place(lane).copy_double_to(start + n, to + n * width + lane)

    def _clip(self, update: Number) -> None:
        """Find the loss and the norm of an update, and clip; note which lanes are to be updated."""
        code, lanes, at = self._code, self._code.lanes, self._at
        limits = [self._rule.bases["numbers"] + (len(self.numbers) - n) * lanes for n in (2, 1)]
        bound, largest_value = (limit.read() for limit in limits)
        gradients, clip = at["gradients"], at["clip"]
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
        with code.loop(self._size) as row:
            place = gradients + row * lanes
            value = place.read() * scale
            low = functions.where(value < 0.0 - largest_value, 0.0 - largest_value, value)
            place.write(functions.where(low > largest_value, largest_value, low))
        losses = [(self._head.loss + n * lanes).read() for n in range(self._together)]
        loss = sum(losses[1:], losses[0]) * (at["share of the loss"] + update * lanes).read()
        (at["losses"] + update * lanes).write(loss)
        (at["norms"] + update * lanes).write(norm)
        goes_on = (functions.abs(loss) < math.inf) & (functions.abs(norm) < math.inf) & (at["alive"].read() > 0.0)
        at["alive"].write(functions.as_vector(goes_on))

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

    def _rule_items(self, rule: AbstractOptimizer[Any]) -> Items:
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
        items.bases |= {name: self._at[name] for name in ("alive", "gradients", "decays", *formula)}
        return items
