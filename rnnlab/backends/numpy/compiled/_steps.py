"""The two functions that a layer compiles: forward over the steps of a chunk, and back over them."""

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, final

from llvmlite import ir

from rnnlab.backends.numpy.compiled._code import Code, Number, Place, Whole

_PLACE, _WHOLE = ctypes.c_void_p, ctypes.c_int64
FORTH = [_PLACE] * 4 + [_WHOLE] * 8
BACK = [_PLACE] * 8 + [_WHOLE] * 4
Parts = Mapping[str, tuple[int, Code]]  # where a matrix lies in a flat array, and the function that computes with it
Rows = tuple[Place, Number]  # where the first is, and how far the next


class Layer(Protocol):
    """What is asked of a layer; see `AbstractCompiledLayer`."""

    units: int
    rows: int
    features: int
    dtype: Any
    stacked: ClassVar[tuple[str, ...]]

    def pairs(self) -> dict[str, tuple[slice, slice]]:
        """Return which rows meet in the weights' gradients."""

    def step(self, at: "Forth") -> None:
        """Write the code of one step."""

    def step_back(self, at: "Back") -> None:
        """Write the code of one step back."""


class _Steps:
    """A function over all steps of a chunk: T steps of N columns, and in each a row of a block of H rows."""

    def __init__(self, module: ir.Module, layer: Layer, products: Parts, code: Code) -> None:
        self.code, self.layer, self._products = code, layer, products
        self._weights, self._stack, self._kept, *self._places = code.places
        self.timesteps, self.columns, self._of_stack, self._of_kept, *self._sizes = code.numbers
        self._now: Whole = 0

    def before(self, block: int, row: Whole = 0) -> Place:
        """Return where a row of a block of the stack begins before this step."""
        return self._stack + self._of_stack * (row + self.layer.units * block) + self._now

    def after(self, block: int, row: Whole = 0) -> Place:
        """Return the same after this step."""
        return self.before(block, row) + self.columns

    def kept(self, block: int, row: Whole = 0) -> Place:
        """Return where a row of a block of what is kept begins."""
        return self._kept + self._of_kept * (row + self.layer.units * block) + self._now

    def times(self, name: str, x: Rows, c: Rows) -> None:
        """Write c = a·x, of a matrix of the layer."""
        start, function = self._products[name]
        self.code.call(function, (self._weights + start, x[0], c[0]), (x[1], c[1], self.columns))

    def on_stack(self, place: Place) -> Rows:
        """Return rows of the stack from a place on."""
        return place, self._of_stack

    @contextmanager
    def each(self) -> Iterator[tuple[Number, Number]]:
        """Do what follows for each row of a block, and each vector of its columns."""
        units, lanes = self.layer.units, self.code.lanes
        with self.code.loop(units) as row, self.code.loop(self.columns, step=lanes) as column:
            yield row, column


@final
class Forth(_Steps):
    """forward(weights, stack, kept, inputs; T, N, strides of stack and kept; B, strides of inputs)."""

    def __init__(self, module: ir.Module, layer: Layer, products: Parts) -> None:
        code = Code(module, "forward", places=4, numbers=8, precision=layer.dtype.name)
        super().__init__(module, layer, products, code)

    def write(self) -> None:
        """Write the function."""
        with self.code.loop(self.timesteps) as step:
            self._now = self.columns * step
            self._take_inputs(step)
            self.layer.step(self)
        self.code.done()

    def on_kept(self, place: Place) -> Rows:
        """Return rows of what is kept from a place on."""
        return place, self._of_kept

    def _take_inputs(self, step: Number) -> None:
        """Copy the inputs of a step, (B, I) of any strides, onto the stack, (I, N)."""
        (inputs,), (batch_size, by_step, by_row, by_feature) = self._places, self._sizes
        first = self._stack + self._of_stack * (len(self.layer.stacked) * self.layer.units) + self._now
        with self.code.loop(self.layer.features) as feature, self.code.loop(batch_size) as row:
            source = inputs + by_step * step + by_feature * feature + by_row * row
            source.copy_to(first + self._of_stack * feature + row)


@final
class Back(_Steps):
    """backward(weights, stack, kept, arguments, flowing, above, where, sums; T, N, strides of stack and kept)."""

    def __init__(self, module: ir.Module, layer: Layer, products: Parts) -> None:
        code = Code(module, "backward", places=8, numbers=4, precision=layer.dtype.name)
        super().__init__(module, layer, products, code)
        self._arguments, self._flowing, self._above, self._where, self._sums = self._places

    def write(self, sums: Parts) -> None:
        """Write the function; `sums` are the products that give the weights' gradients."""
        with self.code.loop(self.timesteps) as done:
            step = self.timesteps - 1 - done
            self._now = self.columns * step
            self._add_from_above(self._where.read_whole(step))
            self.layer.step_back(self)
        for name, (rows, others) in self.layer.pairs().items():
            start, function = sums[name]
            places = self._stack + self._of_stack * rows.start, self._arguments + self._of_kept * others.start
            sizes = self._of_stack, self._of_kept, self.timesteps * self.columns
            self.code.call(function, (*places, self._sums + start), sizes)
        self.code.done()

    def argument(self, block: int, row: Whole = 0) -> Place:
        """Return where a row of the gradients of a gate's argument begins."""
        return self._arguments + self._of_kept * (row + self.layer.units * block) + self._now

    def flowing(self, block: int, row: Whole = 0) -> Place:
        """Return where a row of the gradient of a state begins, which flows from step to step."""
        return self._flowing + self.columns * (row + self.layer.units * block)

    def on_arguments(self, place: Place) -> Rows:
        """Return rows of the arguments' gradients from a place on."""
        return place, self._of_kept

    def on_flowing(self, place: Place) -> Rows:
        """Return rows of the states' gradients from a place on."""
        return place, self.columns

    def _add_from_above(self, which: Number) -> None:
        size = self.columns * self.layer.units
        output = self.flowing(len(self.layer.stacked) - 1)
        with self.code.where(which >= 0), self.code.loop(size, step=self.code.lanes) as at:
            (output + at).write((output + at).read() + (self._above + size * which + at).read())
