"""Any cell over a chunk of time: its plan, as calls of NumPy that write into memory which is there already."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from rnnlab.backends.numpy.chunks import rows_in_cache, width_of
from rnnlab.backends.numpy.fast.binding import Arrays, Bound, as_rows
from rnnlab.backends.numpy.fast.calls import Packed, Place
from rnnlab.backends.numpy.fast.layout import Layout
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape
from rnnlab.core.batch import Array
from rnnlab.equations.plan import Plan


@final
@dataclass(frozen=True, slots=True)
class _Forward:
    """The way forward through chunks of one shape: views as the contract of layers has them, and calls."""

    memory: Mapping[str, Sequence[Array]]  # by kind of place
    inputs: Array
    first: State
    after: State
    sweep: list[Bound]
    steps: list[tuple[Bound, ...]]


@final
@dataclass(frozen=True, slots=True)
class _Back:
    """The backward pass through the same chunks, and the products after it: (sum, operands, memory for the product)."""

    arrays: Arrays
    last: State
    first: State
    sweep: list[Bound]
    steps: list[tuple[Array, tuple[Bound, ...]]]
    copies: list[tuple[Array, Array]]
    products: list[tuple[Array, Array, Array, Array]]


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
        tape.kept = inputs.shape
        bound = self._forward(tape)
        bound.inputs[...] = inputs
        for name, array in state.items():
            bound.first[name][...] = array
        for function, operands in bound.sweep:
            function(*operands)
        for calls in bound.steps:
            for function, operands in calls:
                function(*operands)
        return bound.after[self.plan.output], {name: bound.after[name][-1].copy() for name in state}

    def states(self, tape: Tape) -> State:
        after = self._forward(tape).after
        return {name: after[name] for name in self.cell.states}

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        bound: _Back = tape.views("backward", tape.kept, lambda: self._bound_back(tape))
        for name, array in bound.last.items():
            array[...] = state_gradient.get(name, 0)
        for function, operands in bound.sweep:
            function(*operands)
        for (into, calls), from_above in zip(bound.steps, reversed(output_gradients), strict=True):
            if from_above is not None:
                np.add(into, from_above, out=into)
            for function, operands in calls:
                function(*operands)
        for copy, array in bound.copies:
            copy[...] = array
        for total, left, right, product in bound.products:
            np.add(total, np.dot(left, right, product), out=total)
        for name, place in self._layout.vectors:
            self.gradients[name][...] += self._turned(bound.arrays.part(place)).sum(axis=(0, 1))
        before = {name: bound.first[name].copy() for name in self.cell.states}
        return (self._below(bound.arrays) if need_inputs else None), before

    def chunk_rows(self) -> int:
        return rows_in_cache(width_of(self.plan))

    def _forward(self, tape: Tape) -> _Forward:
        bound: _Forward = tape.views("forward", tape.kept, lambda: self._bound_forward(tape))
        return bound

    def _bound_forward(self, tape: Tape) -> _Forward:
        timesteps, batch_size, _ = tape.kept
        layout, calls = self._layout, self._layout.forward
        stack = self._arrays(tape, "stack", layout.sizes["before"], (timesteps + 1, batch_size))
        memory = {
            "before": [array[:-1] for array in stack],
            "after": [array[1:] for array in stack],
            "saved": self._arrays(tape, "saved", layout.sizes["saved"], (timesteps, batch_size)),
            "swept": self._arrays(self._scratch, "swept", calls.sizes["swept"], (timesteps, batch_size)),
            "work": self._arrays(self._scratch, "work", calls.sizes["work"], (batch_size,)),
        }
        arrays = Arrays(layout.packed, timesteps, memory, self._matrices, self.parameters)
        arrays.part(layout.one)[...] = 1
        first = {name: self._turned(arrays.part(place)[0]) for name, place in layout.before.items()}
        after = {name: self._turned(arrays.part(place)) for name, place in layout.after.items()}
        inputs = self._turned(arrays.part(layout.inputs))
        return _Forward(memory, inputs, first, after, *arrays.bind(calls, back=False))

    def _bound_back(self, tape: Tape) -> _Back:
        timesteps, batch_size, _ = tape.kept
        layout, calls, scratch, turned = self._layout, self._layout.backward, self._scratch, self._turned
        flows = self._arrays(
            scratch, "flows", [size for size in layout.sizes["given"] for _ in range(2)], (batch_size,)
        )
        for number in layout.in_place:
            flows[2 * number + 1] = flows[2 * number]
        memory = {
            **self._forward(tape).memory,
            "kept": self._arrays(scratch, "kept", layout.sizes["kept"], (timesteps, batch_size)),
            "swept": self._arrays(scratch, "back swept", calls.sizes["swept"], (timesteps, batch_size)),
            "work": self._arrays(scratch, "back work", calls.sizes["work"], (batch_size,)),
            "flows": flows,
        }
        arrays = Arrays(layout.packed, timesteps, memory, self._matrices, self.parameters)
        sweep, steps = arrays.bind(calls, back=True)
        into = [turned(array) for array in arrays.of_steps(layout.given[self.plan.output], back=True)]
        last, first = (
            {name: turned(flows[2 * place.number + step % 2]) for name, place in layout.given.items()}
            for step in (0, timesteps)
        )
        return _Back(arrays, last, first, sweep, list(zip(into, steps, strict=True)), *self._after_loop(arrays))

    def _after_loop(self, arrays: Arrays) -> tuple[list[tuple[Array, Array]], list[tuple[Array, Array, Array, Array]]]:
        """Return the copies and the products that the gradients of matrices need: a product wants T·B rows."""
        layout, copies, by_kind = self._layout, list[tuple[Array, Array]](), dict[str, Array]()
        for kind, span in layout.spans.items() if layout.packed else ():
            part = arrays.part(span).transpose(1, 0, 2)  # (feature, T, B)
            copy = self._scratch.array(f"rows of {kind}", part.shape, self._dtype)
            copies.append((copy, part))
            by_kind[kind] = copy.reshape(len(copy), -1)

        def rows(place: Place) -> Array:
            if not layout.packed:
                return as_rows(arrays.part(place))
            start = layout.spans[place.kind].start
            return by_kind[place.kind][place.start - start : place.stop - start].T

        products = []
        for number, (call, total) in enumerate(zip(layout.weights, self._sums, strict=True)):
            product = self._scratch.array(f"product {number}", total.shape, self._dtype)
            pair = rows(call.out), rows(call.operands[1])
            left, right = pair if layout.packed else pair[::-1]
            products.append((total, left.T, right, product))
        return copies, products

    def _below(self, arrays: Arrays) -> Array:
        """Return dL/d inputs, (T, B, I)."""
        layout, shape = self._layout, arrays.part(self._layout.inputs).shape
        parts = [arrays.product(self._matrices[packed], place) for packed, place in layout.below]
        parts += [arrays.part(layout.below_rest)] if layout.below_rest else []
        return self._turned(sum(parts[1:], parts[0]) if parts else np.zeros(shape, self._dtype))

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
            rows, columns = (len(array), 1) if array.ndim == 1 else array.T.shape if weight.transposed else array.shape
            part = whole[weight.row : weight.row + rows, weight.column : weight.column + columns]
            yield part[:, 0] if array.ndim == 1 else part.T if weight.transposed else part, array

    def _arrays(self, tape: Tape, name: str, sizes: Sequence[int], shape: tuple[int, ...]) -> list[Array]:
        *time, batch_size = shape
        shapes = [(*time, size, batch_size) if self._layout.packed else (*time, batch_size, size) for size in sizes]
        return [tape.array(f"{name} {number}", shape, self._dtype) for number, shape in enumerate(shapes)]
