"""What all compiled layers share: one stack of states and inputs, and two functions that go through time."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, final

import numpy as np
from llvmlite import ir
from numpy.typing import DTypeLike, NDArray

from rnnlab.backends.numpy.chunks import rows_in_cache
from rnnlab.backends.numpy.compiled._machine import Program, vector_bytes
from rnnlab.backends.numpy.compiled._product import TILE, gather, gathered, pack, product, tiles_of
from rnnlab.backends.numpy.compiled._steps import BACK, FORTH, Back, Forth
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape
from rnnlab.equations.plan import Plan

Array = NDArray[Any]
_LINE = 64  # bytes per line of the cache
_PROGRAMS: dict[tuple[Any, ...], Program] = {}


@final
class Blocks:
    """Arrays by name, one behind the other in a flat one.

    Args:
        shapes: Of each by name.
        item: Numbers for each place of a shape.

    Attributes:
        size: Numbers in all.

    Example:
        >>> blocks = Blocks({"a": (2, 3), "b": (4, 1)})
        >>> blocks.size, [start for _, start, _ in blocks]
        (10, [0, 6])
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]], *, item: int = 1) -> None:
        self._shapes, self._item = shapes, item
        self.size = item * sum(map(prod, shapes.values()))

    def __iter__(self) -> Iterator[tuple[str, int, tuple[int, int]]]:
        """Yield name, start and shape of each."""
        start = 0
        for name, shape in self._shapes.items():
            yield name, start, shape
            start += self._item * prod(shape)

    def parts(self, flat: Array) -> dict[str, Array]:
        """Return each one's part of a flat array."""
        return {name: flat[start : start + self._item * prod(shape)] for name, start, shape in self}


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The arrays of a chunk, and where they are: found once for a shape, and used for every batch.

    Attributes:
        states: The rows of each state on the stack by name, (H, T+1, B).
        arguments: The gradients of the gates' arguments, (G·H, T, N).
        flowing: The gradients of the states, by name, each (H, N), the columns that fill the last vector being 0.
        places: Addresses of stack, kept, arguments and flowing.
        sizes: T, N and the lengths of a row of the stack and of the other two, in numbers.
        memory: All that the addresses lead to.
    """

    states: State
    arguments: Array
    flowing: State
    places: tuple[int, int, int, int]
    sizes: tuple[int, int, int, int]
    memory: tuple[Array, ...]


class AbstractCompiledLayer(AbstractLayer):
    """A layer over a chunk of time, feature-major: features are rows; the columns are the steps' batches, in turn.

    States, inputs and a row of ones are stacked in one array of R rows, (R, T+1, N), with N columns per step:
    the batch, and what fills the last vector. A step reads the stack at t and writes its states at t+1. The gradients
    of the G gates' arguments, (G·H, T, N), lie alike, so that those of the weights are products of rows with rows.

    Attributes:
        stacked: The states, from the top of the stack; the last is the output.
        gates: G.
        keeps: K: how many arrays (H, T, N) are kept beside the stack.
    """

    stacked: ClassVar[tuple[str, ...]]
    gates: ClassVar[int]
    keeps: ClassVar[int]

    def __init__(self, plan: Plan, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        super().__init__(plan, parameters, gradients)
        self.features, self.dtype = plan.input_features, next(iter(parameters.values())).dtype
        self.rows = len(self.stacked) * self.units + self.features + 1
        self._matrices = Blocks(self.matrices())
        self._pairs = {name: (r.stop - r.start, o.stop - o.start) for name, (r, o) in self.pairs().items()}
        self._sums = Blocks({name: tiles_of(*sizes) for name, sizes in self._pairs.items()}, item=TILE)
        self._weights, self._summed = (np.zeros(blocks.size, self.dtype) for blocks in (self._matrices, self._sums))
        program = self._program()
        self._go, self._go_back = program.function("forward", FORTH), program.function("backward", BACK)

    @abstractmethod
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Return the matrices that the steps multiply by: rows M and columns K of each, by name."""

    @abstractmethod
    def weights(self, name: str) -> Array:
        """Return the transpose of one of these matrices as it is now, (K, M)."""

    @abstractmethod
    def pairs(self) -> dict[str, tuple[slice, slice]]:
        """Return which rows of the stack meet which rows of the arguments' gradients in the weights', by name."""

    @abstractmethod
    def add(self, sums: Mapping[str, Array]) -> None:
        """Add these products, rows of the stack by rows of the arguments' gradients, to the weights' gradients."""

    @abstractmethod
    def step(self, at: Forth) -> None:
        """Write the code of one step."""

    @abstractmethod
    def step_back(self, at: Back) -> None:
        """Write the code of one step back."""

    def begin(self, dtype: np.dtype[Any]) -> None:
        self._summed.fill(0)
        for name, part in self._matrices.parts(self._weights).items():
            pack(self.weights(name), part)

    def finish(self) -> None:
        sums = self._sums.parts(self._summed)
        self.add({name: gathered(part, *self._pairs[name]) for name, part in sums.items()})

    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        tape.kept = inputs.shape
        chunk, inputs = self._chunk(tape), inputs.astype(self.dtype, copy=False)
        for name, block in chunk.states.items():
            block[:, 0] = state[name].T
        by_step, by_row, by_feature = (stride // inputs.itemsize for stride in inputs.strides)
        places = _address(self._weights), *chunk.places[:2], _address(inputs)
        self._go(*places, *chunk.sizes, inputs.shape[1], by_step, by_row, by_feature)
        after = {name: block[:, -1].T.copy() for name, block in chunk.states.items()}
        return chunk.states[self.stacked[-1]][:, 1:].transpose(1, 2, 0), after

    def states(self, tape: Tape) -> State:
        return {name: block[:, 1:].transpose(1, 2, 0) for name, block in self._chunk(tape).states.items()}

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        chunk, batch_size = self._chunk(tape), tape.kept[1]
        for name, block in chunk.flowing.items():
            block[:, :batch_size], block[:, batch_size:] = state_gradient[name].T, 0
        above, where = self._above(output_gradients, columns=chunk.sizes[1])
        others = (_address(array) for array in (above, where, self._summed))
        self._go_back(_address(self._weights), *chunk.places, *others, *chunk.sizes)
        below = self._below(chunk.arguments)[:, :, :batch_size].transpose(1, 2, 0) if need_inputs else None
        return below, {name: block[:, :batch_size].T.copy() for name, block in chunk.flowing.items()}

    def chunk_rows(self) -> int:
        return rows_in_cache(self.gates * self.units)

    def _chunk(self, tape: Tape) -> _Chunk:
        """Return the arrays of a tape for the shape of its inputs."""
        chunk: _Chunk = tape.views("chunk", tape.kept, lambda: self._make_chunk(tape))
        return chunk

    def _make_chunk(self, tape: Tape) -> _Chunk:
        timesteps, batch_size, _ = tape.kept
        lanes, units = vector_bytes() // self.dtype.itemsize, self.units
        columns = -(-batch_size // lanes) * lanes
        stack = padded_rows(tape, "stack", (self.rows, timesteps + 1, columns), self.dtype)
        kept = padded_rows(tape, "kept", (self.keeps * units, timesteps, columns), self.dtype)
        arguments = padded_rows(self._scratch, "arguments", (self.gates * units, timesteps, columns), self.dtype)
        flowing = np.zeros((len(self.stacked), units, columns), self.dtype)
        stack[:, :, batch_size:] = 0  # an input of 0, and not even a bias: no gradient comes from there
        stack[-1, :, :batch_size] = 1
        states = np.split(stack[: len(self.stacked) * units, :, :batch_size], len(self.stacked))
        memory = stack, kept, arguments, flowing
        stack_row, row = (array.strides[0] // array.itemsize for array in (stack, arguments))
        return _Chunk(
            states=dict(zip(self.stacked, states, strict=True)),
            arguments=arguments,
            flowing=dict(zip(self.stacked, flowing, strict=True)),
            places=tuple(map(_address, memory)),  # type: ignore[arg-type]
            sizes=(timesteps, columns, stack_row, row),
            memory=memory,
        )

    def _above(self, gradients: OutputGradients, columns: int) -> tuple[Array, Array]:
        """Return the gradients of outputs that have one, (n, H, N), and for each step which is its own, or -1."""
        there = [(step, gradient) for step, gradient in enumerate(gradients) if gradient is not None]
        above = self._scratch.array("above", (len(there), self.units, columns), self.dtype)
        where = np.full(len(gradients), -1, np.int64)
        for number, (step, gradient) in enumerate(there):
            where[step] = number
            above[number, :, : len(gradient)], above[number, :, len(gradient) :] = gradient.T, 0
        return above, where

    def _below(self, arguments: Array) -> Array:
        """Return the gradients of the inputs, (I, T, N)."""
        kernels = [array for name, array in self.parameters.items() if name.startswith("W")]
        below: Array = np.dot(np.concatenate(kernels, axis=1), flat_rows(arguments))
        return below.reshape(self.features, *arguments.shape[1:])

    def _program(self) -> Program:
        options = self.cell.options.model_dump_json(exclude={"layers", "initializers"})
        key = (type(self), options, self.features, self.dtype)
        if key not in _PROGRAMS:
            _PROGRAMS[key] = Program(self._module())
        return _PROGRAMS[key]

    def _module(self) -> ir.Module:
        """Return all code of the layer."""
        module, precision = ir.Module(name=self.cell.name), self.dtype.name
        products = {
            name: (start, product(module, name, rows=rows, depth=depth, precision=precision))
            for name, start, (rows, depth) in self._matrices
        }
        sums = {
            name: (start, gather(module, name, *self._pairs[name], precision=precision))
            for name, start, _ in self._sums
        }
        Forth(module, self, products).write()
        Back(module, self, products).write(sums)
        return module


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def padded_rows(tape: Tape, name: str, shape: tuple[int, int, int], dtype: DTypeLike) -> Array:
    """Return an array (rows, T, N) of a tape in which a row's length is an odd number of lines of the cache.

    Otherwise the rows of a step, which are read one after the other, would contend for the same places in the cache.
    """
    rows, timesteps, columns = shape
    a_line = _LINE // np.dtype(dtype).itemsize
    length = (-(-timesteps * columns // a_line) | 1) * a_line
    return tape.array(name, (rows, length), dtype)[:, : timesteps * columns].reshape(shape)


def flat_rows(array: Array) -> Array:
    """Return (rows, T·N) of (rows, T, N): a view, whatever the length of a row."""
    rows, timesteps, columns = array.shape
    strides = array.strides[0], array.itemsize
    flat: Array = np.lib.stride_tricks.as_strided(array, (rows, timesteps * columns), strides, writeable=False)
    return flat
