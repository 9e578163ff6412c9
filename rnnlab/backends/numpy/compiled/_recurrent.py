"""A recurrent layer over time where each lane is a network of its own, and the columns are sequences of them.

Where a column has no more steps, its states, what is kept and all gradients are zero: nothing flows there, whatever the
equation gives beyond a sequence's end.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import final

from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._items import Items
from rnnlab.backends.numpy.compiled._layout import Layout
from rnnlab.backends.numpy.compiled._places import Gather, Piece, Product, Rows
from rnnlab.backends.numpy.compiled._symbols import Lookups, parted, with_lookups
from rnnlab.backends.numpy.compiled._values import Mask, Number, Place
from rnnlab.backends.numpy.compiled._weights import Buffers, Shapes, Weights, clear
from rnnlab.equations.plan import Plan

_BLOCK = 2**18  # bytes: a part of a second cache


@final
class Layer:
    """One recurrent layer.

    Args:
        inputs: Where its inputs are, and how many rows after one step's those of the next are.
        is_first: Whether nobody wants the gradient of its inputs.
        lookups: What reads rows of its parameters, where inputs are symbols.
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
        lookups: Lookups | None,
    ) -> None:
        self._code, self._columns, self._inputs, self._is_first = code, columns, inputs, is_first
        self._lookups, self.layout = lookups, Layout(plan, 1, inputs_apart=True)
        layout, directions = self.layout, [self.layout.forward, self.layout.backward]
        if is_first:
            items = (one for one in layout.backward.items if not (isinstance(one, Product) and one.of_inputs))
            directions[1] = replace(layout.backward, items=tuple(items))
        gathers: list[tuple[Gather, tuple[Piece, ...]]] = [(one, ()) for one in layout.gathers]
        if lookups:
            directions[0] = with_lookups(layout.forward)
            gathers = [parted(one) for one in layout.gathers]
        self._looked_up = [(one.start, pieces) for one, pieces in gathers if pieces]
        self.weights = Weights(
            code, buffers, name=name, directions=directions, gathers=[one for one, _ in gathers], shapes=shapes
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
                per_lane=True,
                lookups=lookups,
            )
            for way, direction in zip(("forward", "backward"), directions, strict=True)
        )
        self._record = buffers.new(f"record {name}", layout.record, layout.record)
        self._kept = buffers.new(f"kept {name}", 0, layout.kept)
        self._flow = buffers.new(f"flow {name}", 2 * layout.flow)
        self._work = buffers.new(f"work {name}", max(layout.forward.work, layout.backward.work))
        is_written = not is_first or plan.input_rest is not None
        # where the gradients of its inputs are, I rows for each step
        self.below = buffers.new(f"below {name}", 0, plan.input_features if is_written else 0)
        output = layout.states[plan.output]
        self._output = Rows("flow", output.start, output.count)
        # where its outputs are, as `inputs`
        self.outputs = self._record + (layout.record + output.start) * columns, layout.record
        self._add_gradients = self.weights.gathering(
            f"{name} ",
            columns=columns,
            strides=lambda rows: (inputs[1] if rows.buffer == "inputs" else layout.record, layout.kept),
        )

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

    def visit(self, timesteps: Number, do: Callable[[Mapping[str, Place], Number, Place], None]) -> None:
        """Call `do` for every step after `forward`: given the bases, the step, and where the gradient would go."""
        bases = self._forth.bases
        with self._code.loop(timesteps) as step:
            self._set(bases, step)
            do(bases, step, self._flow + self._output.start * self._columns)

    def backward(
        self,
        timesteps: Number,
        lengths: Place,
        *,
        window: Number,
        from_above: Callable[[Mapping[str, Place], Number, Place], None],
    ) -> None:
        """Go back through time, then add to the sums.

        The gradient is cut at every multiple of `window` steps before a column's end, for 0 nowhere. `from_above` adds
        that of a step's output, given the bases, the step, and where it goes.
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
        code, layout, width = self._code, self.layout, self._columns
        at_once = max(1, _BLOCK // ((layout.record + layout.kept) * width * code.size))  # steps
        first = {"record": self._record, "next": self._record + layout.record * width, "inputs": self._inputs[0]}
        strides = {"record": layout.record, "next": layout.record, "inputs": self._inputs[1]}
        with code.loop((timesteps + (at_once - 1)) // at_once) as block:
            step = block * at_once
            count = (timesteps - step).at_most(at_once)
            self._add_gradients(
                lambda rows: first[rows.buffer] + (step * strides[rows.buffer] + rows.start) * width,
                lambda one: self._kept + (step * layout.kept + one.start) * width,
                count,
            )
            if self._lookups and self._looked_up:
                with code.loop(count) as number:
                    symbols = self._inputs[0] + (step + number) * width
                    for row, pieces in self._looked_up:
                        kept = self._kept + ((step + number) * layout.kept + row) * width
                        self._lookups.add(pieces, symbols, kept)
