"""A recurrent layer over time, and the output layer with its loss, where each column is a network of its own.

Where a column has no more steps, its states, what is kept and all gradients are zero: nothing flows there, whatever the
equation gives beyond a sequence's end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import final

from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._items import Items
from rnnlab.backends.numpy.compiled._layout import Layout
from rnnlab.backends.numpy.compiled._order import Order
from rnnlab.backends.numpy.compiled._places import Direction, Gather, Piece, Product, Rows
from rnnlab.backends.numpy.compiled._product import outer
from rnnlab.backends.numpy.compiled._values import Mask, Number, Place, Vector
from rnnlab.equations.formula import Formula
from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.plan import Plan
from rnnlab.equations.schedule import stages

Shapes = Mapping[str, tuple[int, tuple[int, ...]]]  # of each parameter: its first row, its shape


@final
class Buffers:
    """The memory of a function: buffers of rows of W numbers, whose addresses follow each other in a table.

    Attributes:
        sizes: By name, how many rows a buffer has, and how many more for each time step.
    """

    def __init__(self, table: Place) -> None:
        self._table, self.sizes = table, dict[str, tuple[int, int]]()

    def new(self, name: str, rows: int, per_step: int = 0) -> Place:
        """Return where a new buffer begins."""
        self.sizes[name] = rows, per_step
        return self._table.read_place(len(self.sizes) - 1)


@final
class Weights:
    """The matrices of a direction's products, one for each column, and the sums of their gradients.

    Args:
        code: The function.
        buffers: Its memory.
        name: Of what it is part of.
        directions: Whose products.
        gathers: The sums.
        shapes: Where the parameters are.
        columns: W.
    """

    def __init__(
        self,
        code: Code,
        buffers: Buffers,
        *,
        name: str,
        directions: Sequence[Direction],
        gathers: Sequence[Gather],
        shapes: Shapes,
        columns: int,
    ) -> None:
        self._code, self._shapes, self._columns, self._gathers = code, shapes, columns, gathers
        self.starts, size = dict[Product, int](), 0
        for item in (item for one in directions for item in one.items if isinstance(item, Product)):
            self.starts[item], size = size, size + prod(item.shape)
        self.joint = buffers.new(f"joint {name}", size)
        self._size = sum(one.depth * one.count for one in gathers)
        self.sums = buffers.new(f"sums {name}", self._size)

    def load(self, parameters: Place) -> None:
        """Put the parameters into the matrices, and zero into the sums."""
        for item, start in self.starts.items():
            taken = set[tuple[int, int]]()
            for piece in item.pieces:
                first, shape = self._piece(piece)
                here = start + piece.rows.start * item.shape[0] + piece.columns.start
                strides = (1, item.shape[0]) if piece.transposed else (item.shape[0], 1)
                key = piece.rows.start, piece.columns.start
                self._move((parameters, first, (shape[1], 1)), (self.joint, here, strides), shape, adds=key in taken)
                taken.add(key)
        clear(self._code, self.sums, self._size * self._columns)

    def unload(self, gradients: Place) -> None:
        """Add the sums to the gradients of the parameters."""
        start = 0
        for one in self._gathers:
            for piece in one.pieces:
                first, shape = self._piece(piece)
                here = start + piece.rows.start * one.count + piece.columns.start
                self._move((self.sums, here, (one.count, 1)), (gradients, first, (shape[1], 1)), shape, adds=True)
            start += one.depth * one.count

    def _piece(self, piece: Piece) -> tuple[int, tuple[int, int]]:
        first, shape = self._shapes[piece.name]
        return first, (shape[0], shape[1]) if len(shape) > 1 else (1, shape[0])

    def _move(
        self,
        source: tuple[Place, int, tuple[int, int]],
        to: tuple[Place, int, tuple[int, int]],
        shape: tuple[int, int],
        *,
        adds: bool,
    ) -> None:
        code, width = self._code, self._columns
        with code.loop(shape[0]) as i, code.loop(shape[1]) as j:
            one, other = (
                base + (i * by_row + j * by_column + first) * width for base, first, (by_row, by_column) in (source, to)
            )
            for column in range(0, width, code.lanes):
                value = (one + column).read()
                (other + column).write((other + column).read() + value if adds else value)


@final
class Layer:
    """One recurrent layer.

    Args:
        code: The function.
        buffers: Its memory.
        plan: Of the cell.
        name: Of the layer, among others in the module.
        shapes: Where its parameters are, by the cell's names.
        inputs: Where its inputs are, and how many rows after one step's those of the next are.
        columns: W.
        is_first: Whether nobody wants the gradient of its inputs.

    Attributes:
        weights: Its matrices.
        outputs: Where its outputs are, as `inputs`.
        below: Where the gradients of its inputs are, I rows for each step.
    """

    def __init__(
        self,
        code: Code,
        buffers: Buffers,
        plan: Plan,
        *,
        name: str,
        shapes: Shapes,
        inputs: tuple[Place, int],
        columns: int,
        is_first: bool,
    ) -> None:
        self._code, self._columns, self._inputs, self._is_first = code, columns, inputs, is_first
        self.layout = layout = Layout(plan, 1, inputs_apart=True)
        directions = (layout.forward, layout.backward)
        self.weights = Weights(
            code, buffers, name=name, directions=directions, gathers=layout.gathers, shapes=shapes, columns=columns
        )
        vectors = {parameter: first for parameter, (first, _) in shapes.items()}
        self._forth, self._back = (
            Items(
                code,
                direction,
                name=f"{name} {way}",
                starts=self.weights.starts,
                vectors=vectors,
                columns=columns,
                adds=plan.input_rest is not None,
                per_column=True,
            )
            for way, direction in zip(("forward", "backward"), directions, strict=True)
        )
        self._record = buffers.new(f"record {name}", layout.record, layout.record)
        self._kept = buffers.new(f"kept {name}", 0, layout.kept)
        self._flow = buffers.new(f"flow {name}", 2 * layout.flow)
        self._work = buffers.new(f"work {name}", max(layout.forward.work, layout.backward.work))
        self.below = buffers.new(f"below {name}", 0, 0 if is_first else plan.input_features)
        output = layout.states[plan.output]
        self._output = Rows("flow", output.start, output.count)
        self.outputs = self._record + (layout.record + output.start) * columns, layout.record
        module, precision = code.function.module, code.precision
        self._gathers = [
            outer(
                module,
                f"{name} {number} {part}",
                (rows.count, one.count),
                columns=columns,
                strides=(inputs[1] if rows.buffer == "inputs" else layout.record, layout.kept),
                precision=precision,
            )
            for number, one in enumerate(layout.gathers)
            for part, rows in enumerate(one.operands)
        ]

    def begin(self, parameters: Place, timesteps: Number) -> None:
        """Let both directions read these parameters, and write the ones of every step's record."""
        with self._code.loop(timesteps) as step:
            self._set(self._forth.bases, step)
            for column in range(0, self._columns, self._code.lanes):
                (self._forth.place(self.layout.ones) + column).write(self._code.constant(1.0))
        for items in (self._forth, self._back):
            items.bases |= {"weights": self.weights.joint, "vectors": parameters, "work": self._work}

    def forward(self, timesteps: Number, lengths: Place) -> None:
        """Go through time; a column's states are zero from its length on."""
        code, bases, saved = self._code, self._forth.bases, [*self._forth.direction.written.values()]
        with code.loop(timesteps) as step:
            self._set(bases, step)
            self._forth.step()
            self._clear_beyond(
                step, lengths, [(self._forth.place(rows), rows.count) for those in saved for rows in those]
            )

    def backward(
        self,
        timesteps: Number,
        lengths: Place,
        *,
        window: Number,
        from_above: Callable[[Mapping[str, Place], Number, Place], None],
    ) -> None:
        """Go back through time, then add to the sums.

        Args:
            timesteps: T.
            lengths: Of each column.
            window: The gradient is cut at every multiple of so many steps before a column's end; 0 for nowhere.
            from_above: Adds the gradient of a step's output; given the bases, the step, and where it goes.
        """
        code, layout, width, bases = self._code, self.layout, self._columns, self._back.bases
        clear(code, self._flow, layout.flow * width)
        with code.loop(timesteps) as done:
            step = timesteps - 1 - done
            self._set(bases, step)
            bases["kept"] = self._kept + step * (layout.kept * width)
            bases["below"] = self.below + step * (layout.inputs.count * width)
            for name, parity in (("flow", done % 2), ("before", (done + 1) % 2)):
                bases[name] = self._flow + parity * (layout.flow * width)
            from_above(bases, step, self._back.place(self._output))
            for name, rows in layout.states.items():
                if name not in layout.plan.before:  # it has no influence
                    clear(code, bases["before"] + rows.start * width, rows.count * width)
            self._back.step(not self._is_first)
            ends = [(bases["kept"], layout.kept), (bases["before"], layout.flow)]
            self._clear_beyond(
                step, lengths, ends if self._is_first else [*ends, (bases["below"], layout.inputs.count)]
            )
            with code.where(window >= 1):
                self._cut(step, lengths, window)
        self._gather(timesteps)

    def _set(self, bases: dict[str, Place], step: Number) -> None:
        bases["record"] = self._record + step * (self.layout.record * self._columns)
        bases["next"] = bases["record"] + self.layout.record * self._columns
        bases["inputs"] = self._inputs[0] + step * (self._inputs[1] * self._columns)

    def _clear_beyond(self, step: Number, lengths: Place, those: Iterable[tuple[Place, int]]) -> None:
        """Write zero to rows where a column is over."""
        now = self._code.real(step)
        for column in range(0, self._columns, self._code.lanes):
            over = (lengths + column).read() <= now
            with self._code.where(self._code.any(over)):
                for place, rows in those:
                    self._clear_where(over, place + column, rows)

    def _cut(self, step: Number, lengths: Place, window: Number) -> None:
        """Let no gradient of the states through where a window begins."""
        code = self._code
        for column in range(0, self._columns, code.lanes):
            windows = ((lengths + column).read() - code.real(step)) / code.real(window)
            is_cut = windows.equals(functions.floor(windows))
            self._clear_where(is_cut, self._back.bases["before"] + column, self.layout.flow)

    def _clear_where(self, mask: Mask, place: Place, rows: int) -> None:
        with self._code.loop(rows) as row:
            at = place + row * self._columns
            at.write(functions.where(mask, self._code.constant(0.0), at.read()))

    def _gather(self, timesteps: Number) -> None:
        layout, width, functions_left, start = self.layout, self._columns, iter(self._gathers), 0
        first = {"record": self._record, "next": self._record + layout.record * width, "inputs": self._inputs[0]}
        for one in layout.gathers:
            for rows in one.operands:
                operand, kept = first[rows.buffer] + rows.start * width, self._kept + one.start * width
                self._code.call(next(functions_left), [operand, kept, self.weights.sums + start * width], (timesteps,))
                start += rows.count * one.count


@final
class Head:
    """The output layer and the loss.

    Args:
        code: The function.
        buffers: Its memory.
        formula: What they compute.
        layer: The layer below.
        shapes: Where the parameters are, by full name.
        columns: W.

    Attributes:
        loss: Where the sum of the losses is.
    """

    def __init__(
        self, code: Code, buffers: Buffers, formula: Formula, *, layer: Layer, shapes: Shapes, columns: int
    ) -> None:
        self._code, self._columns = code, columns
        output, ones = layer.layout.states[layer.layout.plan.output], layer.layout.ones
        self.features, self.units = formula["slope"].width, output.count
        h, slope = Rows("next", output.start, output.count), Rows("head", 1, self.features)
        places = {"h": h, "targets": Rows("targets", 0, 0), "outputs": Rows("outputs", 0, self.features)}
        places |= {name: Rows(name, 0, 1) for name in ("scored", "share")}
        given = {
            node: places[node.detail] for node in ordered(formula.values()) if node.operation in {"state", "number"}
        }
        wanted: dict[Node, list[Rows]] = {
            formula["outputs"]: [places["outputs"]],
            formula["value"]: [Rows("head", 0, 1)],
            formula["slope"]: [slope],
            formula["flow"]: [Rows("head", 1 + self.features, self.units)],
        }
        direction = Order(given, wanted, ones=ones, work=0).direction(stages([*wanted], []))
        pieces = (
            Piece("head.W", False, slice(0, self.units), slice(0, self.features)),
            Piece("head.b", False, slice(self.units, self.units + 1), slice(0, self.features)),
        )
        self._gather = Gather((h, ones), 0, self.features, pieces)
        self.weights = Weights(
            code, buffers, name="head", directions=[direction], gathers=[self._gather], shapes=shapes, columns=columns
        )
        self._items = Items(
            code, direction, name="head", starts=self.weights.starts, vectors={}, columns=columns, per_column=True
        )
        self._own = buffers.new("head", 1 + self.features + self.units)
        work, self._scored, self.loss = (
            buffers.new(name, rows) for name, rows in (("head's work", direction.work), ("scored", 1), ("loss", 1))
        )
        self._items.bases |= {"weights": self.weights.joint, "work": work, "head": self._own, "scored": self._scored}
        self._outer = [
            outer(
                code.function.module,
                f"head {part}",
                (rows.count, self.features),
                columns=columns,
                strides=(0, 0),
                precision=code.precision,
            )
            for part, rows in enumerate(self._gather.operands)
        ]

    def step(self, bases: Mapping[str, Place], to: Place, scored: Sequence[Vector], **given: Place) -> None:
        """Do a step if some column has it scored.

        Args:
            bases: Those of the layer below.
            to: The gradient of its outputs, to which is added.
            scored: Whether a column is scored, 1 or 0.
            given: Where `targets`, `outputs` and `share` are.
        """
        code, width = self._code, self._columns
        condition = code.any(scored[0].differs(0.0))
        for one in scored[1:]:
            condition = code.builder.or_(condition, code.any(one.differs(0.0)))
        with code.where(condition):
            self._items.bases |= {**given, "record": bases["record"], "next": bases["next"]}
            for number, one in enumerate(scored):
                (self._scored + number * code.lanes).write(one)
            self._items.step()
            add(code, self.loss, self._own, width)
            add(code, to, self._own + (1 + self.features) * width, self.units * width)
            start = 0
            for rows, function in zip(self._gather.operands, self._outer, strict=True):
                places = [self._items.place(rows), self._own + width, self.weights.sums + start * width]
                code.call(function, places, (1,))
                start += rows.count * self.features


def clear(code: Code, place: Place, count: int) -> None:
    """Write so many zeros."""
    with code.loop(count, step=code.lanes) as at:
        (place + at).write(code.constant(0.0))


def add(code: Code, place: Place, other: Place, count: int) -> None:
    """Add so many numbers to as many others."""
    with code.loop(count, step=code.lanes) as at:
        (place + at).write((place + at).read() + (other + at).read())
