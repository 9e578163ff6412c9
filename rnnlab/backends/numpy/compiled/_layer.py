"""The compiled layer of any plan: the arrays of a chunk, and calls of the two functions that go through time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, final

import numpy as np
from llvmlite import ir

from rnnlab.backends.numpy.chunks import rows_in_cache
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._layout import Layout
from rnnlab.backends.numpy.compiled._machine import Program, vector_bytes
from rnnlab.backends.numpy.compiled._places import Product, Rows
from rnnlab.backends.numpy.compiled._product import pack, padded
from rnnlab.backends.numpy.compiled._steps import BACK, FORTH, PACK, Back, Forth
from rnnlab.backends.numpy.layer import AbstractLayer, OutputGradients, State, Tape
from rnnlab.core.batch import Array
from rnnlab.equations.plan import Plan

Function = Callable[..., None]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The arrays of a chunk; P panels of W columns, S features of a state."""

    columns: int  # W
    rows: Array  # which sequence of the batch each column has, (P·W,); the last one again beyond them
    first: State  # each state before the chunk, (P, S, W), by name
    states: State  # and after each step, (P, T, S, W)
    outputs: Array  # (T, P·W, H), a row being as long as whole vectors
    flow: tuple[State, State]  # the gradients of the states after the chunk, and before it, (P, S, W) each, by name
    below: Array  # the gradients of the inputs, (T, P·W, I)
    places: Mapping[str, int]  # addresses for the two functions, beside those of weights, inputs and gradients
    sizes: tuple[int, int]
    memory: tuple[Array, ...]  # all that the addresses lead to


@final
class CompiledLayer(AbstractLayer):
    """A layer over a chunk of time, feature-major: features are rows; the columns are sequences of the batch.

    Columns are independent of each other, so they are computed in panels of one or two vectors, each through all steps:
    what a step reads and writes then stays in the first cache.
    """

    releases_lock = True

    def __init__(self, plan: Plan, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        super().__init__(plan, parameters, gradients)
        self.dtype = next(iter(parameters.values())).dtype
        self._lanes = vector_bytes() // self.dtype.itemsize
        self._layout = layout = Layout(plan, self._lanes)
        size = sum(prod(item.shape) for item in layout.products)
        self._matrices, self._vectors = np.zeros(size, self.dtype), np.zeros(max(1, layout.numbers), self.dtype)
        sizes = [one.depth * padded(one.count, self._lanes) for one in layout.gathers]
        self._summed = self._scratch.array("sums", (sum(sizes),), self.dtype)
        self._sources, self._more_sources = self._parts_of_matrices()
        self._targets = self._parts_of_sums(sizes)
        self._packed: dict[int, tuple[Array, bool]] = {}  # by W; whether they are those of now

    def begin(self, dtype: np.dtype[Any]) -> None:
        self._summed.fill(0)
        for there, parameter in self._sources:
            there[...] = parameter
        for there, parameter in self._more_sources:
            there[...] += parameter
        self._packed = {columns: (packed, False) for columns, (packed, _) in self._packed.items()}

    def finish(self) -> None:
        for gradient, total in self._targets:
            gradient[...] += total

    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        tape.kept = inputs.shape
        chunk, inputs = self._chunk(tape), inputs.astype(self.dtype, copy=False)
        if inputs.strides[2] != inputs.itemsize:
            inputs = np.ascontiguousarray(inputs)
        _, batch_size, _ = inputs.shape
        for name, block in chunk.first.items():
            if name in state:
                _put(state[name][chunk.rows], block)
        by_step, by_row, _ = (stride // inputs.itemsize for stride in inputs.strides)
        at = chunk.places
        pack_weights, forth, _ = _functions(self.plan, self.dtype, chunk.columns)
        weights = self._weights(chunk.columns, pack_weights)
        places = weights, _address(self._vectors), at["record"], at["work"], _address(inputs), at["outputs"]
        forth(*places, *chunk.sizes, batch_size, by_step, by_row)
        after = {name: _taken(chunk.states[name][:, -1], batch_size) for name in self.cell.states}
        return chunk.outputs[:, :batch_size], after

    def states(self, tape: Tape) -> State:
        timesteps, batch_size, _ = tape.kept
        return {
            name: block.transpose(1, 0, 3, 2).reshape(timesteps, -1, block.shape[2])[:, :batch_size]
            for name, block in self._chunk(tape).states.items()
            if name in self.cell.states
        }

    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        chunk, (timesteps, batch_size, _) = self._chunk(tape), tape.kept
        start, end = chunk.flow[0], chunk.flow[timesteps % 2]
        for name, block in start.items():
            if name in state_gradient:
                whole = np.zeros((len(chunk.rows), block.shape[1]), self.dtype)
                whole[:batch_size] = state_gradient[name]
                _put(whole, block)
            else:
                block[...] = 0
        above, where = self._above(output_gradients, len(chunk.rows))
        _, _, back = _functions(self.plan, self.dtype, chunk.columns)
        at = chunk.places
        places = (
            _address(self._packed[chunk.columns][0]), _address(self._vectors), at["record"], at["work"],
            at["flow"], _address(above), _address(where), at["kept"], _address(self._summed), at["below"],
        )  # fmt: skip
        back(*places, *chunk.sizes, need_inputs)
        below = chunk.below[:, :batch_size] if need_inputs else None
        return below, {name: _taken(end[name], batch_size) for name in self.cell.states}

    def chunk_rows(self) -> int:
        products = [node for stage in self.plan.forward for node in stage.products]
        # A panel's share of a chunk is what must stay in the cache, so that a chunk can be larger than NumPy's.
        return 2 * rows_in_cache(sum(node.width for node in products))

    def _parts_of_matrices(self) -> tuple[list[tuple[Array, Array]], list[tuple[Array, Array]]]:
        """Return where each parameter goes: pairs (place, parameter) to copy, and then pairs to add."""
        start, first, more = 0, list[tuple[Array, Array]](), list[tuple[Array, Array]]()
        for item in self._layout.products:
            rows, depth = item.shape
            flat = self._matrices[start : start + rows * depth]
            matrix = flat.reshape(rows, depth).T if item.transposed else flat.reshape(depth, rows)
            start, taken = start + rows * depth, set[tuple[int, int]]()
            for piece in item.pieces:
                value = self.parameters[piece.name]
                key = piece.rows.start, piece.columns.start
                pair = matrix[piece.rows, piece.columns], value.T if piece.transposed else value
                (more if key in taken else first).append(pair)
                taken.add(key)
        for name, number in self._layout.vectors.items():
            value = self.parameters[name]
            first.append((self._vectors[number : number + value.size], value))
        return first, more

    def _parts_of_sums(self, sizes: list[int]) -> list[tuple[Array, Array]]:
        """Return pairs (gradient of a parameter, what to add to it)."""
        start, pairs = 0, list[tuple[Array, Array]]()
        for one, size in zip(self._layout.gathers, sizes, strict=True):
            matrix = self._summed[start : start + size].reshape(one.depth, -1)
            start += size
            for piece in one.pieces:
                gradient = self.gradients[piece.name]
                pairs.append((gradient, matrix[piece.rows, piece.columns].reshape(gradient.shape)))
        return pairs

    def _chunk(self, tape: Tape) -> _Chunk:
        """Return the arrays of a tape for the shape of its inputs."""
        chunk: _Chunk = tape.views("chunk", tape.kept, lambda: self._make_chunk(tape))
        return chunk

    def _make_chunk(self, tape: Tape) -> _Chunk:
        (timesteps, batch_size, _), layout, lanes, dtype = tape.kept, self._layout, self._lanes, self.dtype
        vectors = -(-batch_size // lanes)
        columns = lanes * (1 if vectors % 2 else 2)
        panels = vectors * lanes // columns
        record = tape.array("record", (panels, timesteps + 1, layout.record, columns), dtype)
        record[:, :, layout.ones.start] = 1
        output = layout.states[self.plan.output]
        outputs = tape.array("outputs", (timesteps, panels * columns, padded(output.count, lanes)), dtype)
        rows = max(layout.forward.work, layout.kept + layout.inputs.count + layout.backward.work)
        work = self._scratch.array("work", (rows, columns), dtype)
        flow = self._scratch.array("flow", (panels, 2, layout.flow, columns), dtype)
        kept = self._scratch.array("kept", (timesteps * columns * layout.kept,), dtype)
        features = layout.inputs.count
        below = self._scratch.array("below", (timesteps, panels * columns, padded(features, lanes)), dtype)
        memory = {"record": record, "work": work, "outputs": outputs, "flow": flow, "kept": kept, "below": below}

        def of(rows: Rows) -> slice:
            return slice(rows.start, rows.start + rows.count)

        flows = [{name: flow[:, n, of(rows)] for name, rows in layout.states.items()} for n in range(2)]
        return _Chunk(
            columns=columns,
            rows=np.minimum(np.arange(panels * columns), batch_size - 1),
            first={name: record[:, 0, of(rows)] for name, rows in layout.states.items()},
            states={name: record[:, 1:, of(rows)] for name, rows in layout.states.items()},
            outputs=outputs[:, :, : output.count],
            flow=(flows[0], flows[1]),
            below=below[:, :, :features],
            places={name: _address(array) for name, array in memory.items()},
            sizes=(timesteps, panels),
            memory=tuple(memory.values()),
        )

    def _above(self, gradients: OutputGradients, rows: int) -> tuple[Array, Array]:
        """Return the gradients of outputs that have one, (n, P·W, H), and for each step which is its own, or -1."""
        there = [(step, gradient) for step, gradient in enumerate(gradients) if gradient is not None]
        above = self._scratch.array("above", (len(there), rows, padded(self.units, self._lanes)), self.dtype)
        where = np.full(len(gradients), -1, np.int64)
        for number, (step, gradient) in enumerate(there):
            where[step] = number
            above[number, : len(gradient), : self.units], above[number, len(gradient) :] = gradient, 0
        return above, where

    def _weights(self, columns: int, pack_weights: Any) -> int:
        packed, is_current = self._packed.get(columns, (None, False))
        if packed is None:
            packed = np.empty_like(self._matrices)
        if not is_current:
            pack_weights(_address(self._matrices), _address(packed))
            self._packed[columns] = packed, True
        return _address(packed)


@lru_cache(maxsize=64)
def _functions(plan: Plan, dtype: np.dtype[Any], columns: int) -> tuple[Function, Function, Function]:
    """Return the functions of a plan for this many columns: the one that packs the weights, forward and backward."""
    module, start, starts = ir.Module(name=plan.cell.name), 0, dict[Product, int]()
    layout, precision = Layout(plan, vector_bytes() // dtype.itemsize), dtype.name
    whole = Code(module, "pack", places=2, numbers=0, precision=precision)
    for number, item in enumerate(layout.products):
        code = pack(module, str(number), item.shape, columns=columns, upright=item.transposed, precision=precision)
        whole.call(code, [place + start for place in whole.places], ())
        starts[item], start = start, start + prod(item.shape)
    whole.done()
    for kind in (Forth, Back):
        kind(module, layout, starts=starts, columns=columns, precision=precision).write()
    get = Program(module).function
    return get("pack", PACK), get("forward", FORTH), get("backward", BACK)


def _put(columns: Array, block: Array) -> None:
    """Write (P·W, S) to (P, S, W)."""
    panels, size, width = block.shape
    block[...] = columns.reshape(panels, width, size).transpose(0, 2, 1)


def _taken(block: Array, batch_size: int) -> Array:
    """Return a copy (B, S) of (P, S, W)."""
    panels, size, width = block.shape
    return block.transpose(0, 2, 1).reshape(panels * width, size)[:batch_size]


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
