"""One step of a recurrent layer, forward and back, and its traces, where each lane is a network of its own."""

from collections.abc import Sequence
from itertools import accumulate
from typing import final

from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._items import Items
from rnnlab.backends.numpy.compiled._layout import Layout
from rnnlab.backends.numpy.compiled._values import Mask, Number, Place, Vector
from rnnlab.backends.numpy.compiled._weights import Buffers, Shapes, Weights, clear
from rnnlab.equations.plan import Plan
from rnnlab.equations.traces import Source, Traces


@final
class OneStep:
    """A layer at one step: a record is kept of this step alone.

    Args:
        code: The function.
        buffers: Its memory.
        plan: Of the cell.
        traces: Which traces there are.
        shapes: Where the layer's parameters are, by the cell's names.
        at: Where `record` is, with the states in the first rows; `inputs`, `parameters` and `traces`.

    Attributes:
        layout: Where all else is.
        weights: The layer's matrices.
        bases: Where the buffers are.
    """

    def __init__(
        self, code: Code, buffers: Buffers, plan: Plan, *, traces: Traces, shapes: Shapes, at: dict[str, Place]
    ) -> None:
        self._code, self._traces, self._shapes, self._at = code, traces, shapes, at
        self.layout = layout = Layout(plan, 1, inputs_apart=True, also=traces.nodes)
        directions = (layout.forward, layout.backward)
        self.weights = Weights(code, buffers, name="0", directions=directions, gathers=layout.gathers, shapes=shapes)
        vectors = {parameter: first for parameter, (first, _) in shapes.items()}
        self._forth, self._back = (
            Items(
                code,
                direction,
                name=way,
                starts=self.weights.starts,
                vectors=vectors,
                columns=code.lanes,
                adds=plan.input_rest is not None,
                per_lane=True,
            )
            for way, direction in zip(("forward", "backward"), directions, strict=True)
        )
        sizes = {"next": layout.flow, "flow": layout.flow, "before": layout.flow, "kept": layout.kept}
        sizes |= {"below": plan.input_features, "work": max(layout.forward.work, layout.backward.work)}
        self.bases = {name: buffers.new(name, rows) for name, rows in sizes.items()}
        self.bases |= {"record": at["record"], "inputs": at["inputs"]}
        self.bases |= {"weights": self.weights.joint, "vectors": at["parameters"]}
        for items in (self._forth, self._back):
            items.bases = self.bases
        self._add_gradients = self.weights.gathering("", columns=code.lanes, strides=lambda _: (0, 0), adds=False)
        ends = accumulate((rows * units for rows, units in traces.shapes.values()), initial=0)
        self._starts = dict(zip(traces.shapes, ends, strict=False))

    def begin(self, fresh: Mask) -> None:
        """Let streams that begin do so in the zero state."""
        self._to_states(self.bases["record"], fresh, None)

    def forward(self) -> Place:
        """Go on by a step from the states on the record; return where the gradient of its output is to be added."""
        code, output = self._code, self.layout.states[self.layout.plan.output]
        self._forth.step()
        clear(code, self.bases["flow"], self.layout.flow * code.lanes)
        return self.bases["flow"] + output.start * code.lanes

    def backward(self) -> None:
        """Let the sums of the weights be the gradient through this step."""
        self._back.step(False)
        self._add_gradients(self._back.place, lambda one: self.bases["kept"] + one.start * self._code.lanes, 1)

    def move(self, gradients: Place, *, fresh: Mask, on: Mask) -> None:
        """Add the gradient through the steps before, and take the traces to those after the step.

        Args:
            gradients: Of all parameters.
            fresh: Where a stream begins: the traces before are zero.
            on: The lanes to change.
        """
        for number, source in enumerate(self._traces.sources):
            names = [name for n, name in self._traces.shapes if n == number]
            with self._code.loop(source.width) as feature:
                self._feature(gradients, number, source, feature, names=names, masks=(fresh, on))

    def end(self, on: Mask) -> None:
        """Take the states after the step for those before the next."""
        self._to_states(self.bases["record"], on, self.bases["next"])

    def _to_states(self, place: Place, mask: Mask, source: Place | None) -> None:
        code, lanes = self._code, self._code.lanes
        with code.loop(self.layout.flow) as row:
            new = (source + row * lanes).read() if source else code.constant(0.0)
            at = place + row * lanes
            at.write(functions.where(mask, new, at.read()))

    def _feature(
        self,
        gradients: Place,
        number: int,
        source: Source,
        feature: Number,
        *,
        names: Sequence[str],
        masks: tuple[Mask, Mask],
    ) -> None:
        """Write the traces of a feature of a source: of each of its rows, for the units that read it."""
        code, lanes = self._code, self._code.lanes
        first, shapes = 0, self._traces.shapes
        each = shapes[number, names[0]][1] // source.width  # units that read a feature
        units = [feature * each + n for n in range(each)]
        slopes = {
            (name, n): self._forth.value(source.slopes[name], unit)
            for name in names
            if name in source.slopes
            for n, unit in enumerate(units)
        }
        pairs = [(new, old) for new, old in self._traces.keeps if new in names and old in names]
        keeps = {
            (*pair, n): self._forth.value(self._traces.keeps[pair], unit)
            for pair in pairs
            for n, unit in enumerate(units)
        }
        flows = {
            (name, n): (self.bases["before"] + (unit + self.layout.states[name].start) * lanes).read()
            for name in names
            if name in self.layout.plan.before
            for n, unit in enumerate(units)
        }
        parts = [(operand, operand.width, [name]) for operand, name in source.products]
        for operand, rows, parameters in [*parts, *([(None, 1, source.vectors)] if source.vectors else [])]:
            with code.loop(rows) as row:
                x = self._forth.value(operand, row) if operand else code.constant(1.0)
                total = code.constant(0.0)
                for n, unit in enumerate(units):
                    at = {
                        name: self._at["traces"]
                        + ((row + first) * shapes[number, name][1] + unit + self._starts[number, name]) * lanes
                        for name in names
                    }
                    given = {name: place.read() for name, place in at.items()}
                    old = {name: functions.where(masks[0], code.constant(0.0), value) for name, value in given.items()}
                    for name, place in at.items():
                        if (name, n) in flows:
                            total = total + old[name] * flows[name, n]
                        parts_of_new = [old[other] * keeps[name, other, n] for new, other in pairs if new == name]
                        new = sum(parts_of_new[1:], parts_of_new[0]) if parts_of_new else code.constant(0.0)
                        if (name, n) in slopes:
                            new = new + (x * slopes[name, n] if operand else slopes[name, n])
                        place.write(functions.where(masks[1], new, given[name]))
                for name in parameters:
                    self._add(gradients, self._shapes[name][0], row * source.width + feature, total)
            first += rows

    def _add(self, gradients: Place, first: int, index: Number, total: Vector) -> None:
        at = gradients + (index + first) * self._code.lanes
        at.write(at.read() + total)
