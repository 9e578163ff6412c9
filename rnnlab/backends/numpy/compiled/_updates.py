"""K updates of networks as one function of machine code, a network in each lane of a vector."""

import ctypes
from collections.abc import Callable
from typing import Any, final

from llvmlite import ir

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._head import Head
from rnnlab.backends.numpy.compiled._machine import Program
from rnnlab.backends.numpy.compiled._recurrent import Layer
from rnnlab.backends.numpy.compiled._rule import Rule
from rnnlab.backends.numpy.compiled._symbols import Lookups
from rnnlab.backends.numpy.compiled._values import Number, Place
from rnnlab.backends.numpy.compiled._weights import Buffers, add, clear
from rnnlab.equations.formula import formula_of_head
from rnnlab.equations.plan import plan_of
from rnnlab.optim.rules.base import AbstractOptimizer

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
        rule: How all are updated; its numbers are given for each update and lane.
        together: How many sequences of a batch are computed at once, S; it divides B.
        of_symbols: Whether the inputs are symbols, one number for each step.
        learns: Whether it goes back and updates; else it finds the outputs alone.
    """

    def __init__(
        self,
        network: Network,
        rule: AbstractOptimizer[Any],
        *,
        lanes: int,
        together: int,
        of_symbols: bool,
        learns: bool = True,
    ) -> None:
        self._network, self._together, self._learns = network, together, learns
        self._module = ir.Module(name="updates")
        self._code = code = Code(self._module, "train", places=1, numbers=4, precision=network.precision, lanes=lanes)
        table, columns = code.places[0], together * code.lanes
        given = (*GIVEN, *rule.slot_names())
        self._at = {name: table.read_place(number) for number, name in enumerate(given)}
        self._buffers = Buffers(table + len(given) * (8 // code.size), columns)
        self.sizes = self._buffers.sizes  # by name, how many numbers a buffer has, and how many more for each time step
        shapes, self._size = dict[str, tuple[int, tuple[int, ...]]](), 0
        for name, parameter in network.parameters().items():
            shapes[name], self._size = (self._size, parameter.shape), self._size + parameter.size
        self._targets = 1 if network.loss_function.integer_targets else network.output_features
        self._features = 1 if of_symbols else network.input_features
        self._inputs = self._buffers.new("inputs", 0, self._features)
        below, self._layers = (self._inputs, self._features), list[Layer]()
        self._rule = Rule(code, self._buffers, rule, at=self._at, size=self._size)
        self.numbers = self._rule.numbers  # the names of the numbers of an update, in order
        places = {"parameters": self._at["parameters"], "gradients": self._rule.gradients}
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
                lookups=Lookups(code, own, columns=columns, **places) if of_symbols and number == 0 else None,
            )
            layer.begin(self._at["parameters"], code.numbers[2])
            self._layers.append(layer)
            below = layer.outputs
        formula = formula_of_head(network.loss_function, parameters=network.parameters())
        self._head = Head(
            code,
            self._buffers,
            formula,
            layout=self._layers[-1].layout,
            inputs=network.input_features,
            shapes=shapes,
            columns=columns,
            lookups=Lookups(code, shapes, columns=columns, **places) if of_symbols else None,
        )
        self._laid = {
            "targets": self._buffers.new("targets", self._targets, self._targets if network.return_sequences else 0),
            "mask": self._buffers.new("mask", 0, int(network.return_sequences)),
        }
        self._write()

    def function(self) -> Callable[..., None]:
        """Return the machine code."""
        return Program(self._module).function("train", [ctypes.c_void_p] + [ctypes.c_int64] * 4)

    def _write(self) -> None:
        code, lanes, at, head = self._code, self._code.lanes, self._at, self._head
        updates, batch_size, timesteps, window = code.numbers
        parts = [*(layer.weights for layer in self._layers), head.weights]
        with code.loop(updates) as update:
            self._rule.read(at["numbers"] + update * (len(self.numbers) * lanes))
            for weights in parts:
                weights.load(at["parameters"])
            clear(code, head.loss, self._together * lanes)
            clear(code, self._rule.gradients, self._size * lanes)
            share = (at["share"] + update * lanes).read()
            for column in range(0, self._together * lanes, lanes):
                (head.share + column).write(share)
            with code.loop(batch_size // self._together) as some:
                self._sequences(update * batch_size + some * self._together, timesteps, window)
            if self._learns:
                for weights in parts:
                    weights.unload(self._rule.gradients)
                self._end(update)
        code.done()

    def _sequences(self, row: Number, timesteps: Number, window: Number) -> None:
        """Go forward and back through the sequences from `row` on of each lane."""
        code, at, network = self._code, self._at, self._network
        width, every_step = self._together * code.lanes, network.return_sequences
        end, lengths = at["ends"].read_whole(row // self._together), at["lengths"] + row * code.lanes
        features, targets = self._features, self._targets
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
        if not self._learns:
            layers[-1].visit(end, from_loss)
            return
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

    def _end(self, update: Number) -> None:
        """Note the loss and the norm of an update, and which lanes go on; these are updated."""
        lanes, at = self._code.lanes, self._at
        norm = self._rule.clip()
        losses = [(self._head.loss + n * lanes).read() for n in range(self._together)]
        loss = sum(losses[1:], losses[0]) * (at["share of the loss"] + update * lanes).read()
        (at["losses"] + update * lanes).write(loss)
        (at["norms"] + update * lanes).write(norm)
        goes_on = functions.is_finite(loss) & functions.is_finite(norm) & (at["alive"].read() > 0.0)
        at["alive"].write(functions.as_vector(goes_on))
        self._rule.move()
