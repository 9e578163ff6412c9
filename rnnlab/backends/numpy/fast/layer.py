"""Any cell over a chunk of time: its plan, as calls of NumPy that write into memory which is there already."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.chunks import rows_in_cache, width_of
from rnnlab.backends.numpy.fast.binding import Arrays, Bound, as_rows
from rnnlab.backends.numpy.fast.calls import Packed, Place
from rnnlab.backends.numpy.fast.layout import Layout
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape
from rnnlab.equations.plan import Plan

Array = NDArray[Any]


@final
class FastLayer(AbstractLayer):
    """A plan with packed products, and with all that no step must wait for done for the whole chunk.

    Arrays are (T, feature, B) or, where the layout is not packed, (T, B, feature).
    """

    def __init__(self, plan: Plan, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        super().__init__(plan, parameters, gradients)
        self._layout = layout = Layout(plan)
        self._dtype = next(iter(parameters.values())).dtype
        self._matrices: dict[Packed, Array] = {}
        self._fills: list[tuple[Array, Array, float, bool]] = []
        for packed in layout.matrices():
            matrix = self._matrices[packed] = self._zeros(f"matrix {len(self._matrices)}", packed)
            seen = set[tuple[int, int]]()
            for weight, (part, parameter) in zip(packed.weights, self._parts(packed, matrix, parameters), strict=True):
                place = weight.row, weight.column
                self._fills.append((part, parameter, weight.scale, place in seen))
                seen.add(place)
        self._sums = [self._zeros(f"sum {number}", call.operands[0]) for number, call in enumerate(layout.weights)]

    def begin(self, dtype: np.dtype[Any]) -> None:
        for part, parameter, scale, adds in self._fills:
            if adds:
                np.add(part, parameter * part.dtype.type(scale), out=part)
            elif scale == 1:
                part[...] = parameter
            else:
                np.multiply(parameter, scale, out=part)
        for array in self._sums:
            array.fill(0)

    def finish(self) -> None:
        for call, total in zip(self._layout.weights, self._sums, strict=True):
            for part, gradient in self._parts(call.operands[0], total, self.gradients):
                np.add(gradient, part, out=gradient)

    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        tape.kept, layout = inputs.shape, self._layout
        arrays, sweep, steps = tape.views("forward", inputs.shape, lambda: self._bound_forward(tape))
        arrays.part(layout.inputs)[...] = self._turned(inputs)
        for name, array in state.items():
            arrays.part(layout.before[name])[0] = self._turned(array)
        for function, operands in sweep:
            function(*operands)
        for calls in steps:
            for function, operands in calls:
                function(*operands)
        after = self._states(arrays)
        return after[self.plan.output], {name: after[name][-1].copy() for name in state}

    def states(self, tape: Tape) -> State:
        arrays, _, _ = tape.views("forward", tape.kept, lambda: self._bound_forward(tape))
        after = self._states(arrays)
        return {name: after[name] for name in self.cell.states}

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        arrays, sweep, steps = tape.views("backward", tape.kept, lambda: self._bound_backward(tape))
        flows, turned = arrays.of_kind["flows"], self._turned
        for name, place in self._layout.given.items():
            flows[2 * place.number][...] = turned(state_gradient[name]) if name in state_gradient else 0
        for function, operands in sweep:
            function(*operands)
        for (into, calls), from_above in zip(steps, reversed(output_gradients), strict=True):
            if from_above is not None:
                np.add(into, turned(from_above), out=into)
            for function, operands in calls:
                function(*operands)
        self._add_up(arrays)
        last = len(steps) % 2
        before = {name: turned(flows[2 * self._layout.given[name].number + last]).copy() for name in self.cell.states}
        return (self._below(arrays) if need_inputs else None), before

    def chunk_rows(self) -> int:
        return rows_in_cache(width_of(self.plan))

    def _bound_forward(self, tape: Tape) -> tuple[Arrays, list[Bound], list[tuple[Bound, ...]]]:
        timesteps, batch_size, _ = tape.kept
        sizes, calls = self._layout.sizes, self._layout.forward
        stack = self._arrays(tape, "stack", sizes["before"], (timesteps + 1, batch_size))
        for_chunk = {
            "before": [array[:-1] for array in stack],
            "after": [array[1:] for array in stack],
            "saved": self._arrays(tape, "saved", sizes["saved"], (timesteps, batch_size)),
            "swept": self._arrays(self._scratch, "swept", calls.sizes["swept"], (timesteps, batch_size)),
            "work": self._arrays(self._scratch, "work", calls.sizes["work"], (batch_size,)),
        }
        arrays = Arrays(self._layout.packed, timesteps, for_chunk, self._matrices, self.parameters)
        arrays.part(self._layout.one)[...] = 1
        return arrays, *arrays.bind(calls, back=False)

    def _bound_backward(self, tape: Tape) -> tuple[Arrays, list[Bound], list[tuple[Array, tuple[Bound, ...]]]]:
        timesteps, batch_size, _ = tape.kept
        sizes, calls, scratch = self._layout.sizes, self._layout.backward, self._scratch
        there, _, _ = tape.views("forward", tape.kept, lambda: self._bound_forward(tape))
        flows = self._arrays(scratch, "flows", [size for size in sizes["given"] for _ in range(2)], (batch_size,))
        for number in self._layout.in_place:
            flows[2 * number + 1] = flows[2 * number]
        for_chunk = {
            **there.of_kind,
            "kept": self._arrays(scratch, "kept", sizes["kept"], (timesteps, batch_size)),
            "swept": self._arrays(scratch, "back swept", calls.sizes["swept"], (timesteps, batch_size)),
            "work": self._arrays(scratch, "back work", calls.sizes["work"], (batch_size,)),
            "flows": flows,
        }
        arrays = Arrays(self._layout.packed, timesteps, for_chunk, self._matrices, self.parameters)
        sweep, steps = arrays.bind(calls, back=True)
        into = arrays.of_steps(self._layout.given[self.plan.output], back=True)
        return arrays, sweep, list(zip(into, steps, strict=True))

    def _add_up(self, arrays: Arrays) -> None:
        """Add what this chunk contributes to the gradients of the parameters."""
        layout, scratch = self._layout, self._scratch
        rows = self._by_rows(arrays)
        for number, (call, total) in enumerate(zip(layout.weights, self._sums, strict=True)):
            gradient, operand = rows(call.out), rows(call.operands[1])
            pair = (gradient, operand.T) if layout.packed else (operand.T, gradient)
            np.add(total, np.dot(*pair, out=scratch.array(f"product {number}", total.shape, self._dtype)), out=total)
        for name, place in layout.vectors:
            self.gradients[name][...] += arrays.part(place).sum(axis=(0, 2) if layout.packed else (0, 1))

    def _by_rows(self, arrays: Arrays) -> Callable[[Place], Array]:
        """Return a function that gives a place as a matrix with T·B rows, or as many columns."""
        if not self._layout.packed:
            return lambda place: as_rows(arrays.part(place))
        copies = {}
        for kind, span in self._layout.spans.items():
            part = arrays.part(span)  # (T, feature, B)
            timesteps, features, batch_size = part.shape
            copy = self._scratch.array(f"rows of {kind}", (features, timesteps, batch_size), part.dtype)
            copy[...] = part.transpose(1, 0, 2)
            copies[kind] = copy.reshape(features, -1)
        spans = self._layout.spans
        return lambda place: copies[place.kind][
            place.start - spans[place.kind].start : place.stop - spans[place.kind].start
        ]

    def _below(self, arrays: Arrays) -> Array:
        """Return dL/d inputs, (T, B, I)."""
        layout, shape = self._layout, arrays.part(self._layout.inputs).shape
        parts = [arrays.product(self._matrices[packed], place) for packed, place in layout.below]
        parts += [arrays.part(layout.below_rest)] if layout.below_rest else []
        return self._turned(sum(parts[1:], parts[0]) if parts else np.zeros(shape, self._dtype))

    def _states(self, arrays: Arrays) -> State:
        return {name: self._turned(arrays.part(place)) for name, place in self._layout.after.items()}

    def _turned(self, array: Array) -> Array:
        """Return a view with features and sequences in the order of the layout, or back in that of the contract."""
        return array.swapaxes(-1, -2) if self._layout.packed else array

    def _zeros(self, name: str, packed: Packed) -> Array:
        shape = (packed.rows, packed.columns) if self._layout.packed else (packed.columns, packed.rows)
        array = self._scratch.array(name, shape, self._dtype)
        array.fill(0)
        return array

    def _parts(self, packed: Packed, matrix: Array, arrays: Mapping[str, Array]) -> Iterator[tuple[Array, Array]]:
        """Yield the parts of a packed matrix, each with the view of the parameter, or of its gradient, for it."""
        whole = matrix if self._layout.packed else matrix.T  # (out, in)
        for weight in packed.weights:
            array = arrays[weight.name]
            view = array[:, None] if array.ndim == 1 else array.T if weight.transposed else array
            rows, columns = view.shape
            yield whole[weight.row : weight.row + rows, weight.column : weight.column + columns], view

    def _arrays(self, tape: Tape, name: str, sizes: Sequence[int], shape: tuple[int, ...]) -> list[Array]:
        *time, batch_size = shape
        shapes = [(*time, size, batch_size) if self._layout.packed else (*time, batch_size, size) for size in sizes]
        return [tape.array(f"{name} {number}", shape, self._dtype) for number, shape in enumerate(shapes)]
